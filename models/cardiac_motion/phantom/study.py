"""A complete phantom study: cines, labels and the truth about them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cardiac_motion.cine import Cine
from cardiac_motion.labels import STRUCTURES, Label
from cardiac_motion.phantom.artefacts import Artefacts, add_ghosts, add_noise, draw_artefacts, sensitivity
from cardiac_motion.phantom.flow import draw_flow
from cardiac_motion.phantom.model import Phantom, draw_phantom
from cardiac_motion.phantom.options import PhantomOptions, stream
from cardiac_motion.phantom.render import render_slice
from cardiac_motion.phantom.strain import Strain, ventricular_strain
from cardiac_motion.phantom.threads import one_thread
from cardiac_motion.phantom.views import LONG_AXIS_VIEWS, View, long_axis_view, short_axis_view
from cardiac_motion.phantom.volumes import VolumeIntegrals
from cardiac_motion.progress import Progress, silent

FloatArray = npt.NDArray[np.float32]
SAMPLES = 5
"""Points through the thickness of a slice."""
_RENDERING = 0.95
"""Share of the time that the images take; volumes and strains have the rest."""


@dataclass(frozen=True)
class PhantomView:
    """One cine of a phantom and the truth about it.

    Attributes:
        cine: the images.
        labels: (T, Z, Y, X), uint8, of what each frame shows.
        motion: (to_reference, from_reference), each (T, 3, Z, Y, X), float32, relative to frame 0, in mm along
            the array axes, components (z, y, x); None if not asked for. A slice with a breath-hold shift has
            the displacements of the anatomy that it shows, in its own shifted frame. A mistriggered frame has
            the displacements of the phase that it shows; from_reference at a voxel of frame 0 takes the phase
            that this voxel's own slice shows.
        strain: of the myocardium; None if not asked for.
        slice_shifts_mm: (Z, 2), (y, x), by which the anatomy appears displaced in each slice, on all frames.
        phases: (T, Z) phase of the cycle that each frame of each slice shows.
        slice_thickness_mm: of each slice.
    """

    cine: Cine
    labels: npt.NDArray[np.uint8]
    motion: tuple[FloatArray, FloatArray] | None
    strain: Strain | None
    slice_shifts_mm: npt.NDArray[np.float64]
    phases: npt.NDArray[np.float64]
    slice_thickness_mm: float


@dataclass(frozen=True)
class PhantomStudy(PhantomView):
    """A short-axis cine with its truth (as in `PhantomView`), and what holds for the whole phantom.

    Attributes:
        es_frame: frame of end-systole, where the LV is smallest.
        volumes_ml: per structure name, `analytic` at the nominal phase of each frame and `slices`, the labels'
            voxels counted; each (T,) ml.
        ejection_fraction: of the LV, from the analytic volumes.
        parameters: everything that was drawn, as plain values.
        phantom: the model itself.
        long_axis: the 2-, 3- and 4-chamber cines by name, if asked for.
    """

    es_frame: int
    volumes_ml: dict[str, dict[str, npt.NDArray[np.float64]]]
    ejection_fraction: float
    parameters: dict[str, Any]
    phantom: Phantom
    long_axis: dict[str, PhantomView] = field(default_factory=dict)


@one_thread()
def make_study(seed: int, options: PhantomOptions | None = None, *, progress: Progress = silent) -> PhantomStudy:
    """Make a phantom study; the same seed and options give the same study.

    Args:
        seed: from 0 up; see `seeds.py` for those that are set apart.
        options: what to sample, and how it looks.
        progress: called for every frame of every slice; may raise `Cancelled`.

    Raises:
        InputError: an option that no study can have.
        Cancelled: from the progress callback.
    """
    options = options or PhantomOptions()
    phantom = draw_phantom(seed, options)
    views = [short_axis_view(phantom, options)]
    views += [long_axis_view(phantom, options, n) for n in (LONG_AXIS_VIEWS if options.long_axis_views else ())]
    slices = sum(view.shape[0] for view in views)
    sampled: dict[str, PhantomView] = {}
    before = 0
    for view in views:

        def report(done: float, message: str, start: int = before) -> None:
            progress(_RENDERING * (start + done) / slices, message)

        sampled[view.name] = _sample(phantom, view, options, report)
        before += view.shape[0]
    sax = sampled.pop("sax")
    progress(_RENDERING, "volumes")
    es_frame = round(phantom.cycle.end_systole * options.frames)
    volumes = _volumes(phantom, sax, options.frames)
    lv = volumes[Label.LV.name]["analytic"]
    progress(1.0, "phantom made")
    return PhantomStudy(
        **{name: getattr(sax, name) for name in PhantomView.__dataclass_fields__},
        es_frame=es_frame,
        volumes_ml=volumes,
        ejection_fraction=float(1 - lv[es_frame] / lv[0]),
        parameters={**phantom.parameters(), "options": asdict(options)},
        phantom=phantom,
        long_axis=sampled,
    )


def _sample(phantom: Phantom, view: View, options: PhantomOptions, progress: Progress) -> PhantomView:
    """One view; ``progress`` is called with the number of slices done, a fraction of one included."""
    appearance = options.appearance
    artefacts = draw_artefacts(phantom.seed, view, options.frames, appearance)
    nominal = np.arange(options.frames) / options.frames
    phases = nominal[:, None] + artefacts.jitter
    flow = draw_flow(stream(phantom.seed, "flow")) if appearance.flow_dephasing else None
    noise = torch.Generator().manual_seed(int(stream(phantom.seed, f"{view.name} noise field").integers(2**62)))
    slices, height, width = view.shape
    frames = np.empty((options.frames, slices, height, width), dtype=np.float32)
    labels = np.empty(frames.shape, dtype=np.uint8)
    shape = (options.frames, 3, slices, height, width)
    motion = (np.zeros(shape, np.float32), np.zeros(shape, np.float32)) if options.motion_truth else None
    for k in range(slices):
        rendered = render_slice(
            phantom,
            view,
            k,
            phases[:, k].tolist(),
            shift=(float(artefacts.shifts[k, 0]), float(artefacts.shifts[k, 1])),
            samples=SAMPLES if appearance.slice_thickness else 1,
            flow=flow,
            motion=options.motion_truth,
            progress=lambda share, k=k: progress(  # type: ignore[misc]
                k + share, f"{view.name}, slice {k + 1} of {slices}"
            ),
        )
        image = add_ghosts(rendered.frames * sensitivity(phantom, view, k, artefacts), artefacts).clamp_min(0)
        frames[:, k] = add_noise(image, artefacts.noise, noise).numpy() * artefacts.scale
        labels[:, k] = rendered.labels.numpy()
        if motion is not None and rendered.to_reference is not None and rendered.from_reference is not None:
            motion[0][:, :, k] = rendered.to_reference.numpy()
            motion[1][:, :, k] = rendered.from_reference.numpy()
    times = nominal * phantom.cycle.seconds
    cine = Cine(frames, phantom.heart_to_world @ view.to_heart, times, name=f"phantom {phantom.seed} {view.name}")
    strain = _strain(phantom, view, labels, phases, artefacts) if options.motion_truth else None
    return PhantomView(cine, labels, motion, strain, artefacts.shifts, phases, view.thickness)


def _strain(
    phantom: Phantom,
    view: View,
    labels: npt.NDArray[np.uint8],
    phases: npt.NDArray[np.float64],
    artefacts: Artefacts,
) -> Strain:
    inside = labels[0] == int(Label.MYO)
    slice_points = [
        torch.stack([p[0] for p in view.points(k, shift=tuple(artefacts.shifts[k].tolist()), offsets=(0.0,))])
        for k in range(view.shape[0])
    ]
    points = torch.stack(slice_points, dim=1)[:, torch.from_numpy(inside)]
    slice_of = np.nonzero(inside)[0]
    values = np.zeros((3, len(labels), len(slice_of)), dtype=np.float32)
    for t, row in enumerate(phases):
        for phase in np.unique(row):
            # All slices that show the same phase at once.
            chosen = row[slice_of] == phase
            x, y, z = points[:, torch.from_numpy(chosen)]
            if len(x):
                strains = ventricular_strain(phantom, (x, y, z), float(phase))
                values[:, t, chosen] = torch.stack(strains).numpy()
    arrays = np.full((3, *labels.shape), np.nan, dtype=np.float32)
    arrays[:, :, inside] = values
    return Strain(*arrays)


def _volumes(phantom: Phantom, sax: PhantomView, frames: int) -> dict[str, dict[str, npt.NDArray[np.float64]]]:
    integrals = VolumeIntegrals(phantom)
    analytic = [integrals.at(t / frames) for t in range(frames)]
    voxel_ml = float(np.prod(sax.cine.spacing)) / 1000
    counted = np.stack([(sax.labels == int(label)).sum(axis=(1, 2, 3)) for label in STRUCTURES], axis=1)
    return {
        label.name: {
            "analytic": np.array([volumes[label] for volumes in analytic]),
            "slices": counted[:, i] * voxel_ml,
        }
        for i, label in enumerate(STRUCTURES)
    }
