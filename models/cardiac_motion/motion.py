"""Motion of a cine relative to a reference frame: both directions, composition, inversion, tracked points."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cardiac_motion.cine import Cine, check_affine, cycle_seconds, spacing_of
from cardiac_motion.errors import InputError, shown
from cardiac_motion.fields import Interpolation, compose, invert, sample, to_mm, warp

FloatField = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Motion:
    """Where every point of a cine is in every frame, relative to a reference frame r; checked when it is made.

    Both arrays are float32, (T, 3, Z, Y, X), components in the order (z, y, x), in mm along the array axes.
    Where the component along z is zero throughout, the motion is in-plane and every operation is made slice
    by slice in 2D, without interpolation between slices.

    Attributes:
        to_reference: at each voxel of frame t, the way to the matching point in frame r. It is the pull-back: it
            warps an image or a label of frame r into frame t. Zero at t = r.
        from_reference: at each voxel of frame r, the way to where that material point is in frame t. It moves
            points, and pulls frame t back onto r. Zero at t = r.
        reference: the frame r, counted from 0.
        affine: (4, 4) float64, of the cine.
        frame_times: (T,) float64 in seconds, of the cine.
        model: name of the model that estimated the motion.
        version: version of the model: of its code, and of its weights where it has some.
        image_hash: `Cine.content_hash` of the cine that the motion belongs to.
        settings: the options that the model ran with; whatever JSON can hold.
        inverse_residual_mm: where one direction is the numerical inverse of the other, the largest distance by
            which going there and back misses the start, over all points that stay inside the grid; None where
            the model gave both directions itself (see `inverse_error_mm`).

    Raises:
        InputError: shapes that do not fit, values that are not finite, a reference frame that moves.
    """

    to_reference: FloatField
    from_reference: FloatField
    reference: int = field(kw_only=True)
    affine: npt.NDArray[np.float64] = field(kw_only=True)
    frame_times: npt.NDArray[np.float64] = field(kw_only=True)
    model: str = field(kw_only=True)
    version: str = field(kw_only=True)
    image_hash: str = field(kw_only=True)
    settings: dict[str, Any] = field(kw_only=True, default_factory=dict)
    inverse_residual_mm: float | None = field(kw_only=True, default=None)

    def __post_init__(self) -> None:
        to_reference = _checked_field(self.to_reference, "to_reference", self.reference)
        from_reference = _checked_field(self.from_reference, "from_reference", self.reference)
        if to_reference.shape != from_reference.shape:
            raise InputError(
                "to_reference and from_reference must have one shape, got "
                f"{to_reference.shape} and {from_reference.shape}"
            )
        times = np.array(self.frame_times, dtype=np.float64)
        if times.shape != to_reference.shape[:1]:
            raise InputError(f"expected {to_reference.shape[0]} frame times, one per frame, got {times.shape}")
        if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
            raise InputError(f"frame times must increase strictly, got {times.tolist()}")
        residual = self.inverse_residual_mm
        if residual is not None and not (isinstance(residual, int | float) and 0 <= residual < np.inf):
            raise InputError(f"inverse_residual_mm must be None or a distance in mm, got {shown(residual)}")
        affine = check_affine(self.affine)
        for array in (times, affine):
            array.setflags(write=False)
        object.__setattr__(self, "to_reference", to_reference)
        object.__setattr__(self, "from_reference", from_reference)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "frame_times", times)
        object.__setattr__(self, "settings", _json_copy(self.settings))

    @classmethod
    def from_to_reference(cls, to_reference: FloatField, **about: Any) -> Motion:
        """Motion of a model that gives the pull-back of the reference; the other way is its numerical inverse.

        Args:
            to_reference: (T, 3, Z, Y, X) float32, mm, as in the class.
            **about: `reference`, `affine`, `frame_times`, `model`, `version`, `image_hash` and `settings`.
        """
        motion = cls(to_reference, np.zeros_like(to_reference), **about)
        inverse, residual = _invert_frames(motion.to_reference, motion.reference, motion.spacing)
        return replace(motion, from_reference=inverse, inverse_residual_mm=residual)

    @classmethod
    def from_from_reference(cls, from_reference: FloatField, **about: Any) -> Motion:
        """Motion of a model that says where the reference's points go; the other way is its numerical inverse.

        Args:
            from_reference: (T, 3, Z, Y, X) float32, mm, as in the class.
            **about: `reference`, `affine`, `frame_times`, `model`, `version`, `image_hash` and `settings`.
        """
        motion = cls(np.zeros_like(from_reference), from_reference, **about)
        inverse, residual = _invert_frames(motion.from_reference, motion.reference, motion.spacing)
        return replace(motion, to_reference=inverse, inverse_residual_mm=residual)

    @classmethod
    def from_steps(cls, steps: FloatField, **about: Any) -> Motion:
        """Motion of a model that gives the steps from each frame to the one before it.

        With phi_t(x) = x + steps[t](x), to_reference[t] is phi_{r+1} o ... o phi_t after the reference, and
        the inverses phi_{t+1}^-1, ... phi_r^-1 one after the other before it.

        Args:
            steps: (T, 3, Z, Y, X) float32, mm: steps[t], at each voxel of frame t, is the way to the matching
                point in frame t - 1; it warps frame t - 1 into frame t. steps[0] is not used.
            **about: `reference`, `affine`, `frame_times`, `model`, `version`, `image_hash` and `settings`.
        """
        reference = int(about["reference"])
        spacing = spacing_of(check_affine(about["affine"]))
        composed = np.zeros_like(_checked_field(steps, "steps", reference, at_rest=False))
        for t in range(reference + 1, len(steps)):
            composed[t] = compose_mm(composed[t - 1], steps[t], spacing)
        for t in range(reference - 1, -1, -1):
            back, _ = invert_mm(steps[t + 1], spacing)
            composed[t] = compose_mm(composed[t + 1], back, spacing)
        return cls.from_to_reference(composed, **about)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, Z, Y, X)."""
        t, _, z, y, x = self.to_reference.shape
        return t, z, y, x

    @property
    def n_frames(self) -> int:
        """Number of frames, T."""
        return self.shape[0]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size (z, y, x) in mm."""
        return spacing_of(self.affine)

    @property
    def cycle_seconds(self) -> float:
        """Length of the cardiac cycle: the time from the first frame to the one after the last."""
        return cycle_seconds(self.frame_times)

    @cached_property
    def is_in_plane(self) -> bool:
        """Whether nothing moves along z."""
        return not (self.to_reference[:, 0].any() or self.from_reference[:, 0].any())

    def check_belongs_to(self, cine: Cine) -> None:
        """Raise InputError where the motion was not estimated from this very cine."""
        if self.shape != cine.shape:
            raise InputError(f"the motion has (T, Z, Y, X) = {self.shape}, the cine {cine.shape}")
        if self.image_hash != cine.content_hash:
            raise InputError(
                f"the motion belongs to another image: expected hash {cine.content_hash}, got {self.image_hash}"
            )

    def between(self, source: int, target: int) -> FloatField:
        """The field that warps frame `source` into frame `target`: (3, Z, Y, X) float32, mm.

        At each voxel of frame `target`, the way to the matching point in frame `source`: first to the reference,
        then from there. Zero where the two are one frame.
        """
        source, target = self.check_frame(source), self.check_frame(target)
        if source == target:
            return np.zeros_like(self.to_reference[0])
        if source == self.reference:
            return self.to_reference[target].copy()
        if target == self.reference:
            return self.from_reference[source].copy()
        return compose_mm(self.from_reference[source], self.to_reference[target], self.spacing)

    def warp(
        self, image: npt.NDArray[Any], *, source: int, target: int, interpolation: Interpolation = "linear"
    ) -> npt.NDArray[Any]:
        """An image (Z, Y, X) of frame `source` as it looks in frame `target`; (Z, Y, X) of the same type.

        Args:
            image: intensities, or labels with interpolation "nearest".
            source: the frame that the image belongs to.
            target: the frame to warp it into.
            interpolation: "linear" or "nearest"; outside the grid the value at its border.
        """
        if image.shape != self.shape[1:]:
            raise InputError(f"expected an image (Z, Y, X) = {self.shape[1:]}, got {image.shape}")
        displacement = _voxels(self.between(source, target), self.spacing, in_plane=self.is_in_plane)
        pixels = torch.from_numpy(image.astype(np.float32))
        batch = pixels[:, None] if self.is_in_plane else pixels[None, None]
        warped = warp(batch, displacement, interpolation=interpolation).reshape(image.shape).numpy()
        return warped.astype(image.dtype)

    def track(self, points: npt.ArrayLike, *, start: int | None = None) -> npt.NDArray[np.float64]:
        """Paths of points over the cycle.

        Args:
            points: (N, 3) voxel coordinates (z, y, x) in frame `start`; they may lie between voxels.
            start: the frame in which they are given, by default the reference.

        Returns:
            (T, N, 3) voxel coordinates (z, y, x) in every frame; at `start` the points as given.
        """
        given = np.asarray(points, dtype=np.float64)
        if given.ndim != 2 or given.shape[1] != 3 or not np.isfinite(given).all():
            raise InputError(f"expected finite points (N, 3) in voxels (z, y, x), got shape {given.shape}")
        first = self.reference if start is None else self.check_frame(start)
        spacing = np.array(self.spacing)
        at_reference = given
        if first != self.reference:
            at_reference = given + _sample_at(self.to_reference[first], given) / spacing
        paths = np.stack([at_reference + _sample_at(u, at_reference) / spacing for u in self.from_reference])
        paths[first] = given
        return paths

    def track_world(self, points: npt.ArrayLike, *, start: int | None = None) -> npt.NDArray[np.float64]:
        """As `track`, with points (N, 3) and paths (T, N, 3) in world coordinates (RAS, mm)."""
        world = np.asarray(points, dtype=np.float64)
        if world.ndim != 2 or world.shape[1] != 3:
            raise InputError(f"expected points (N, 3) in world RAS mm, got shape {world.shape}")
        matrix, origin = self.affine[:3, :3], self.affine[:3, 3]
        voxels = np.linalg.solve(matrix, (world - origin).T).T[:, ::-1]
        return self.track(voxels, start=start)[..., ::-1] @ matrix.T + origin

    def inverse_error_mm(self, frame: int) -> npt.NDArray[np.float32]:
        """How exactly the two directions undo each other at a frame: (Z, Y, X) float32, mm.

        The distance |to_reference(from_reference(x)) - x| for each voxel x of the reference frame; NaN where
        the point leaves the grid, since nothing is known there.
        """
        t = self.check_frame(frame)
        return _round_trip_mm(self.to_reference[t], self.from_reference[t], self.spacing)

    def check_frame(self, frame: int) -> int:
        """The frame, or InputError where there is none of this number."""
        if not 0 <= frame < self.n_frames:
            raise InputError(f"frames are counted from 0 to {self.n_frames - 1}, got {frame}")
        return int(frame)


def compose_mm(outer: FloatField, inner: FloatField, spacing: Sequence[float]) -> FloatField:
    """Displacement of phi_outer(phi_inner(x)), all (3, Z, Y, X) in mm, components (z, y, x)."""
    in_plane = not (outer[0].any() or inner[0].any())
    composed = compose(_voxels(outer, spacing, in_plane=in_plane), _voxels(inner, spacing, in_plane=in_plane))
    return _millimetres(composed, spacing)


def invert_mm(displacement: FloatField, spacing: Sequence[float]) -> tuple[FloatField, float]:
    """Numerical inverse of a displacement (3, Z, Y, X) in mm, and its largest residual in mm.

    The residual is |phi(phi^-1(x)) - x|, over points x whose image under phi^-1 lies inside the grid.
    """
    inverse = np.zeros_like(displacement)
    moving = np.argwhere(displacement.any(axis=0))
    if not moving.size:
        return inverse, 0.0
    # Nothing moves outside this box and its margin of one voxel, so the inverse is the identity there.
    box = tuple(slice(max(0, a - 1), b + 2) for a, b in zip(moving.min(axis=0), moving.max(axis=0), strict=True))
    part = displacement[(slice(None), *box)]
    in_plane = not part[0].any()
    found = _millimetres(invert(_voxels(part, spacing, in_plane=in_plane)).field, spacing)
    inverse[(slice(None), *box)] = found
    errors = _round_trip_mm(part, found, spacing)
    known = errors[np.isfinite(errors)]
    return inverse, float(known.max()) if known.size else 0.0


def _invert_frames(fields: FloatField, reference: int, spacing: Sequence[float]) -> tuple[FloatField, float]:
    inverse = np.zeros_like(fields)
    residual = 0.0
    for t in range(len(fields)):
        if t != reference:
            inverse[t], error = invert_mm(fields[t], spacing)
            residual = max(residual, error)
    return inverse, residual


def _round_trip_mm(outer: FloatField, inner: FloatField, spacing: Sequence[float]) -> npt.NDArray[np.float32]:
    """|phi_outer(phi_inner(x)) - x| in mm, (Z, Y, X); NaN where phi_inner(x) lies outside the grid."""
    error: npt.NDArray[np.float32] = np.linalg.norm(compose_mm(outer, inner, spacing), axis=0)
    shape = inner.shape[1:]
    for axis, (n, step) in enumerate(zip(shape, spacing, strict=True)):
        place = np.arange(n, dtype=np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
        place = place + inner[axis] / np.float32(step)
        error[(place < 0) | (place > n - 1)] = np.nan
    return error


def _voxels(displacement: FloatField, spacing: Sequence[float], *, in_plane: bool) -> Tensor:
    """A displacement (3, Z, Y, X) in mm as a field in voxels: (Z, 2, Y, X) where in-plane, or (1, 3, Z, Y, X)."""
    scale = np.array(spacing, dtype=np.float32).reshape(3, 1, 1, 1)
    voxels = torch.from_numpy(displacement / scale)
    return voxels[1:].transpose(0, 1).contiguous() if in_plane else voxels[None]


def _millimetres(displacement: Tensor, spacing: Sequence[float]) -> FloatField:
    """The way back from `_voxels`."""
    if displacement.shape[1] == 3:
        return to_mm(displacement, spacing)[0].numpy()
    in_plane = to_mm(displacement, spacing[1:]).transpose(0, 1)
    return np.ascontiguousarray(torch.cat([torch.zeros_like(in_plane[:1]), in_plane]).numpy())


def _sample_at(displacement: FloatField, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Values (N, 3) in mm of a displacement (3, Z, Y, X) at voxel coordinates (N, 3)."""
    values = torch.from_numpy(displacement[None].astype(np.float64))
    coordinates = torch.from_numpy(np.ascontiguousarray(points.T)).reshape(1, 3, -1, 1, 1)
    return sample(values, coordinates).reshape(3, -1).T.numpy()


