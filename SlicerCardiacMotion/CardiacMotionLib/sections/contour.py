"""Contour: the frames, the Segment Editor, end-diastole and end-systole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import slicer
from slicer.i18n import tr as _

from CardiacMotionLib.cine import Cine
from CardiacMotionLib.frame_states import FrameState
from CardiacMotionLib.model_options import chosen_of
from CardiacMotionLib.sections.section import Hints, Panel, Section
from CardiacMotionLib.segmenting import KIND, Wish, chosen_model
from CardiacMotionLib.structures import VENTRICLES
from CardiacMotionLib.suggestion import suggestion_of
from CardiacMotionLib.workspace import Workspace

_EDITOR = "CardiacMotion"
_FIRST_SEGMENT = "LV"
_UNDO_STATES = 10


class ContourSection(Section):
    """Draws on the frame that is shown."""

    UI: ClassVar[str] = "Contour"
    ORDER: ClassVar[int] = 20

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._hints = Hints()
        self._shown: Workspace | None = None
        self._is_entered = False
        self._suggested: tuple[int | None, tuple[int, ...]] = None, ()
        editor = self.ui.editor
        editor.maximumNumberOfUndoStates = _UNDO_STATES
        # Which nodes are edited is known here; a choice would only lead to wrong ones.
        editor.segmentationNodeSelectorVisible = False
        editor.sourceVolumeNodeSelectorVisible = False
        editor.switchToSegmentationsButtonVisible = False
        self.on_click(self.ui.edButton, lambda: self._set("endDiastole"))
        self.on_click(self.ui.esButton, lambda: self._set("endSystole"))
        self.on_click(self.ui.findButton, self._find)
        self.on_click(self.ui.suggestedButton, self._go_to_suggestion)
        self.on_click(self.ui.proposeButton, self._propose)

    def is_wanted(self) -> bool:
        """When it can do something; see `Section`."""
        return self.workspace is not None

    def update(self) -> None:
        """Show how things stand."""
        workspace = self.workspace
        if workspace is not self._shown:
            self._show(workspace)
        if workspace is None:
            return
        function = self.panel.measures.function if self.panel.measures else None
        parameters, ui = self.panel.parameters, self.ui
        ui.edLabel.text = _phase(parameters.endDiastole, function.ed if function else None)
        ui.esLabel.text = _phase(parameters.endSystole, function.es if function else None)
        is_set = parameters.endDiastole is not None or parameters.endSystole is not None
        self._hints.allow(
            ui.findButton, (is_set, _("They follow the volumes already, once all frames have contours"))
        )

        self._show_suggestion(workspace)
        is_empty = workspace.states.state(workspace.cine.frame) is FrameState.EMPTY
        ui.proposeButton.setVisible(is_empty and bool(self._model))
        self._hints.allow(
            ui.proposeButton,
            (not self.session.is_writing, _("Contours are being made; wait, or cancel that")),
            self.no_case_under_way,
        )

    def scene_closes(self) -> None:
        """Let go of the case's nodes."""
        self.update()

    def enter(self) -> None:
        """Listen to views and keys."""
        self._is_entered = True
        self._listen()

    def leave(self) -> None:
        """Listen to them no more: they belong to the module that is looked at."""
        self._is_entered = False
        self._listen_no_more()

    def _listen(self) -> None:
        if self._shown is not None and self._is_entered:
            self.ui.editor.setupViewObservations()
            self.ui.editor.installKeyboardShortcuts()

    def _listen_no_more(self) -> None:
        if self._shown is not None:
            self.ui.editor.setActiveEffectByName("")
        self.ui.editor.uninstallKeyboardShortcuts()
        self.ui.editor.removeViewObservations()

    def close(self) -> None:
        """Let go of everything."""
        super().close()
        self._show(None)

    def _show(self, workspace: Workspace | None) -> None:
        self._listen_no_more()
        self._shown = workspace
        editor = self.ui.editor
        browser = workspace.cine.browser if workspace else None
        self.ui.playWidget.setMRMLSequenceBrowserNode(browser)
        self.ui.seekWidget.setMRMLSequenceBrowserNode(browser)
        if workspace is None:
            if editor.mrmlSegmentEditorNode() is not None:
                editor.setSegmentationNode(None)
                editor.setMRMLSegmentEditorNode(None)
            return
        editor.setMRMLSegmentEditorNode(_editor_node())
        editor.setSegmentationNode(workspace.segmentations.proxy)
        editor.setSourceVolumeNode(workspace.cine.proxy)
        names = workspace.segmentations.names
        editor.setCurrentSegmentID(_FIRST_SEGMENT if _FIRST_SEGMENT in names else next(iter(names), VENTRICLES[0]))
        self._listen()

    def _show_suggestion(self, workspace: Workspace) -> None:
        """Only what is not done yet: a frame that is drawn needs no suggestion."""
        suggestion, done = suggestion_of(workspace.cine), workspace.states.key_frames
        frames = [frame for frame in suggestion.frames if frame not in done]
        is_shown = bool(frames) or (bool(suggestion.slices) and not suggestion.frames and not done)
        self._suggested = frames[0] if frames else None, suggestion.slices if is_shown else ()
        self.ui.suggestedLabel.text = _suggestion_text(frames, suggestion.slices)
        for each in (self.ui.suggestedLabel, self.ui.suggestedButton):
            each.setVisible(is_shown)

    def _go_to_suggestion(self) -> None:
        cine, (frame, slices) = self.session.need_workspace().cine, self._suggested
        if frame is not None:
            cine.frame = frame
        if slices:
            _show_slice(cine, slices[0])

    @property
    def _model(self) -> str:
        return chosen_model(self.offer, self.panel.parameters.segmentationModel)

    def _propose(self) -> None:
        session, parameters = self.session, self.panel.parameters
        models = () if self.offer is None else self.offer.models_of(KIND)
        wish = Wish(
            self._model,
            session.need_workspace().cine.frame,
            entropy=parameters.entropy,
            options=chosen_of(models, self._model, parameters.modelOptions),
        )
        self.panel.show_progress(self, session.cancel_segmentation)
        session.segment(wish)

    def _set(self, name: str) -> None:
        setattr(self.panel.parameters, name, self.session.need_workspace().cine.frame)

    def _find(self) -> None:
        self.panel.parameters.endDiastole = self.panel.parameters.endSystole = None


