"""Images, labels and displacements of one slice of a phantom over a list of phases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cardiac_motion.phantom.anatomy import Anatomy
from cardiac_motion.phantom.canvas import Canvas
from cardiac_motion.phantom.deformation import Points
from cardiac_motion.phantom.flow import Flow
from cardiac_motion.phantom.model import Phantom
from cardiac_motion.phantom.views import View

CHUNK = 32_000
"""Points worked on at once: they stay in the processor's cache, and below torch's threshold for splitting an
operation between threads, which at this size costs more than it gains."""


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
    progress: Callable[[float], None] | None = None,
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
        progress: called with the fraction done, for each phase at least once; may raise to stop.
    """
    points = view.points(slice_index, shift=shift, offsets=slice_offsets(view.thickness, samples))
    middle = samples // 2
    _, height, width = view.shape
    x, y = phantom.shape.to_canonical(*points)
    moves = phantom.deformation(0.0).moves(x, y).any(dim=0).flatten()
    frames = torch.empty(len(phases), height * width)
    labels = torch.empty(len(phases), height * width, dtype=torch.uint8)
    to_reference = torch.zeros(len(phases), 3, height * width) if motion else None
    from_reference = torch.zeros(len(phases), 3, height * width) if motion else None
    chunks = {moving: (moves == moving).nonzero()[:, 0].split(CHUNK // samples) for moving in (False, True)}
    steps, done = len(chunks[False]) + len(chunks[True]) * len(phases), 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done / steps)

    for moving, parts in chunks.items():
        for index in parts:
            a, b, c = (p.reshape(samples, -1)[:, index] for p in points)
            here = (*phantom.shape.to_canonical(a, b, c), c)
            if not moving:
                frames[:, index], labels[:, index] = _look(phantom, here, view.spacing[2], middle)
                step()
                continue
            start: Points = (a[middle], b[middle], c[middle])
            for t, phase in enumerate(phases):
                deformation = phantom.deformation(phase)
                material = deformation.inverse(here)
                frames[t, index], labels[t, index] = _look(
                    phantom, material, view.spacing[2], middle, flow=flow, at=here, phase=phase
                )
                if to_reference is not None and from_reference is not None and not deformation.at_rest:
                    to_reference[t, :, index] = _displacement(phantom, view, start, _row(material, middle))
                    moved = deformation.forward(_row(here, middle))
                    from_reference[t, :, index] = _displacement(phantom, view, start, moved)
                step()
    size = (height, width)
    return RenderedSlice(
        frames.unflatten(-1, size),
        labels.unflatten(-1, size),
        None if to_reference is None else to_reference.unflatten(-1, size),
        None if from_reference is None else from_reference.unflatten(-1, size),
    )


def _row(points: Points, row: int) -> Points:
    return points[0][row], points[1][row], points[2][row]


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
    squeeze = phantom.cycle.contraction(phase)
    canvas = Canvas(x, phantom.contrast, edge=edge * phantom.contrast.blur)
    body = phantom.to_body((*phantom.shape.from_canonical(x, y, z), z))
    phantom.body.paint(canvas, *body, fine)
    anatomy = Anatomy(phantom.heart, x, y, z)
    anatomy.paint(canvas, coarse, fine, squeeze)
    signal = canvas.signal + canvas.amplitude * (0.85 * coarse + 0.5 * fine)
    if flow is not None and at is not None:
        signal = signal * (1 + canvas.blood * flow.change(phantom, at, phase))
    # What is stored is a magnitude: of what is left where water and fat of one voxel cancel.
    mean = signal.mean(dim=0).abs() if phantom.contrast.opposed else signal.clamp_min(0).mean(dim=0)
    return mean, anatomy.labels()[middle]
