"""A cine as it goes into DICOM: geometry slice by slice, times of every frame, pixels as they are stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pydicom.valuerep import format_number_as_ds

from cardiac_motion.cine import Cine, check_affine
from cardiac_motion.errors import InputError

FloatArray = npt.NDArray[np.float64]

LEVELS = 2**16 - 1
"""Largest value that 16 unsigned bits hold."""
_ORTHOGONAL = 1e-4
"""Largest cosine between rows and columns; the standard asks for a right angle and says no tolerance."""
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class StoredPixels:
    """Pixels as unsigned integers; a pixel's value is ``slope * stored + intercept``.

    Attributes:
        values: (T, Z, Y, X), uint16.
        slope: greater than 0, exactly as a decimal string of 16 characters says it.
        intercept: the same.
        bits: that are used, 12 or 16.
    """

    values: npt.NDArray[np.uint16]
    slope: float
    intercept: float
    bits: int


@dataclass(frozen=True)
class CineSeries:
    """A cine with what a scanner says of it.

    Attributes:
        cine: images and geometry.
        name: of the view, such as ``sax`` or ``4ch``; it goes into the description of the series.
        slice_thickness_mm: by default the distance between slices.
        rr_seconds: (Z,) length of the heart cycle in which each slice was acquired; by default the cine's own in
            all. Frames of a slice are spread over its own cycle as the cine's are over the cine's.

    Raises:
        InputError: an image or a value that DICOM cannot hold.
    """

    cine: Cine
    name: str
    slice_thickness_mm: float | None = None
    rr_seconds: tuple[float, ...] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if (
            not self.name.isascii()
            or not self.name.isprintable()
            or not 1 <= len(self.name) <= 32
            or "\\" in self.name
        ):
            raise InputError(f"expected a name of 1 to 32 plain characters, got {self.name!r}")
        row, column = self.orientation[:3], self.orientation[3:]
        cosine = abs(float(row @ column))
        if cosine > _ORTHOGONAL:
            raise InputError(
                "DICOM holds images whose rows and columns are at a right angle; "
                f"in {self.name} their cosine is {cosine:.2g}"
            )
        if max(self.cine.shape[2:]) > LEVELS:
            raise InputError(
                f"DICOM holds at most {LEVELS} rows and columns, got (T, Z, Y, X) = {self.cine.shape}"
            )
        if self.rr_seconds is not None:
            slices = self.cine.shape[1]
            if len(self.rr_seconds) != slices or not all(0.1 <= rr <= 10 for rr in self.rr_seconds):
                raise InputError(f"expected {slices} heart cycles of 0.1 to 10 s, got {self.rr_seconds}")
        if self.slice_thickness_mm is not None and not self.slice_thickness_mm > 0:
            raise InputError(f"expected a slice thickness above 0 mm, got {self.slice_thickness_mm}")

    @cached_property
    def lps(self) -> FloatArray:
        """(4, 4): voxel (i, j, k) to the patient's coordinates, LPS in mm."""
        return _RAS_TO_LPS @ check_affine(self.cine.affine)

    @cached_property
    def orientation(self) -> FloatArray:
        """(6,): direction in which the column index grows, then that in which the row index grows."""
        axes = self.lps[:3, :2]
        return (axes / np.linalg.norm(axes, axis=0)).T.ravel()

    @property
    def normal(self) -> FloatArray:
        """(3,): of the planes, by the rule that DICOM has; slices may follow it or go against it."""
        return np.cross(self.orientation[:3], self.orientation[3:])

    def position(self, z: int) -> FloatArray:
        """(3,): centre of the first pixel of slice ``z``, LPS in mm."""
        return self.lps[:3] @ np.array([0.0, 0.0, z, 1.0])

    @property
    def pixel_spacing(self) -> tuple[float, float]:
        """Between rows, then between columns, mm."""
        return self.cine.spacing[1], self.cine.spacing[2]

    @property
    def slice_spacing(self) -> float:
        """Between the planes, along their normal, mm."""
        return abs(float(self.normal @ self.lps[:3, 2]))

    @property
    def thickness(self) -> float:
        """Of the slices, mm."""
        return self.slice_spacing if self.slice_thickness_mm is None else self.slice_thickness_mm

    def rr_ms(self, z: int) -> float:
        """Length of the heart cycle of slice ``z``."""
        return 1000 * (self.cine.cycle_seconds if self.rr_seconds is None else self.rr_seconds[z])

    def trigger_ms(self, t: int, z: int) -> float:
        """Time of frame ``t`` in slice ``z`` after the first one, in that slice's own cycle."""
        return self.nominal_trigger_ms(t) * self.rr_ms(z) / (1000 * self.cine.cycle_seconds)

    def nominal_trigger_ms(self, t: int) -> float:
        """Time of frame ``t`` after the first one, in the cine's cycle: the same in all slices."""
        return 1000 * float(self.cine.frame_times[t] - self.cine.frame_times[0])

    @cached_property
    def stored(self) -> StoredPixels:
        """Whole numbers as they are; others in 65,536 steps from the smallest, or from 0, to the largest."""
        frames = self.cine.frames
        low, high = float(frames.min()), float(frames.max())
        intercept = min(0.0, low)
        if (
            high - intercept <= LEVELS
            and intercept == round(intercept)
            and np.array_equal(frames, np.rint(frames))
        ):
            values = (frames - np.float32(intercept)).astype(np.uint16)
            return StoredPixels(values, 1.0, intercept, 12 if high - intercept < 2**12 else 16)
        # Rounded as they will be written first: then the stored numbers belong to what readers multiply by.
        intercept = as_written(intercept)
        slope = as_written((high - intercept) / LEVELS)
        if not slope > 0:
            raise InputError(f"expected intensities that 16 bits can tell apart, got {low:.3g} to {high:.3g}")
        steps = np.rint((frames.astype(np.float64) - intercept) / slope)
        return StoredPixels(steps.clip(0, LEVELS).astype(np.uint16), slope, intercept, 16)

    @cached_property
    def window(self) -> tuple[float, float]:
        """Centre and width: from the 1st to the 99th percentile of the intensities."""
        low, high = np.percentile(self.cine.frames, (1, 99)).tolist()
        return (low + high) / 2, max(high - low, 1.0)


def as_written(value: float) -> float:
    """The number that a decimal string of 16 characters holds for it."""
    return float(decimal(value))


def decimal(value: float) -> str:
    """As a decimal string (DS): at most 16 characters."""
    return format_number_as_ds(float(value))
