"""A cine in the scene: sequence of volumes, its browser, and the proxy volume that the user sees."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk

from CardiacMotionLib import scene_state
from CardiacMotionLib.affines import Affine, check_affine, same_grid, spacing_of
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.mrml import (
    add_node,
    fill_image,
    finished,
    image_array,
    in_scene,
    removed_on_error,
    sequences_logic,
    to_matrix,
    volume_affine,
)
from CardiacMotionLib.scene_state import Role
from CardiacMotionLib.timing import frame_seconds, frame_times

_INDEX_TOLERANCE = 1e-6
"""Seconds; MRML's own, a millisecond, would take two frames of a fast cine for one."""

_AFFINE = "Affine"
_TIMING_NOTE = "TimingNote"
_WINDOW_PERCENTILES = (1.0, 99.0)


class Cine:
    """The nodes of one cine, and what they hold; checked when it is made.

    Attributes:
        browser: vtkMRMLSequenceBrowserNode.
        sequence: vtkMRMLSequenceNode of scalar volumes, one per frame.
        affine: (4, 4), voxel (i, j, k) to RAS in mm, of every frame.
        shape: (T, Z, Y, X).
        times: (T,) seconds after the first frame.
        timing_note: a sentence about what had to be guessed of them, or None.

    Raises:
        InputError: the sequence is none of scalar volumes of one grid, with at least two frames.
    """

    def __init__(self, browser: Any, sequence: Any) -> None:
        self.browser, self.sequence = browser, sequence
        if restore_slice_order(sequence):
            sequences_logic().UpdateProxyNodesFromSequences(browser)
        name = sequence.GetName()
        frames = [sequence.GetNthDataNode(t) for t in range(sequence.GetNumberOfDataNodes())]
        if len(frames) < 2:
            raise InputError(f"{name} has {len(frames)} frames; a cine has at least 2")
        for t, frame in enumerate(frames):
            reason = _unusable(frame)
            if reason:
                raise InputError(f"{name}, frame {t}: {reason}")
        self.affine: Affine = check_affine(volume_affine(frames[0]))
        size = image_array(frames[0].GetImageData()).shape
        self.shape: tuple[int, int, int, int] = (len(frames), size[0], size[1], size[2])
        for t, frame in enumerate(frames):
            if image_array(frame.GetImageData()).shape != size or not same_grid(
                self.affine, volume_affine(frame), size
            ):
                raise InputError(f"{name}: frame {t} does not lie on the grid of frame 0, as it must in a cine")
        self.times, note = frame_times(_index_values(sequence), len(frames))
        self.timing_note: str | None = note or scene_state.get_json(sequence, _TIMING_NOTE)

    @classmethod
    def find(cls, browser: Any) -> Cine:
        """The cine of a browser that `scene_state.is_cine`, as after a scene was loaded."""
        return cls(browser, scene_state.get_node(browser, Role.CINE))

    @property
    def proxy(self) -> Any:
        """The vtkMRMLScalarVolumeNode that shows the current frame."""
        return self.browser.GetProxyNode(self.sequence)

    @property
    def is_alive(self) -> bool:
        """Whether its nodes are still in the scene."""
        return in_scene(self.browser, self.sequence)

    @property
    def name(self) -> str:
        """Of the sequence."""
        return self.sequence.GetName()

    @property
    def n_frames(self) -> int:
        """Number of frames, T."""
        return self.shape[0]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size (z, y, x) in mm."""
        return spacing_of(self.affine)

    @property
    def frame_seconds(self) -> float:
        """Mean time between frames."""
        return frame_seconds(self.times)

    @property
    def frame(self) -> int:
        """The current frame, counted from 0."""
        return self.browser.GetSelectedItemNumber()

    @frame.setter
    def frame(self, frame: int) -> None:
        if not 0 <= frame < self.n_frames:
            raise InputError(f"frames are counted from 0 to {self.n_frames - 1}, got {frame}")
        self.browser.SetSelectedItemNumber(frame)

    def array(self, frame: int) -> npt.NDArray[Any]:
        """Voxels of a frame, (Z, Y, X), not copied."""
        return image_array(self.sequence.GetNthDataNode(frame).GetImageData())

    @cached_property
    def index_values(self) -> tuple[str, ...]:
        """Index values of the frames, as the sequence has them; other sequences of the browser have the same."""
        return tuple(self.sequence.GetNthIndexValue(t) for t in range(self.n_frames))

    def add_sequence(self, role: Role, sequence: Any, *, save_changes: bool) -> Any:
        """Show a sequence beside the cine, in the same browser; returns its proxy."""
        self.browser.AddSynchronizedSequenceNode(sequence)
        self.browser.SetRecording(sequence, False)
        self.browser.SetPlayback(sequence, True)
        self.browser.SetSaveChanges(sequence, save_changes)
        sequences_logic().UpdateProxyNodesFromSequences(self.browser)
        scene_state.set_node(self.browser, role, sequence)
        return self.browser.GetProxyNode(sequence)


def new_sequence(name: str) -> Any:
    """An empty sequence in the scene, its index in seconds."""
    return in_seconds(add_node("vtkMRMLSequenceNode", name))


def in_seconds(sequence: Any) -> Any:
    """Give an empty sequence an index in seconds; returns it."""
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("s")
    sequence.SetIndexTypeFromString("numeric")
    sequence.SetNumericIndexValueTolerance(_INDEX_TOLERANCE)
    return sequence


def make_cine(name: str, values: npt.NDArray[Any], affine: Affine, times: npt.NDArray[np.float64]) -> Cine:
    """Put a cine into the scene at once; see `build_cine`.

    Args:
        name: of its nodes.
        values: (T, Z, Y, X), T >= 2, of a type that VTK has.
        affine: (4, 4), voxel (i, j, k) to RAS in mm, skewed or not.
        times: (T,) seconds, increasing.

    Raises:
        InputError: what no cine can be; the scene is as it was.
    """
    if values.ndim != 4 or len(values) < 2:
        raise InputError(f"{name} has the shape {values.shape}; a cine has 2 frames or more, (T, Z, Y, X)")
    return finished(build_cine(name, values, affine, times))


def build_cine(
    name: str,
    frames: Iterable[npt.NDArray[Any]],
    affine: Affine,
    times: npt.NDArray[np.float64],
    timing_note: str | None = None,
) -> Generator[None, None, Cine]:
    """Put a cine into the scene frame by frame, with a ``yield`` after each, so that the window can be drawn.

    Nothing is in the scene before the end: to give up half-way leaves it as it was.

    Args:
        name: of its nodes.
        frames: (Z, Y, X) each, of a type that VTK has; taken one at a time.
        affine: (4, 4), voxel (i, j, k) to RAS in mm, skewed or not.
        times: (T,) seconds, increasing.
        timing_note: what had to be guessed of them, which is kept with the scene.

    Raises:
        InputError: what no cine can be; the scene is as it was.
    """
    matrix = to_matrix(check_affine(affine))
    sequence = in_seconds(slicer.vtkMRMLSequenceNode())
    sequence.SetName(slicer.mrmlScene.GenerateUniqueName(name))
    volume = slicer.vtkMRMLScalarVolumeNode()
    volume.SetIJKToRASMatrix(matrix)
    volume.SetName(sequence.GetName())
    for frame, time in zip(frames, times, strict=True):
        volume.SetAndObserveImageData(fill_image(vtk.vtkImageData(), frame))
        sequence.SetDataNodeAtValue(volume, repr(float(time)))
        yield
    scene_state.set_json(sequence, _TIMING_NOTE, timing_note)
    with removed_on_error() as made:
        made.append(slicer.mrmlScene.AddNode(sequence))
        return _with_browser(sequence, made)


def cine_of(sequence: Any) -> Cine:
    """The cine of a sequence of volumes in the scene: its browser, if it has one, is used.

    Raises:
        InputError: it is no sequence of frames of one grid; the scene is as it was.
    """
    browser = sequences_logic().GetFirstBrowserNodeForSequenceNode(sequence)
    if browser is None:
        with removed_on_error() as made:
            return _with_browser(sequence, made)
    cine = Cine(browser, sequence)
    _set_up(cine)
    return cine


def _with_browser(sequence: Any, made: list[Any]) -> Cine:
    browser = add_node("vtkMRMLSequenceBrowserNode", f"{sequence.GetName()} browser")
    made.append(browser)
    cine = Cine(browser, sequence)  # refuses before there is a proxy
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.SetIndexDisplayFormat("%.3f")
    sequences_logic().UpdateProxyNodesFromSequences(browser)
    made.append(cine.proxy)
    browser.SetPlaybackRateFps(min(60.0, 1.0 / cine.frame_seconds))
    _set_window(cine)
    _set_up(cine)
    return cine


def remember_affine(sequence: Any, affine: Affine) -> None:
    """Keep the grid that the frames must have with the sequence, for `restore_slice_order`."""
    scene_state.set_json(sequence, _AFFINE, affine.tolist())


def restore_slice_order(sequence: Any) -> bool:
    """Undo what Slicer does when it reads a NRRD file, as in a saved scene, whose axes are left-handed.

    It turns the order of the slices round. The image is the same in space, but labels would no longer lie on the
    grid of the image that the server has. Returns whether there was anything to undo.
    """
    kept = scene_state.get_json(sequence, _AFFINE)
    frames = [sequence.GetNthDataNode(t) for t in range(sequence.GetNumberOfDataNodes())]
    if kept is None or any(_unusable(frame) for frame in frames):
        return False
    try:
        affine = check_affine(kept)
    except (InputError, ValueError):
        return False
    restored = False
    for frame in frames:
        values = image_array(frame.GetImageData())
        turned = affine.copy()
        turned[:3, 3] += affine[:3, 2] * (len(values) - 1)
        turned[:3, 2] = -affine[:3, 2]
        found = volume_affine(frame)
        if not same_grid(affine, found, values.shape) and same_grid(turned, found, values.shape):
            frame.SetAndObserveImageData(fill_image(vtk.vtkImageData(), values[::-1]))
            frame.SetIJKToRASMatrix(to_matrix(affine))
            restored = True
    return restored


def _set_up(cine: Cine) -> None:
    remember_affine(cine.sequence, cine.affine)
    scene_state.mark_cine(cine.browser, cine.sequence)
    if cine.proxy is None:
        sequences_logic().UpdateProxyNodesFromSequences(cine.browser)
    cine.proxy.CreateDefaultDisplayNodes()


def _set_window(cine: Cine) -> None:
    """One window for all frames, so that the brightness does not flicker."""
    cine.proxy.CreateDefaultDisplayNodes()
    display = cine.proxy.GetDisplayNode()
    low, high = np.percentile(cine.array(0), _WINDOW_PERCENTILES)
    with_contrast = high > low
    display.SetAutoWindowLevel(not with_contrast)
    if with_contrast:
        display.SetWindowLevelMinMax(float(low), float(high))


def _unusable(volume: Any) -> str | None:
    """Why a node cannot be a frame, or None."""
    if volume is None or not volume.IsA("vtkMRMLScalarVolumeNode"):
        kind = "nothing" if volume is None else volume.GetNodeTagName()
        return f"expected a scalar volume, got {kind}"
    image = volume.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        return "it has no voxels"
    if image.GetNumberOfScalarComponents() != 1:
        return f"expected one number per voxel, got {image.GetNumberOfScalarComponents()}"
    return None


def _index_values(sequence: Any) -> list[float] | None:
    try:
        return [float(sequence.GetNthIndexValue(t)) for t in range(sequence.GetNumberOfDataNodes())]
    except ValueError:
        return None
