"""How unsure a model was of its contours: colours over the images, beside the cine in its browser.

The overlay is kept with the scene. It says what the model saw, whatever became of the contours since.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk

from CardiacMotionLib import scene_state
from CardiacMotionLib.cine import Cine, in_seconds
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.mrml import fill_image, removed_on_error, to_matrix
from CardiacMotionLib.scene_state import Role

Floats = npt.NDArray[np.float32]

_FRAMES, _LARGEST = "EntropyFrames", "EntropyMax"
_COLOURS = "vtkMRMLColorTableNodeIron"
_USUAL = math.log(4)
"""Largest entropy where none is kept: of the ventricles and the background."""
_SURE = 0.03
"""Share of the scale below which nothing is coloured: the image is to be seen there."""


class EntropyOverlay:
    """Entropy of a segmentation, in nats.

    Attributes:
        cine: whose it is.
        sequence: vtkMRMLSequenceNode of scalar volumes, one per frame; zero where a frame was not segmented.
    """

    def __init__(self, cine: Cine, sequence: Any) -> None:
        self.cine, self.sequence = cine, sequence

    @classmethod
    def build(
        cls, cine: Cine, values: Mapping[int, Floats], largest: float
    ) -> Generator[None, None, EntropyOverlay]:
        """Put entropy into the scene, with a ``yield`` after each frame, so that the window can be drawn.

        Frames that the cine has an overlay of already keep theirs, unless they are among these. Nothing is in the
        scene before the end: to give up half-way leaves it as it was.

        Args:
            cine: of it.
            values: (Z, Y, X) by frame.
            largest: that it can be on these frames: the logarithm of the number of classes.

        Raises:
            InputError: the scene was closed meanwhile.
        """
        found = cls.find(cine)
        volume = slicer.vtkMRMLScalarVolumeNode()
        volume.SetIJKToRASMatrix(to_matrix(cine.affine))
        sequence = in_seconds(slicer.vtkMRMLSequenceNode())
        sequence.SetName(slicer.mrmlScene.GenerateUniqueName(f"{cine.name} entropy"))
        sequence.CopySequenceIndex(cine.sequence)
        volume.SetName(sequence.GetName())
        nothing = np.zeros(cine.shape[1:], dtype=np.float32)
        for frame, value in enumerate(cine.index_values):
            if found is not None and frame not in values:
                continue
            image = fill_image(vtk.vtkImageData(), values.get(frame, nothing))
            volume.SetAndObserveImageData(image)
            sequence.SetDataNodeAtValue(volume, value)
            yield
        if not cine.is_alive:
            raise InputError("the scene was closed before the entropy was there")
        if found is not None:
            found._take(sequence, values, largest)
            return found
        with removed_on_error() as made:
            made.append(slicer.mrmlScene.AddNode(sequence))
            overlay = cls(cine, sequence)
            made.append(cine.add_sequence(Role.ENTROPY, sequence, save_changes=False))
            overlay._remember(dict.fromkeys(values, largest))
            overlay._dress()
            return overlay

    @classmethod
    def find(cls, cine: Cine) -> EntropyOverlay | None:
        """That which the cine has, as after a scene was loaded; None if it has none."""
        sequence = scene_state.get_node(cine.browser, Role.ENTROPY)
        return None if sequence is None or cine.browser.GetProxyNode(sequence) is None else cls(cine, sequence)

    @property
    def proxy(self) -> Any:
        """The vtkMRMLScalarVolumeNode of the current frame."""
        return self.cine.browser.GetProxyNode(self.sequence)

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames that it tells of, in order."""
        kept = scene_state.get_json(self.sequence, _FRAMES)
        return tuple(sorted(t for t in kept if isinstance(t, int))) if isinstance(kept, list) else ()

    @property
    def largest(self) -> float:
        """End of the scale, nats: the largest that it can be on any of the frames."""
        return max(self._by_frame().values(), default=_USUAL)

    def largest_of(self, frame: int) -> float:
        """That it can be on a frame, nats: models that tell fewer structures apart have a smaller one."""
        return self._by_frame().get(frame, _USUAL)

    @property
    def is_shown(self) -> bool:
        """Whether slice views show it."""
        return any(each.GetForegroundVolumeID() == self.proxy.GetID() for each in _composites())

    @property
    def opacity(self) -> float:
        """With which slice views show it; 0 where none does."""
        shown = [each for each in _composites() if each.GetForegroundVolumeID() == self.proxy.GetID()]
        return float(shown[0].GetForegroundOpacity()) if shown else 0.0

    def show(self, opacity: float, title: str = "Entropy (nats)") -> None:
        """Show it over the images, from 0 to 1, with its scale, of this title, beside them."""
        slicer.util.setSliceViewerLayers(foreground=self.proxy, foregroundOpacity=opacity)
        legend = self._legend()
        legend.SetTitleText(title)
        legend.SetVisibility(True)

    def hide(self) -> None:
        """Show the images alone; another foreground than this one stays."""
        for composite in _composites():
            if composite.GetForegroundVolumeID() == self.proxy.GetID():
                composite.SetForegroundVolumeID(None)
        self._legend().SetVisibility(False)

    def _take(self, other: Any, values: Mapping[int, Floats], largest: float) -> None:
        """Take the volumes of another sequence, which has some of the same index values."""
        for index in range(other.GetNumberOfDataNodes()):
            self.sequence.UpdateDataNodeAtValue(other.GetNthDataNode(index), other.GetNthIndexValue(index), True)
        self._remember({**self._by_frame(), **dict.fromkeys(values, largest)})
        self._dress()

    def _remember(self, largest: Mapping[int, float]) -> None:
        frames = sorted(largest)
        scene_state.set_json(self.sequence, _FRAMES, frames)
        scene_state.set_json(self.sequence, _LARGEST, [largest[frame] for frame in frames])

    def _by_frame(self) -> dict[int, float]:
        """The largest that it can be, by frame."""
        frames, kept = self.frames, scene_state.get_json(self.sequence, _LARGEST)
        # Older scenes have one for all frames.
        values = kept if isinstance(kept, list) and len(kept) == len(frames) else [kept] * len(frames)
        return {
            frame: float(value) if isinstance(value, int | float) and value > 0 else _USUAL
            for frame, value in zip(frames, values, strict=True)
        }

    def _dress(self) -> None:
        """One scale for all frames."""
        self.proxy.CreateDefaultDisplayNodes()
        display, largest = self.proxy.GetDisplayNode(), self.largest
        display.SetAndObserveColorNodeID(_COLOURS)
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(0.0, largest)
        display.SetThreshold(_SURE * largest, largest)
        display.SetApplyThreshold(True)

    def _legend(self) -> Any:
        logic = slicer.modules.colors.logic()
        legend = logic.GetColorLegendDisplayNode(self.proxy)
        if legend is None:
            legend = logic.AddDefaultColorLegendDisplayNode(self.proxy)
            legend.SetLabelFormat("%.2f")
        return legend


def _composites() -> list[Any]:
    nodes: list[Any] = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return nodes
