"""What a caller can choose about a phantom; everything else is drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cardiac_motion.errors import InputError


@dataclass(frozen=True)
class AppearanceOptions:
    """Switches of the image formation. Each draws from a random stream of its own, so none changes another.

    Attributes:
        texture: texture of the tissues, carried by the material.
        slice_thickness: average over the thickness of the slice, instead of an infinitely thin one.
        bias_field: smooth coil sensitivity.
        flow_dephasing: signal loss in jets, and signal of the blood that changes from frame to frame.
        ghosting: faint copies of the moving heart along the phase-encoding direction.
        mistriggering: single frames of single slices show another phase of the cycle; never frame 0.
        noise: Rician noise.
        breath_hold_shifts: each slice has its own in-plane shift, the same on all frames.
        random_contrast: every tissue has a random signal (for training); off for a bSSFP-like image.
    """

    texture: bool = True
    slice_thickness: bool = True
    bias_field: bool = True
    flow_dephasing: bool = True
    ghosting: bool = True
    mistriggering: bool = True
    noise: bool = True
    breath_hold_shifts: bool = True
    random_contrast: bool = False

    @classmethod
    def clean(cls) -> AppearanceOptions:
        """No artefacts: texture and slice thickness only."""
        return cls(
            bias_field=False,
            flow_dephasing=False,
            ghosting=False,
            mistriggering=False,
            noise=False,
            breath_hold_shifts=False,
        )


@dataclass(frozen=True)
class PhantomOptions:
    """What to sample. None means: drawn from the seed.

    Attributes:
        frames: number of frames over one cycle, at least 4.
        slices: number of short-axis slices (drawn: 8 to 12, enough to cover the heart).
        slice_spacing: mm between slices (drawn: 8 to 10, or as much as it takes to cover the heart).
        slice_thickness_mm: mm (drawn: 6 to 8).
        pixel_spacing: mm in the plane (drawn: 1.25 to 1.65).
        matrix: pixels (Y, X) (drawn: a field of view of 290 to 350 mm).
        ejection_fraction: of the left ventricle, 0.15 to 0.75.
        through_plane: False holds every point in its height along the long axis: no shortening, and slices
            at a right angle to the axis, so that all motion is in the plane of the short-axis slices.
        long_axis_views: also sample the 2-, 3- and 4-chamber cines.
        motion_truth: also give displacements and strain.
        varied: hearts far more varied than patients' are, to train on (`variation.py`).
        appearance: switches of the image formation.
    """

    frames: int = 25
    slices: int | None = None
    slice_spacing: float | None = None
    slice_thickness_mm: float | None = None
    pixel_spacing: float | None = None
    matrix: tuple[int, int] | None = None
    ejection_fraction: float | None = None
    through_plane: bool = True
    long_axis_views: bool = False
    motion_truth: bool = True
    varied: bool = False
    appearance: AppearanceOptions = field(default_factory=AppearanceOptions)

    def __post_init__(self) -> None:
        if self.frames < 4:
            raise InputError(f"a phantom has at least 4 frames, got {self.frames}")
        if self.slices is not None and self.slices < 1:
            raise InputError(f"a phantom has at least 1 slice, got {self.slices}")
        for name in ("slice_spacing", "slice_thickness_mm", "pixel_spacing"):
            value = getattr(self, name)
            if value is not None and not 0.1 <= value <= 50:
                raise InputError(f"{name} must be 0.1 to 50 mm, got {value}")
        if self.matrix is not None and not all(16 <= n <= 1024 for n in self.matrix):
            raise InputError(f"the matrix must be 16 to 1024 pixels a side, got {self.matrix}")
        if self.ejection_fraction is not None and not 0.15 <= self.ejection_fraction <= 0.75:
            raise InputError(f"the ejection fraction must be 0.15 to 0.75, got {self.ejection_fraction}")


def stream(seed: int, name: str) -> np.random.Generator:
    """The random stream of this name for this seed; streams of different names are independent."""
    if seed < 0:
        raise InputError(f"a seed is a whole number from 0 up, got {seed}")
    return np.random.default_rng([seed, *name.encode()])
