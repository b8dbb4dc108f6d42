"""Random generators of a run: seeded anew at every step, and given back to the caller as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_step(seed: int, step: int, part: int) -> None:
    """Seed all generators for a part of a step's batch."""
    words = np.random.SeedSequence([seed, step + 1, part]).generate_state(2, np.uint64)
    random.seed(int(words[0]))
    np.random.seed(int(words[0]) % 2**32)  # noqa: NPY002 - the generator that a network or loss may use unasked
    torch.manual_seed(int(words[1]) % 2**63)


@contextmanager
def own_randomness() -> Iterator[None]:
    """Give the caller its random generators back as they were."""
    ours: Any = random.getstate()
    numpys: Any = np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)  # noqa: NPY002
