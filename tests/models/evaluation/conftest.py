"""A beating ring beside a disc, whose motion is known exactly, and models that know it more or less well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.labels import Label
from cardiac_motion.motion import Motion
from cardiac_motion.registration.base import Progress, silent

SHAPE = (4, 3, 44, 52)
SPACING = (8.0, 1.6, 1.4)
CENTRE = np.array([36.0, 38.0])
"""Of the ring, mm."""

BESIDE = np.array([36.0, 11.0])
"""Centre of the disc beside it, mm."""

SCALES = np.array([1.0, 0.8, 0.65, 0.85])
"""Of the heart in each frame; ES is frame 2."""


def positions() -> npt.NDArray[np.float64]:
    """(2, Y, X) mm."""
    y, x = (np.arange(n) * s for n, s in zip(SHAPE[2:], SPACING[1:], strict=True))
    return np.stack(np.meshgrid(y, x, indexing="ij"))


def contraction() -> npt.NDArray[np.float32]:
    """(T, 3, Z, Y, X) mm, from frame 0: every point moves towards the centre of the ring."""
    arm = positions() - CENTRE.reshape(2, 1, 1)
    fields = np.zeros((SHAPE[0], 3, *SHAPE[1:]), np.float32)
    for t, scale in enumerate(SCALES):
        fields[t, 1:] = ((scale - 1) * arm)[:, None]
    return fields


def true_labels() -> npt.NDArray[np.uint8]:
    labels = np.zeros(SHAPE, np.uint8)
    for t, scale in enumerate(SCALES):
        at_rest = CENTRE.reshape(2, 1, 1) + (positions() - CENTRE.reshape(2, 1, 1)) / scale
        ring = np.linalg.norm(at_rest - CENTRE.reshape(2, 1, 1), axis=0)
        beside = np.linalg.norm(at_rest - BESIDE.reshape(2, 1, 1), axis=0)
        labels[t, :, beside < 7] = Label.RV
        labels[t, :, ring < 18] = Label.MYO
        labels[t, :, ring < 11] = Label.LV
    return labels


@dataclass(frozen=True, eq=False)
class Study:
    """The cine, its labels and its motion."""

    cine: Cine
    labels: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class KnownMotion:
    """A model that knows a share of the true motion; with a share of 0, none of it."""

    share: float = 1.0
    name: str = "known"
    version: str = "1"
    views: tuple[str, ...] = ("sax",)
    weights_checksum: str | None = None
    default_options: Any = None

    def estimate(
        self, cine: Cine, *, reference: int = 0, options: Any = None, progress: Progress = silent
    ) -> Motion:
        assert reference == 0
        share = self.share if options is None else options
        progress(0.5, "half way")
        frames = [0, 2] if cine.n_frames == 2 else list(range(SHAPE[0]))
        scales = SCALES[frames].reshape(-1, 1, 1, 1, 1)
        ahead = share * contraction()[frames]
        back = -ahead / (1 + share * (scales - 1))  # the exact inverse of a scaling about a point
        return Motion(
            back.astype(np.float32),
            ahead,
            reference=0,
            affine=cine.affine,
            frame_times=cine.frame_times,
            model=self.name,
            version="1",
            image_hash=cine.content_hash,
        )


@pytest.fixture(scope="session")
def study() -> Study:
    labels = true_labels()
    intensity = np.array([40, 150, 70, 180, 0, 0], np.float32)[labels]
    # A texture that moves along with the material; it fades before points come from outside the image.
    for t, scale in enumerate(SCALES):
        at_rest = CENTRE.reshape(2, 1, 1) + (positions() - CENTRE.reshape(2, 1, 1)) / scale
        fading = np.exp(-((np.linalg.norm(at_rest - CENTRE.reshape(2, 1, 1), axis=0) / 18) ** 2))
        intensity[t] += 30 * fading * np.sin(at_rest[0] / 3.0) * np.cos(at_rest[1] / 4.0)
    affine = np.diag([SPACING[2], SPACING[1], SPACING[0], 1.0])
    return Study(Cine(intensity, affine, np.arange(SHAPE[0]) * 0.1, name="ring"), labels)


@pytest.fixture(scope="session")
def known() -> Callable[[float], KnownMotion]:
    return KnownMotion
