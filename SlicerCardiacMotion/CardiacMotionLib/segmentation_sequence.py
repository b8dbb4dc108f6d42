"""The segmentation of every frame: a sequence in the cine's browser, whose proxy the user sees and edits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from CardiacMotionLib import scene_state, segments
from CardiacMotionLib.cine import Cine, new_sequence
from CardiacMotionLib.edit_watch import EditWatch, Schedule
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.mrml import in_scene, one_update, removed_on_error
from CardiacMotionLib.scene_state import Role
from CardiacMotionLib.segments import Labels, Table
from CardiacMotionLib.structures import BY_NAME, STRUCTURES, VENTRICLES
from CardiacMotionLib.surfaces import Surfaces

_FILL_OPACITY = 0.3


class Segmentations:
    """Labels of all frames of a cine.

    Every frame has the same segments: what the user adds, removes or renames on one frame is carried to all, but
    for a structure, which comes back empty where it was removed.

    Attributes:
        cine: whose frames they are.
        sequence: vtkMRMLSequenceNode of segmentations, one per frame of the cine.
    """

    def __init__(self, cine: Cine, sequence: Any) -> None:
        if sequence.GetNumberOfDataNodes() != cine.n_frames:
            raise InputError(
                f"{sequence.GetName()} has {sequence.GetNumberOfDataNodes()} segmentations for the "
                f"{cine.n_frames} frames of {cine.name}"
            )
        self.cine, self.sequence = cine, sequence
        self._table = self._common_table()
        with one_update(self.proxy):
            for t in range(cine.n_frames):
                segments.level(self._segmentation(t), self._table)
        self._known: list[Labels] = [self.labels(t) for t in range(cine.n_frames)]
        self._versions = [0] * cine.n_frames
        self._watch = EditWatch(self.proxy, lambda: cine.frame, self._look)
        self._surfaces = Surfaces(cine, self._copies, lambda: self.is_3d, self._watch.paused)
        self._callbacks: list[Callable[[int], None]] = []

    @classmethod
    def of(cls, cine: Cine, names: Iterable[str] = VENTRICLES) -> Segmentations:
        """Those of the cine: found if it has some, else made, empty, with these structures.

        Raises:
            InputError: a name that no structure has; the scene is as it was.
        """
        found = cls.find(cine)
        if found is not None:
            found.add_structures(names)
            return found
        template = segments.new_segmentation(names, cine.affine, cine.shape[1:])
        with removed_on_error() as made:
            sequence = new_sequence(f"{cine.name} segmentation")
            made.append(sequence)
            sequence.CopySequenceIndex(cine.sequence)
            template.SetName(sequence.GetName())
            for value in cine.index_values:
                sequence.SetDataNodeAtValue(template, value)
            proxy = cine.add_sequence(Role.SEGMENTATIONS, sequence, save_changes=True)
            made.append(proxy)
            proxy.SetReferenceImageGeometryParameterFromVolumeNode(cine.proxy)
            proxy.CreateDefaultDisplayNodes()
            proxy.GetDisplayNode().SetVisibility3D(False)
            proxy.GetDisplayNode().SetOpacity2DFill(_FILL_OPACITY)
            return cls(cine, sequence)

    @classmethod
    def find(cls, cine: Cine) -> Segmentations | None:
        """Those that the cine has, as after a scene was loaded; None if it has none."""
        sequence = scene_state.get_node(cine.browser, Role.SEGMENTATIONS)
        return None if sequence is None or cine.browser.GetProxyNode(sequence) is None else cls(cine, sequence)

    @property
    def proxy(self) -> Any:
        """The vtkMRMLSegmentationNode of the current frame."""
        return self.cine.browser.GetProxyNode(self.sequence)

    @property
    def is_alive(self) -> bool:
        """Whether its nodes are still in the scene."""
        return self.cine.is_alive and in_scene(self.sequence, self.proxy)

    @property
    def names(self) -> tuple[str, ...]:
        """Structures that have a segment, in the order of their values."""
        there = {row.id for row in self._table}
        return tuple(structure.name for structure in STRUCTURES if structure.name in there)

    def add_structures(self, names: Iterable[str]) -> None:
        """Give every frame segments for these structures too."""
        missing = [segments.row_of(name) for name in names if name not in self.names]
        if missing:
            self._level_all((*self._table, *missing))

    def labels(self, frame: int) -> Labels:
        """What is drawn on a frame, on the cine's grid (Z, Y, X); the larger value where segments overlap."""
        return self._read(self._segmentation(frame))

    def set_labels(self, frame: int, labels: Labels) -> None:
        """Replace the labels of a frame. No edit of the user: it is not reported.

        Raises:
            InputError: not (Z, Y, X) of the cine, or a value that no structure has.
        """
        labels = np.asarray(labels)
        if labels.shape != self.cine.shape[1:] or labels.dtype != np.uint8:
            raise InputError(
                f"expected labels uint8 {self.cine.shape[1:]}, got {labels.dtype} {labels.shape} for frame {frame}"
            )
        if labels.max() > len(STRUCTURES):
            raise InputError(f"expected label values from 0 to {len(STRUCTURES)}, got {labels.max()}")
        self._watch.look_now()  # an edit of the user that waits to be reported is not lost
        absent = [structure for structure in STRUCTURES if structure.name not in self.names]
        self.add_structures(structure.name for structure in absent if (labels == structure.value).any())
        with self._watch.paused(), one_update(self.proxy):
            for segmentation in self._copies(frame):
                segments.write_labels(segmentation, labels, self.cine.affine, self._values())
            self._remember(frame, labels.copy())
        self._surfaces.refresh()

    def is_empty(self, frame: int) -> bool:
        """Whether no structure is drawn on a frame."""
        return not self.labels(frame).any()

    def version(self, frame: int) -> int:
        """A number that changes whenever the labels of a frame do."""
        return self._versions[frame]

    def on_edited(self, callback: Callable[[int], None], schedule: Schedule | None = None) -> None:
        """Call back with the frame whenever the user has changed its labels.

        Args:
            callback: not called for `set_labels`, changes of the frame, names or colours.
            schedule: puts a call off until Slicer is idle, as a timer of no time does. A stroke of the Segment
                Editor is several changes, some of them only passing; put off, they are one edit. Without it, the
                callback comes with each change.
        """
        self._callbacks.append(callback)
        if schedule is not None:
            self._watch.schedule = self._surfaces.schedule = schedule

    def look_now(self) -> None:
        """Report an edit that still waits to be reported."""
        self._watch.look_now()

    def stop(self) -> None:
        """Watch no more; to be called when these segmentations are not needed any more."""
        self._watch.stop()
        self._surfaces.stop()
        self._callbacks.clear()

    @property
    def is_3d(self) -> bool:
        """Whether the surfaces are shown."""
        return bool(self.proxy.GetDisplayNode().GetVisibility3D())

    def show_3d(self, on: bool) -> None:
        """Show the surfaces, or hide them; they are made meanwhile, see `Surfaces`."""
        self.proxy.GetDisplayNode().SetVisibility3D(on)
        self._surfaces.refresh()

    def _segmentation(self, frame: int) -> Any:
        return self.sequence.GetNthDataNode(frame).GetSegmentation()

    def _copies(self, frame: int) -> list[Any]:
        """The frame's segmentation, and the proxy's if it has one of its own, as older versions of Slicer do."""
        item = self._segmentation(frame)
        if frame != self.cine.frame or self.proxy.GetSegmentation() is item:
            return [item]
        return [item, self.proxy.GetSegmentation()]

    def _values(self) -> dict[str, int]:
        return {name: BY_NAME[name].value for name in self.names}

    def _read(self, segmentation: Any) -> Labels:
        return segments.read_labels(segmentation, self.cine.affine, self.cine.shape[1:], self._values())

    def _remember(self, frame: int, labels: Labels) -> None:
        self._known[frame] = labels
        self._versions[frame] += 1

    def _common_table(self) -> Table:
        """Segments of all frames, as they first occur."""
        rows: dict[str, segments.Row] = {}
        for t in range(self.cine.n_frames):
            for row in segments.table_of(self._segmentation(t)):
                rows.setdefault(row.id, row)
        return tuple(rows.values())

    def _level_all(self, table: Table) -> None:
        self._table = table
        with self._watch.paused(), one_update(self.proxy):
            for t in range(self.cine.n_frames):
                for segmentation in self._copies(t):
                    segments.level(segmentation, table)

    def _look(self, frame: int) -> None:
        """Find out whether what happened to the proxy while this frame was shown was an edit."""
        if not self.is_alive:
            self.stop()
            return
        segmentation = self._copies(frame)[-1]
        self._carry_table(segments.table_of(segmentation))
        labels = self._read(segmentation)
        self._surfaces.refresh()
        if np.array_equal(labels, self._known[frame]):
            return
        self._remember(frame, labels)
        for callback in tuple(self._callbacks):
            callback(frame)

    def _carry_table(self, table: Table) -> None:
        """Segments that the user added, removed or renamed on one frame: the same on all, structures kept."""
        if table == self._table:
            return
        there = {row.id: row for row in table}
        kept = [there.pop(row.id, row) for row in self._table if row.id in there or row.id in BY_NAME]
        self._level_all((*kept, *there.values()))
