"""Images, labels and displacements of one slice of a phantom over a list of phases."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cardiac_motion.phantom.anatomy import Anatomy
from cardiac_motion.phantom.canvas import Canvas
from cardiac_motion.phantom.deformation import Points
from cardiac_motion.phantom.flow import Flow
from cardiac_motion.phantom.model import Phantom
from cardiac_motion.phantom.views import View


@dataclass(frozen=True)
class RenderedSlice:
    """One slice at T phases.

    Attributes:
        frames: (T, Y, X), float32, blood about 1.
        labels: (T, Y, X), uint8, in the middle of the slice.
        to_reference: (T, 3, Y, X), mm, components (z, y, x) along the array axes; None if not asked for.
        from_reference: the same, the other way.
    """

    frames: Tensor
    labels: Tensor
    to_reference: Tensor | None
    from_reference: Tensor | None


def slice_offsets(thickness: float, samples: int) -> tuple[float, ...]:
    """Distances from the middle of a slice at which it is sampled; the middle is the middle one of them."""
    if samples < 1 or samples % 2 == 0:
        raise ValueError(f"the number of samples through a slice must be odd, got {samples}")
    return tuple(thickness * ((i + 0.5) / samples - 0.5) for i in range(samples))


def render_slice(
    phantom: Phantom,
    view: View,
    slice_index: int,
    phases: list[float],
    *,
    shift: tuple[float, float] = (0.0, 0.0),
    samples: int = 5,
    flow: Flow | None = None,
    motion: bool = True,
) -> RenderedSlice:
    """Sample one slice of a phantom.

    What never moves is computed once; for each phase the points of the heart and its surroundings are taken
    back to the material, where anatomy and texture are read.

    Args:
        phantom: what is sampled.
        view: planes.
        slice_index: which of the view's slices.
        phases: T phases of the cycle.
        shift: (y, x) mm by which the anatomy appears displaced in this slice.
        samples: points through the thickness, odd; 1 for an infinitely thin slice.
        flow: signal of flowing blood, or None for blood that behaves as tissue.
        motion: also give the displacements.
    """
    points = view.points(slice_index, shift=shift, offsets=slice_offsets(view.thickness, samples))
    middle = samples // 2
    _, height, width = view.shape
    edge = view.spacing[2]
    x, y = phantom.shape.to_canonical(*points)
    moves = phantom.deformation(0.0).moves(x, y).any(dim=0).flatten()
    inside = moves.nonzero()[:, 0]
    resting = (~moves).nonzero()[:, 0]

    def pick(index: Tensor) -> Points:
        a, b, c = (p.reshape(samples, -1)[:, index] for p in points)
        return a, b, c

    canonical_rest = _canonical(phantom, pick(resting))
    still, still_labels = _look(phantom, canonical_rest, edge, middle)
    here = pick(inside)
    deformed = _canonical(phantom, here)
    centre: Points = (here[0][middle], here[1][middle], here[2][middle])
    centre_canonical = (deformed[0][middle], deformed[1][middle], deformed[2][middle])
    frames = torch.empty(len(phases), height * width)
    labels = torch.empty(len(phases), height * width, dtype=torch.uint8)
    frames[:, resting] = still
    labels[:, resting] = still_labels
    to_reference = torch.zeros(len(phases), 3, height * width) if motion else None
    from_reference = torch.zeros(len(phases), 3, height * width) if motion else None
    for t, phase in enumerate(phases):
        deformation = phantom.deformation(phase)
        material = deformation.inverse(deformed)
        image, label = _look(phantom, material, edge, middle, flow=flow, at=deformed, phase=phase)
        frames[t, inside] = image
        labels[t, inside] = label
        if to_reference is not None and from_reference is not None and not deformation.at_rest:
            origin: Points = (material[0][middle], material[1][middle], material[2][middle])
            to_reference[t, :, inside] = _displacement(phantom, view, centre, origin)
            moved = deformation.forward(centre_canonical)
            from_reference[t, :, inside] = _displacement(phantom, view, centre, moved)
    size = (height, width)
    return RenderedSlice(
        frames.unflatten(-1, size),
        labels.unflatten(-1, size),
        None if to_reference is None else to_reference.unflatten(-1, size),
        None if from_reference is None else from_reference.unflatten(-1, size),
    )


def _canonical(phantom: Phantom, points: Points) -> Points:
    return (*phantom.shape.to_canonical(*points), points[2])


def _displacement(phantom: Phantom, view: View, start: Points, end_canonical: Points) -> Tensor:
    x, y = phantom.shape.from_canonical(*end_canonical)
    return view.components((x - start[0], y - start[1], end_canonical[2] - start[2]))


def _look(
    phantom: Phantom,
    material: Points,
    edge: float,
    middle: int,
    *,
    flow: Flow | None = None,
    at: Points | None = None,
    phase: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Mean signal over the samples (S, N) and labels in the middle, at canonical material points."""
    x, y, z = material
    coarse, fine = phantom.texture.at(x, y, z)
    canvas = Canvas(x, phantom.contrast, edge=edge)
    body = phantom.to_body((*phantom.shape.from_canonical(x, y, z), z))
    phantom.body.paint(canvas, *body, fine)
    anatomy = Anatomy(phantom.heart, x, y, z)
    anatomy.paint(canvas, coarse, fine)
    signal = canvas.signal + canvas.amplitude * (0.85 * coarse + 0.5 * fine)
    if flow is not None and at is not None:
        signal = signal * (1 + canvas.blood * flow.change(phantom, at, phase))
    return signal.clamp_min(0).mean(dim=0), anatomy.labels()[middle]
