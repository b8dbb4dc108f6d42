"""Segmentation by a network: every slice of every frame through it, anatomy tidied up, on the native grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.labels import STRUCTURES, Label
from cardiac_motion.progress import Progress, silent
from cardiac_motion.segmentation.anatomy import bridge_gaps, drop_bare_ends, tidy
from cardiac_motion.segmentation.base import Floats, Segmentation, check_frames
from cardiac_motion.segmentation.neighbours import neighbours
from cardiac_motion.segmentation.strays import drop_apart, drop_strays
from cardiac_motion.segmentation.window import Window
from cardiac_motion.training.augment import standardise
from cardiac_motion.weights import Weights, fitted_network, load_weights
from cardiac_motion.working_grid import find_heart

BATCH = 16
"""Slices that go through a network at once."""


@dataclass(frozen=True)
class SegmentationOptions:
    """What a segmentation gives.

    Attributes:
        flips: mean of the probabilities of the image and its mirror images along both axes; four times the work.
        probabilities: of every class at every voxel.
        entropy: of the probabilities at every voxel.
        tidy: one piece for each structure in a slice, no holes, the wall around the LV, no gaps in a stack,
            no pool without a wall at its ends.
        view: "sax" or "lax"; "auto" takes a cine of a single slice for a long-axis view, any other for a
            short-axis stack.
    """

    flips: bool = False
    probabilities: bool = False
    entropy: bool = False
    tidy: bool = True
    view: Literal["auto", "sax", "lax"] = "auto"


def view_of(cine: Cine, options: SegmentationOptions) -> str:
    """View of a cine, "sax" or "lax".

    Raises:
        InputError: a view that does not exist.
    """
    if options.view == "auto":
        return "lax" if cine.shape[1] == 1 else "sax"
    if options.view not in ("sax", "lax"):
        raise InputError(f"expected a view among auto, sax, lax, got {options.view!r}")
    return options.view


def wrong_view(name: str, views: Sequence[str], cine: Cine, view: str) -> str:
    """What to tell who asks a model for another view than those that it is made for."""
    slices = "1 slice" if cine.shape[1] == 1 else f"{cine.shape[1]} slices"
    return (
        f"{name} has weights for view {', '.join(views)}, got a cine of {slices}, taken for view {view}; where "
        "their number misleads, the option view says which it is"
    )


def check_weights(weights: Weights, frames: int) -> None:
    """Refuse weights of a network that cannot be asked for the labels of a frame by its image alone.

    Args:
        weights: of any network.
        frames: of the clips that it is to be given.

    Raises:
        InputError: it sees another number of frames, has to be told the view, or has other classes than ours.
    """
    config = weights.config
    seen = 2 * int(config.get("radius", 1)) + 1 if weights.network == "deunet" else int(config.get("inputs", 1))
    classes = int(config.get("classes", 4))
    if seen != frames or config.get("views") or not Label.LV < classes <= 1 + len(STRUCTURES):
        told = ", told the view" if config.get("views") else ""
        raise InputError(
            f"expected weights of a network that sees {_counted(frames)} and tells {1 + Label.LV} to "
            f"{1 + len(STRUCTURES)} classes apart by the image alone, got those of {weights.model}: "
            f"{weights.network} for {_counted(seen)} and {classes} classes{told}"
        )


def _counted(frames: int) -> str:
    return f"{frames} frame{'s' if frames > 1 else ''}"


class NetworkSegmentation:
    """A `SegmentationModel` that is a network with weights.

    Args:
        name: in the registry.
        weights: name of shipped weights, or a file; by default those of this name.
        view: that the network is made for, "sax" or "lax".
        radius: frames before and after the one that is segmented that the network sees, around the cycle, as far
            apart as in training (`neighbours`).
    """

    version = "5"

    def __init__(
        self, name: str, *, weights: str | Path | None = None, view: str = "sax", radius: int = 0
    ) -> None:
        self.name, self.view, self.radius = name, view, radius
        self._source = weights if weights is not None else name

    @property
    def views(self) -> tuple[str, ...]:
        """As the protocol says."""
        return (self.view,)

    @property
    def default_options(self) -> SegmentationOptions:
        """As the protocol says."""
        return SegmentationOptions()

    @property
    def weights_checksum(self) -> str:
        """SHA-256 of the weights."""
        return self._weights.checksum

    @cached_property
    def _weights(self) -> Weights:
        return load_weights(self._source)

    @cached_property
    def _network(self) -> nn.Module:
        network = fitted_network(self._weights)
        check_weights(self._weights, 2 * self.radius + 1)
        return network.eval().to("cuda" if torch.cuda.is_available() else "cpu")

    def segment(
        self,
        cine: Cine,
        *,
        frames: Sequence[int] | None = None,
        options: SegmentationOptions | None = None,
        progress: Progress = silent,
    ) -> Segmentation:
        """See `SegmentationModel.segment`."""
        options = options or self.default_options
        chosen = check_frames(cine, frames)
        view = view_of(cine, options)
        if view != self.view:
            raise InputError(wrong_view(self.name, self.views, cine, view))
        progress(0.0, "loading the network")
        network = self._network
        multiple = int(getattr(network, "multiple", 1))
        window = Window.of(find_heart(cine.frames, cine.spacing), cine.shape[2:], cine.spacing[1:], multiple)
        classes = int(self._weights.config.get("classes", 4))
        part = np.zeros((len(chosen), classes, cine.shape[1], *window.region.shape), dtype=np.float32)
        steps = [0, -(-len(chosen) // BATCH) * cine.shape[1]]

        def tick() -> None:
            steps[0] += 1
            progress(steps[0] / steps[1], "segmenting")

        for z in range(cine.shape[1]):
            seen = window.see(cine.frames[:, z])
            for start, given in self._clips(seen, chosen):
                part[start : start + len(given), :, z] = self._ask(network, given, window, options)
                tick()
        return self._result(cine, chosen, part, window, options)

    def _clips(self, seen: Tensor, frames: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Batches of what the network is given for the frames: (B, 2 r + 1, Y, X), with where they start."""
        for start in range(0, len(frames), BATCH):
            around = [neighbours(frame, len(seen), 2 * self.radius + 1) for frame in frames[start : start + BATCH]]
            yield start, torch.stack([seen[indices] for indices in around])

    def _ask(self, network: nn.Module, given: Tensor, window: Window, options: SegmentationOptions) -> Floats:
        device = next(network.parameters()).device
        images = standardise(given).to(device)
        flips: list[tuple[int, ...]] = [(), (2,), (3,), (2, 3)] if options.flips else [()]
        with torch.inference_mode():
            total: Tensor = sum(network(images.flip(flip)).float().softmax(1).flip(flip) for flip in flips)
            return window.back(total / len(flips)).cpu().numpy()

    def _result(
        self,
        cine: Cine,
        frames: tuple[int, ...],
        part: Floats,
        window: Window,
        options: SegmentationOptions,
    ) -> Segmentation:
        labels = part.argmax(axis=1).astype(np.uint8)
        if options.tidy:
            is_stack = self.view == "sax"
            drop = drop_strays if is_stack else drop_apart
            labels = np.stack([drop(each, cine.spacing) for each in labels])
            labels = tidy(labels, cine.spacing, wall_encloses=is_stack)
            if is_stack:
                pool = part[:, Label.LV]
                labels = np.stack([drop_bare_ends(each) for each in labels])
                labels = np.stack([bridge_gaps(*each, cine.spacing) for each in zip(labels, pool, strict=True)])
        return Segmentation(
            frames=frames,
            labels=window.region.embed(labels, window.plane),
            structures=tuple(Label(k) for k in range(1, part.shape[1])),
            model=self.name,
            version=self.version,
            weights_checksum=self.weights_checksum,
            probabilities=part if options.probabilities else None,
            entropy=window.region.embed(entropy(part, axis=1), window.plane) if options.entropy else None,
            region=window.region,
        )


def entropy(probabilities: Floats, *, axis: int) -> Floats:
    """Shannon entropy in nats along an axis of classes; 0 where the network has no doubt."""
    clipped = np.clip(probabilities, 1e-7, 1)
    return np.asarray(-(clipped * np.log(clipped)).sum(axis=axis), dtype=np.float32).clip(
        0, math.log(probabilities.shape[axis])
    )