def _checked_field(array: npt.ArrayLike, name: str, reference: int, *, at_rest: bool = True) -> FloatField:
    """The array as read-only float32 (T, 3, Z, Y, X), or InputError."""
    values = np.ascontiguousarray(array, dtype=np.float32).view()
    if values.ndim != 5 or values.shape[1] != 3 or min(values.shape) < 1:
        raise InputError(f"{name} is (T, 3, Z, Y, X), got shape {values.shape}")
    if not 0 <= reference < values.shape[0]:
        raise InputError(f"the reference must be a frame from 0 to {values.shape[0] - 1}, got {reference}")
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise InputError(f"{name} must be finite, got {count} values that are NaN or infinite")
    if at_rest and values[reference].any():
        largest = float(np.abs(values[reference]).max())
        raise InputError(f"{name} must be zero at the reference frame {reference}, got up to {largest:.3g} mm")
    values.setflags(write=False)
    return values


def _json_copy(settings: dict[str, Any]) -> dict[str, Any]:
    """A copy of the settings as JSON keeps them, or InputError."""
    try:
        copy = json.loads(json.dumps(settings, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"settings must be what JSON can hold: {error}") from error
    if not isinstance(copy, dict):
        raise InputError(f"settings must be a mapping from names to values, got {type(settings).__name__}")
    return copy
