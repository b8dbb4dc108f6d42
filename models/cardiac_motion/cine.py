"""A cine: a film of image stacks with its geometry and frame times."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cardiac_motion.errors import InputError

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Cine:
    """A 4D image with geometry and frame times, checked when it is made.

    Attributes:
        frames: intensities, float32, (T, Z, Y, X), T >= 2; Z = 1 for a long-axis cine of one slice.
        affine: (4, 4) float64, maps voxel (i, j, k), which is (x, y, z), to world RAS in mm, as nibabel has it.
        frame_times: (T,) float64, seconds after the first frame, strictly increasing.

    Raises:
        InputError: a shape, value, affine or time that no cine can have.
    """

    frames: npt.NDArray[np.float32]
    affine: npt.NDArray[np.float64]
    frame_times: npt.NDArray[np.float64]
    name: str = field(default="cine", kw_only=True)

    def __post_init__(self) -> None:
        frames = np.ascontiguousarray(self.frames, dtype=np.float32)
        if frames.ndim != 4:
            raise InputError(f"a cine has 4 axes (T, Z, Y, X), got shape {frames.shape}")
        if frames.shape[0] < 2:
            raise InputError(f"a cine has at least 2 frames, got {frames.shape[0]}")
        if min(frames.shape) < 1 or min(frames.shape[2:]) < 4:
            raise InputError(f"a frame has at least 1 slice of 4 x 4 pixels, got (T, Z, Y, X) = {frames.shape}")
        if not np.isfinite(frames).all():
            count = int((~np.isfinite(frames)).sum())
            raise InputError(f"every voxel must be a finite number, got {count} that are NaN or infinite")
        times = np.array(self.frame_times, dtype=np.float64)
        if times.shape != frames.shape[:1]:
            raise InputError(f"expected {frames.shape[0]} frame times, one per frame, got shape {times.shape}")
        if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
            raise InputError(f"frame times must increase strictly, got {times.tolist()}")
        affine = check_affine(self.affine)
        for array in (frames, times, affine):
            array.setflags(write=False)
        object.__setattr__(self, "frames", frames)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "frame_times", times)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, Z, Y, X)."""
        t, z, y, x = self.frames.shape
        return t, z, y, x

    @property
    def n_frames(self) -> int:
        """Number of frames, T."""
        return self.shape[0]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size (z, y, x) in mm; for z the distance between slices, gap included."""
        return spacing_of(self.affine)

    @property
    def cycle_seconds(self) -> float:
        """Length of the cardiac cycle: the time from the first frame to the one after the last."""
        return cycle_seconds(self.frame_times)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over shape, voxels, affine and frame times; the name does not count."""
        digest = hashlib.sha256()
        digest.update(repr(self.shape).encode())
        for array in (self.frames, self.affine, self.frame_times):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def cycle_seconds(frame_times: npt.NDArray[np.float64]) -> float:
    """Length of a cycle sampled at these times (T,): to the frame after the last; 0 for a single frame."""
    n = len(frame_times)
    return float((frame_times[-1] - frame_times[0]) * n / (n - 1)) if n > 1 else 0.0


def check_affine(affine: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the affine as (4, 4) float64, or raise InputError that says what is wrong with it."""
    matrix = np.array(affine, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise InputError(f"an affine is 4 x 4, got shape {matrix.shape}")
    if not np.isfinite(matrix).all() or not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise InputError(f"an affine is finite and ends in the row (0, 0, 0, 1), got {matrix.tolist()}")
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if (lengths <= 1e-6).any():
        raise InputError(f"voxel spacing must be positive, got (x, y, z) = {lengths.tolist()} mm")
    if not np.isfinite(lengths).all():
        raise InputError(f"voxel spacing must be finite, got (x, y, z) = {lengths.tolist()} mm")
    if abs(np.linalg.det(matrix[:3, :3] / lengths)) < 1e-3:
        raise InputError(f"the affine cannot be inverted: its axes lie in a plane, {matrix[:3, :3].tolist()}")
    return matrix


def spacing_of(affine: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Voxel size (z, y, x) in mm of an affine that maps (i, j, k) = (x, y, z)."""
    x, y, z = np.linalg.norm(affine[:3, :3], axis=0)
    return float(z), float(y), float(x)
