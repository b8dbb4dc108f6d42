"""A task that takes milliseconds: discs in rings on noise, a U-Net of two levels."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from cardiac_motion.phantom.clips import VIEWS
from cardiac_motion.training.augment import Augmentation
from cardiac_motion.training.options import FitOptions
from cardiac_motion.training.pool import ClipArguments
from cardiac_motion.training.recipes.segmentation import PoolRecipe, SegmentationRecipe, SegmentationTask
from cardiac_motion.training.sources import Sample

MakeTask = Callable[..., SegmentationTask]


class Discs:
    """Bright discs in dark rings, beside a bright blob; each sample drawn from its number."""

    def __init__(self, count: int = 64, size: int = 40, frames: int = 1) -> None:
        self.count, self.size, self.frames = count, size, frames

    @property
    def identity(self) -> str:
        return f"discs {self.count} {self.size} {self.frames}"

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng(index)
        y, x = np.mgrid[: self.size, : self.size] - rng.uniform(14, 26, (2, 1, 1))
        away = np.hypot(y, x)
        labels = np.where(away < 6, 3, np.where(away < 10, 2, 0)).astype(np.uint8)
        labels[(np.hypot(y, x + 12) < 6) & (labels == 0)] = 1
        values = np.array([110, 240, 40, 230])[labels] + rng.normal(0, 12, labels.shape)
        images = np.repeat(np.clip(values, 0, 255).astype(np.uint8)[None], self.frames, 0)
        return Sample(images, labels, VIEWS.index("sax"))


def free_port() -> int:
    """One on which processes can meet."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def tiny_recipe(dropout: float = 0.1, views: int = 0) -> SegmentationRecipe:
    arguments = ClipArguments(size=40)
    options = FitOptions(steps=8, batch=4, learning_rate=5e-3, warmup=2, validate_every=4, checkpoint_every=3)
    return SegmentationRecipe(
        name="unet",
        network="unet",
        config={"classes": 4, "width": 4, "levels": 3, "dropout": dropout, "views": views},
        training=PoolRecipe(clips=4, seed=0, arguments=arguments),
        validation=PoolRecipe(clips=2, seed=1, arguments=arguments),
        fit=options,
        fine_tuning=options,
        augmentation=Augmentation(size=32),
    )


@pytest.fixture
def make_task() -> MakeTask:
    def make(*, dropout: float = 0.1, views: int = 0, seed: int = 0) -> SegmentationTask:
        return SegmentationTask(
            tiny_recipe(dropout, views),
            training={"discs": Discs()},
            validation=Discs(8),
            seed=seed,
            about="Discs.",
        )

    return make


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums are the same from run to run, and of one process as of several, only with as many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
