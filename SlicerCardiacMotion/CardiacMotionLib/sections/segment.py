"""Segment: a model's contours for one frame or all, how unsure it was, and how the slices lie to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import slicer
from slicer.i18n import tr as _

from CardiacMotionLib.alignment_preview import AlignmentPreview, end_of_another
from CardiacMotionLib.client import OfferedModel
from CardiacMotionLib.entropy_overlay import EntropyOverlay
from CardiacMotionLib.frame_states import FrameState
from CardiacMotionLib.messages import sentences
from CardiacMotionLib.model_options import chosen_of
from CardiacMotionLib.sections.options import OptionsBox
from CardiacMotionLib.sections.section import Hints, Panel, Section, fill_combo
from CardiacMotionLib.segmenting import FUSED, KIND, Done, Wish, chosen_model, models_that_segment
from CardiacMotionLib.slice_shifts import SliceShifts, shifts_of
from CardiacMotionLib.workspace import Workspace

_ALIKE_NATS = 0.005
"""Ends of scales that differ by less read the same."""
_PROPOSED = frozenset({FrameState.SEGMENTED, FrameState.PROPAGATED})


class SegmentSection(Section):
    """Has frames segmented; shows entropy and aligned slices."""

    UI: ClassVar[str] = "Segment"
    ORDER: ClassVar[int] = 25

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._hints = Hints()
        self._preview: AlignmentPreview | None = None
        self.options = OptionsBox(self, self.ui.optionsBox)
        ui, segmenting = self.ui, self.session.segmenting
        self.on_click(ui.thisFrameButton, self._segment_this_frame)
        self.on_click(ui.allFramesButton, lambda: self._segment(Wish(self._model)))
        self.on_click(ui.fusedButton, lambda: self._segment(Wish(FUSED)))
        self.on_click(ui.acceptButton, self._accept)
        self.on_click(ui.undoButton, self._undo)
        ui.modelCombo.connect("activated(int)", self._choose_model)
        ui.overlayBox.connect("clicked()", self._show_entropy)
        ui.alignedBox.connect("clicked()", self._show_aligned)
        self.listen(segmenting.progress, panel.set_progress)
        self.listen(segmenting.finished, self._finished)
        self.listen(self.session.workspace_changed, self._another_case)
        scene = slicer.mrmlScene
        # What is only to be looked at is no part of a saved scene, nor is what it hides.
        self._observed = scene, scene.AddObserver(slicer.vtkMRMLScene.StartSaveEvent, self._scene_is_saved)

    @property
    def is_offered(self) -> bool:
        """Whether the server has models that segment."""
        return self.offer is not None and bool(self.offer.models_of(KIND))

    @property
    def is_busy(self) -> bool:
        """Whether what was asked for here is under way."""
        return self.session.segmenting.is_running

    def is_wanted(self) -> bool:
        """When it can do something; see `Section`."""
        return self.workspace is not None and self.is_offered

    def update(self) -> None:
        """Show how things stand."""
        ui, session, offer = self.ui, self.session, self.offer
        named = models_that_segment(offer)
        fill_combo(ui.modelCombo, named, self.panel.parameters.segmentationModel)
        self.options.update(next((each for each in self._models if each.name == self._model), None))
        workspace = self.workspace
        if workspace is None:
            return
        states, frame = workspace.states, workspace.cine.frame
        idle = (not session.is_writing, _("Contours are being made already; wait, or cancel that"))
        model = (named, _("This server has no such model"))
        is_kept = frame in states.kept
        self._hints.allow(
            ui.thisFrameButton,
            model,
            (
                not is_kept,
                _("Frame {frame} is drawn, corrected or verified; release it first").format(frame=frame),
            ),
            idle,
            self.no_case_under_way,
        )
        is_left = (len(states.kept) < states.count, _("Every frame is drawn, corrected or verified"))
        self._hints.allow(ui.allFramesButton, model, is_left, idle, self.no_case_under_way)
        ui.fusedButton.setVisible(offer is not None and FUSED in offer.tasks)
        drawn = (states.key_frames, _("Draw contours on a frame first, or accept some"))
        self._hints.allow(ui.fusedButton, drawn, is_left, idle, self.no_case_under_way)
        self._hints.allow(
            ui.acceptButton,
            (
                states.state(frame) in _PROPOSED,
                _("Frame {frame} holds nothing that was segmented or carried").format(frame=frame),
            ),
        )
        self._hints.allow(
            ui.undoButton,
            (workspace.can_undo, _("There is nothing to take back")),
            (not session.is_writing, _("Wait until it is done, or cancel it")),
        )
        self._update_entropy(workspace)
        self._update_preview(workspace)
        ui.stateLabel.text = _state_text(len(states.segmented), states.count)

    def scene_closes(self) -> None:
        """Let go of the preview."""
        self._end_preview()

    def close(self) -> None:
        """Let go of everything."""
        super().close()
        scene, tag = self._observed
        scene.RemoveObserver(tag)
        self._end_preview()

    @property
    def _model(self) -> str:
        return chosen_model(self.offer, self.panel.parameters.segmentationModel)

    def _segment_this_frame(self) -> None:
        self._segment(Wish(self._model, self.session.need_workspace().cine.frame))

    def _segment(self, wish: Wish) -> None:
        self.panel.show_progress(self, self.session.cancel_segmentation)
        self.session.segment(
            Wish(
                wish.task,
                wish.frame,
                entropy=self.panel.parameters.entropy,
                options=chosen_of(
                    self._models, wish.task, self.panel.parameters.modelOptions, chosen_for=self._model
                ),
            )
        )

    @property
    def _models(self) -> tuple[OfferedModel, ...]:
        return () if self.offer is None else self.offer.models_of(KIND)

    def _choose_model(self, index: int) -> None:
        self.panel.parameters.segmentationModel = self.ui.modelCombo.itemData(index)
        self.panel.update_soon()

    def _accept(self) -> None:
        workspace = self.session.need_workspace()
        workspace.accept(workspace.cine.frame)
        self.panel.say("", self)

    def _undo(self) -> None:
        self.session.need_workspace().undo()
        self.panel.say("", self)

    def _finished(self, done: Done) -> None:
        said = _outcome(done)
        if said:
            self.panel.say(" ".join(said), self.panel.owner or self)
        if "entropy_max" in done.params:
            self._show(True)
        self.panel.update_soon()

    def _show_entropy(self) -> None:
        self._show(self.ui.overlayBox.checked)
        self.panel.update_soon()

    def _show(self, on: bool) -> None:
        workspace = self.workspace
        overlay = EntropyOverlay.find(workspace.cine) if workspace is not None else None
        if overlay is not None and on:
            overlay.show(self.panel.parameters.entropyOpacity / 100, _("Entropy (nats)"))
        elif overlay is not None:
            overlay.hide()

    def _update_entropy(self, workspace: Workspace) -> None:
        ui, overlay = self.ui, EntropyOverlay.find(workspace.cine)
        for each in (ui.overlayBox, ui.opacitySpin, ui.entropyLabel):
            each.setVisible(overlay is not None)
        if overlay is None:
            return
        is_shown = overlay.is_shown
        ui.overlayBox.checked = is_shown
        ui.opacitySpin.enabled = is_shown
        if is_shown and overlay.opacity != self.panel.parameters.entropyOpacity / 100:
            self._show(True)
        ui.entropyLabel.text = _entropy_text(overlay, workspace.cine.frame)

    def _update_preview(self, workspace: Workspace) -> None:
        ui, shifts = self.ui, shifts_of(workspace.cine)
        for each in (ui.alignedBox, ui.shiftsLabel):
            each.setVisible(shifts is not None)
        if shifts is None:
            return
        if self._preview is not None:
            # Other shifts, from a newer segmentation, are another preview.
            if self._preview.shifts != shifts:
                self._end_preview()
                self._preview = AlignmentPreview(workspace, shifts)
            self._preview.update()
        ui.alignedBox.checked = self._preview is not None
        self._hints.allow(ui.alignedBox, (not shifts.is_nothing, _("No slice seems to be displaced")))
        ui.shiftsLabel.text = _shifts_text(shifts, is_shown=self._preview is not None)

    def _show_aligned(self) -> None:
        workspace, shifts = self.workspace, None
        if workspace is not None:
            shifts = shifts_of(workspace.cine)
        self._end_preview()
        if workspace is not None and shifts is not None and self.ui.alignedBox.checked:
            with self.panel.telling(self):
                self._preview = AlignmentPreview(workspace, shifts)
        self.panel.update_soon()

    def _another_case(self, workspace: Workspace | None) -> None:
        self._end_preview()
        if workspace is not None:
            end_of_another(workspace)

    def _end_preview(self) -> None:
        preview, self._preview = self._preview, None
        if preview is not None:
            preview.hide()

    def _scene_is_saved(self, _scene: Any, _event: str) -> None:
        self._end_preview()
        self.panel.update_soon()


def _outcome(done: Done) -> list[str]:
    """What a reader should know of a segmentation, one sentence each."""
    said = []
    if not done.written and not done.kept:
        said.append(_("The model found no structure there; nothing was changed."))
    elif done.empty:
        text = _("The model found no structure on frames {frames}; they are as they were.")
        said.append(text.format(frames=_listed(done.empty)))
    if len(done.kept) == 1:
        said.append(_("Frame {frame} was kept as it was.").format(frame=done.kept[0]))
    elif done.kept:
        text = _("{count} frames that were drawn, corrected or verified were kept as they were.")
        said.append(text.format(count=len(done.kept)))
    warnings = done.params.get("warnings")
    return [*said, *sentences(warnings)] if isinstance(warnings, list) else said


def _listed(frames: Sequence[int]) -> str:
    return ", ".join(map(str, frames))


def _state_text(segmented: int, count: int) -> str:
    if not segmented:
        return _("A model's contours are proposals: frames that you drew, corrected or verified stay as they are.")
    text = _("{segmented} of {count} frames hold proposals of a model. Correct them, or accept them.")
    return text.format(segmented=segmented, count=count)


def _entropy_text(overlay: EntropyOverlay, frame: int) -> str:
    if frame not in overlay.frames:
        return _("None was asked for on this frame.")
    largest, end = overlay.largest_of(frame), overlay.largest
    said = [_("0 nats: sure. {largest:.2f} nats: any structure as likely as the next.")]
    if end - largest > _ALIKE_NATS:
        said.append(_("The scale ends at {end:.2f} nats, for frames on which more structures were told apart."))
    return " ".join(said).format(largest=largest, end=end)


def _shifts_text(shifts: SliceShifts, *, is_shown: bool) -> str:
    if shifts.is_nothing:
        return " ".join([_("No slice seems to be displaced."), *sentences(shifts.notes)])
    lengths = shifts.lengths_mm
    text = _("Slices seem to be displaced by up to {mm:.1f} mm (slice {index}).")
    parts = [text.format(mm=lengths.max(), index=int(lengths.argmax())), *sentences(shifts.notes)]
    if is_shown:
        parts.insert(0, _("Shown aligned, contours hidden: a preview, nothing was changed."))
    return " ".join(parts)
