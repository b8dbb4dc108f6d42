"""The planes on which a phantom is sampled: a short-axis stack and long-axis views."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from cardiac_motion.phantom.deformation import Points
from cardiac_motion.phantom.model import Matrix, Phantom
from cardiac_motion.phantom.options import PhantomOptions, stream

ViewName = Literal["sax", "2ch", "3ch", "4ch"]
LONG_AXIS_VIEWS: tuple[ViewName, ...] = ("2ch", "3ch", "4ch")


@dataclass(frozen=True)
class View:
    """A stack of parallel slices.

    Attributes:
        shape: (Z, Y, X).
        to_heart: (4, 4) voxel (i, j, k), which is (x, y, z), to heart coordinates in mm.
        thickness: of the slices, mm.
    """

    name: ViewName
    shape: tuple[int, int, int]
    to_heart: Matrix
    thickness: float

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size (z, y, x) in mm."""
        x, y, z = np.linalg.norm(self.to_heart[:3, :3], axis=0)
        return float(z), float(y), float(x)

    @property
    def directions(self) -> Matrix:
        """(3, 3): rows are the unit vectors of the array axes z, y, x in heart coordinates."""
        columns = self.to_heart[:3, :3]
        return (columns / np.linalg.norm(columns, axis=0)).T[::-1]

    def points(self, slice_index: int, *, shift: tuple[float, float], offsets: tuple[float, ...]) -> Points:
        """Heart coordinates of the pixels of a slice, each (S, Y, X), float32.

        Args:
            slice_index: which slice.
            shift: (y, x) in mm by which the anatomy appears displaced in this slice.
            offsets: S distances from the middle of the slice along its normal, mm.
        """
        _, height, width = self.shape
        dz, dy, dx = self.spacing
        j = torch.arange(height, dtype=torch.float64) - shift[0] / dy
        i = torch.arange(width, dtype=torch.float64) - shift[1] / dx
        k = slice_index + torch.tensor(offsets, dtype=torch.float64) / dz
        rows = self.to_heart[:3].tolist()
        x, y, z = (
            (row[0] * i[None, None] + row[1] * j[None, :, None] + row[2] * k[:, None, None] + row[3]).float()
            for row in rows
        )
        return x, y, z

    def components(self, displacement: Points) -> Tensor:
        """Displacements in heart coordinates as components along the array axes: (3, ...), (z, y, x)."""
        dx, dy, dz = displacement
        return torch.stack([row[0] * dx + row[1] * dy + row[2] * dz for row in self.directions.tolist()])


def _place(
    name: ViewName, axes: Matrix, centre: Matrix, spacing: Matrix, shape: tuple[int, int, int], thick: float
) -> View:
    """A view whose middle voxel is at ``centre``; columns of ``axes`` are the directions of i, j and k."""
    matrix = np.eye(4)
    matrix[:3, :3] = axes * spacing
    middle = (np.array(shape[::-1], dtype=float) - 1) / 2
    matrix[:3, 3] = centre - matrix[:3, :3] @ middle
    return View(name, shape, matrix, thick)


def _matrix_size(rng: np.random.Generator, options: PhantomOptions, pixel: float) -> tuple[int, int]:
    if options.matrix is not None:
        return options.matrix
    width = float(rng.uniform(300, 350))
    height = width * float(rng.uniform(0.82, 1.0))
    return round(height / pixel / 8) * 8, round(width / pixel / 8) * 8


def short_axis_view(phantom: Phantom, options: PhantomOptions) -> View:
    """The short-axis stack: 8 to 12 slices from beyond the apex to above the base, slightly off the true axis."""
    rng = stream(phantom.seed, "short axis")
    pixel = options.pixel_spacing or float(rng.uniform(1.25, 1.65))
    drawn_spacing, thickness = float(rng.uniform(8, 10)), float(rng.uniform(6, 8))
    spacing = options.slice_spacing or drawn_spacing
    thickness = options.slice_thickness_mm or min(thickness, spacing)
    length = phantom.heart.length
    below, above = float(rng.uniform(0, 0.8)), float(rng.uniform(0.3, 1.3))
    drawn_slices = int(np.clip(round(length / spacing + below + above), 8, 12))
    slices = options.slices or drawn_slices
    if options.slices is not None and options.slice_spacing is None:
        spacing = max(drawn_spacing, (length + 8) / slices)
    angle = float(rng.normal(0, math.radians(10)))
    tilt_angle, tilt_axis = math.radians(float(rng.uniform(0, 6))), float(rng.uniform(0, 2 * math.pi))
    if not options.through_plane:
        tilt_angle = 0.0
    turn = _about((0.0, 0.0, 1.0), angle)
    tilt = _about((math.cos(tilt_axis), math.sin(tilt_axis), 0.0), tilt_angle)
    shape = (slices, *_matrix_size(rng, options, pixel))
    # The stack's middle: its lower end `below` slices under the apex, or spread evenly where it was chosen.
    bottom = (0.5 - below) * spacing
    if options.slices is not None or options.slice_spacing is not None:
        bottom = length / 2 - (slices - 1) / 2 * spacing + 2
    centre_z = bottom + (slices - 1) / 2 * spacing
    offset = rng.uniform(-0.06, 0.06, 2) * np.array([shape[2], shape[1]]) * pixel
    centre = np.array([-0.35 * phantom.heart.rv_width + offset[0], offset[1], centre_z])
    return _place("sax", tilt @ turn, centre, np.array([pixel, pixel, spacing]), shape, thickness)


def long_axis_view(phantom: Phantom, options: PhantomOptions, name: ViewName) -> View:
    """A long-axis plane: through the axis of the LV, and the RV (4ch), the inferior wall (2ch) or the aorta (3ch).

    In the image the apex is at the top.
    """
    rng = stream(phantom.seed, name)
    pixel = options.pixel_spacing or float(rng.uniform(1.25, 1.65))
    thickness = options.slice_thickness_mm or float(rng.uniform(6, 8))
    heart = phantom.heart
    x, y, _ = heart.aorta_path[0]
    angles = {
        "4ch": heart.rv_angle + math.pi - 0.15,
        "2ch": heart.rv_angle + math.pi / 2,
        "3ch": math.atan2(y, x) + math.pi,
    }
    if name not in angles:
        raise ValueError(f"a long-axis view is one of {sorted(angles)}, got {name!r}")
    angle = angles[name] + float(rng.normal(0, math.radians(3)))
    across = np.array([math.cos(angle), math.sin(angle), 0.0])
    down = np.array([0.0, 0.0, 1.0])
    axes = np.stack([across, down, np.cross(across, down)], axis=1)
    shape = (1, *_matrix_size(rng, options, pixel))
    aside = -0.3 * heart.rv_width if name == "4ch" else 0.0
    centre = across * aside + np.array([0.0, 0.0, 0.75 * heart.length])
    return _place(name, axes, centre, np.array([pixel, pixel, thickness]), shape, thickness)


def _about(axis: tuple[float, float, float], angle: float) -> Matrix:
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