def _editor_node() -> Any:
    """The node that keeps the editor's state, one for the module."""
    scene = slicer.mrmlScene
    node = scene.GetSingletonNode(_EDITOR, "vtkMRMLSegmentEditorNode")
    if node is None:
        node = slicer.vtkMRMLSegmentEditorNode()
        node.SetSingletonTag(_EDITOR)
        node = scene.AddNode(node)
    return node


def _phase(set_frame: int | None, found: int | None) -> str:
    if set_frame is not None:
        return _("frame {frame}, set by you").format(frame=set_frame)
    return _("not known yet") if found is None else _("frame {frame}, found").format(frame=found)


def _suggestion_text(frames: Sequence[int], slices: Sequence[int]) -> str:
    values = {"frames": ", ".join(map(str, frames)), "slices": ", ".join(map(str, slices))}
    if not slices:
        return _("The server suggests to begin with frame {frames}.").format(**values)
    if not frames:
        return _("The server suggests to begin with slice {slices}.").format(**values)
    return _("The server suggests to begin with frame {frames}, slice {slices}.").format(**values)


def _show_slice(cine: Cine, index: int) -> None:
    """Move the slice views to the middle of a slice."""
    _frames, _slices, rows, columns = cine.shape
    r, a, s, _one = cine.affine @ ((columns - 1) / 2, (rows - 1) / 2, index, 1.0)
    nodes = slicer.vtkMRMLSliceNode
    nodes.JumpAllSlices(slicer.mrmlScene, r, a, s, nodes.OffsetJumpSlice)
