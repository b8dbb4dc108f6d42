from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.io.motion_folder import write_motion
from cardiac_motion.motion import Motion
from cardiac_motion.phantom import AppearanceOptions, PhantomOptions, PhantomStudy, make_study
from scipy.spatial.transform import Rotation


def _rotated(
    spacing: tuple[float, float, float], degrees: tuple[float, float, float], origin: tuple[float, float, float]
) -> list[list[float]]:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("zyx", degrees, degrees=True).as_matrix() * spacing
    affine[:3, 3] = origin
    return affine.tolist()


AFFINES: dict[str, list[list[float]]] = {
    "axial": [[-1.4, 0, 0, 20], [0, -1.3, 0, 7], [0, 0, 8, 3], [0, 0, 0, 1]],
    "oblique": _rotated((1.4, 1.4, 9.0), (20, 35, 50), (-31.7, 12.25, 140.03)),
    "skewed": [[1.4, 0.1, 0.3, -20], [0.05, 1.3, 0.2, 7], [0, -0.2, 8, 3], [0, 0, 0, 1]],
    "left-handed": [[1.4, 0, 0, -20], [0, 1.3, 0, 7], [0, 0, -8, 3], [0, 0, 0, 1]],
}


@dataclass(frozen=True)
class Small:
    """A small cine of noise with labels in its middle, not the same on any two frames."""

    values: npt.NDArray[np.int16]
    labels: npt.NDArray[np.uint8]
    affine: npt.NDArray[np.float64]
    times: npt.NDArray[np.float64]

    def in_scene(self, name: str = "study") -> Any:
        from CardiacMotionLib.cine import make_cine  # noqa: PLC0415 - needs Slicer

        return make_cine(name, self.values, self.affine, self.times)


def make_small(affine: str = "oblique", *, frames: int = 5, slices: int = 4) -> Small:
    random = np.random.default_rng(7)
    shape = (frames, slices, 24, 20)
    labels = np.zeros(shape, dtype=np.uint8)
    for t in range(frames):
        labels[t, :, 4 : 16 + t % 3, 3:14] = 1
        labels[t, :, 6:15, 5:13] = 2
        labels[t, :, 8:13, 7 : 11 - t % 2] = 3
    return Small(
        random.integers(0, 900, shape).astype(np.int16),
        labels,
        np.array(AFFINES[affine]),
        np.arange(frames) * 0.031,
    )


@pytest.fixture
def small() -> Small:
    return make_small()


@pytest.fixture(scope="session")
def study() -> PhantomStudy:
    """A phantom whose motion is known, few slices and frames."""
    options = PhantomOptions(frames=6, slices=4, appearance=AppearanceOptions.clean(), motion_truth=True)
    return make_study(3, options)


@pytest.fixture
def motion_folder(study: PhantomStudy, tmp_path: Path) -> Path:
    folder = tmp_path / "motion"
    write_motion(folder, truth(study))
    return folder


def truth(study: PhantomStudy) -> Motion:
    assert study.motion is not None
    to_reference, from_reference = study.motion
    return Motion(
        to_reference,
        from_reference,
        reference=0,
        affine=study.cine.affine,
        frame_times=study.cine.frame_times,
        model="truth",
        version="1",
        image_hash=study.cine.content_hash,
    )
