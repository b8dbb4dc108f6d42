"""Seeds set apart, so that no figure is reported on a phantom that something was tuned or tested on."""

from __future__ import annotations

TUNING_SEEDS: tuple[int, ...] = tuple(range(1000, 1020))
"""For tuning: the phantom's own defaults, and the settings of models."""

TEST_SEEDS: tuple[int, ...] = tuple(range(2000, 2020))
"""For automatic tests."""

REPORT_SEEDS: tuple[int, ...] = tuple(range(3000, 3020))
"""For figures in tables; never looked at while anything is being tuned."""

TRAINING_SEEDS_START = 1_000_000
"""Training draws its seeds from here upwards."""
