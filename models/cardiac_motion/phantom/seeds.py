"""Seeds set apart, so that no figure is reported on a phantom that something was tuned or tested on."""

from __future__ import annotations

TUNING_SEEDS: tuple[int, ...] = tuple(range(1000, 1020))
"""For tuning: the phantom's own defaults, and the settings of models."""

TEST_SEEDS: tuple[int, ...] = tuple(range(2000, 2020))
"""For automatic tests."""

REPORT_SEEDS: tuple[int, ...] = tuple(range(3000, 3020))
"""For figures in tables. Nothing is chosen by them, but some were looked at between one version and the next: what
`docs/results.md` says of such a figure was then measured again on seeds that nobody had seen."""

TRAINING_SEEDS_START = 1_000_000
"""Training draws its seeds from here upwards."""
