"""Segmentation that is given the labels of a frame: what an evaluation asks of it, and `fused` as such a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cardiac_motion.cine import Cine
from cardiac_motion.labels import Label
from cardiac_motion.model import Model
from cardiac_motion.pipeline_segmentation import FUSED, FUSION_VERSION, Segmented, segment_cine
from cardiac_motion.progress import Progress, silent
from cardiac_motion.segmentation.base import SegmentationModel
from cardiac_motion.segmentation.network import SegmentationOptions
from cardiac_motion.segmentation.registry import DEFAULT_SEGMENTATION_MODEL, segmentation_model

Labels = npt.NDArray[np.uint8]


class Found(Protocol):
    """What is read off an answer, whichever model gave it."""

    @property
    def frames(self) -> tuple[int, ...]:
        """F frames, increasing."""
        ...

    @property
    def labels(self) -> Labels:
        """(F, Z, Y, X)."""
        ...

    @property
    def structures(self) -> tuple[Label, ...]:
        """That the model tells apart."""
        ...


@runtime_checkable
class KeyFrameModel(Model, Protocol):
    """A model that needs the labels of a frame to segment the others."""

    def segment_from(
        self,
        cine: Cine,
        key_frames: Mapping[int, Labels],
        *,
        frames: Sequence[int],
        options: Any = None,
        progress: Progress = silent,
    ) -> Found:
        """Labels of these frames from those (Z, Y, X) of the key frames."""
        ...


Segmenter = SegmentationModel | KeyFrameModel


class FusedSegmentation:
    """`fused`: the network on every frame, made to agree with what the motion carries from the key frames.

    Args:
        weights: a file in place of the network's own.
    """

    name = FUSED
    version = FUSION_VERSION
    default_options = SegmentationOptions()

    def __init__(self, weights: Path | None = None) -> None:
        self._weights = weights

    @cached_property
    def _network(self) -> SegmentationModel:
        return segmentation_model(DEFAULT_SEGMENTATION_MODEL, weights=self._weights)

    @property
    def views(self) -> tuple[str, ...]:
        """Those of the network."""
        return self._network.views

    @property
    def weights_checksum(self) -> str | None:
        """Of the network."""
        return self._network.weights_checksum

    def segment_from(
        self,
        cine: Cine,
        key_frames: Mapping[int, Labels],
        *,
        frames: Sequence[int],
        options: SegmentationOptions | None = None,
        progress: Progress = silent,
    ) -> Segmented:
        """See `KeyFrameModel.segment_from`."""
        return segment_cine(
            cine,
            model=FUSED,
            frames=frames,
            options=options,
            key_frames=key_frames,
            weights=self._weights,
            progress=progress,
        )
