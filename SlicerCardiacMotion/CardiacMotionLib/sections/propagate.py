"""Propagate: contours carried to the other frames, once or after every edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from slicer.i18n import tr as _

from CardiacMotionLib.frame_strip import FrameStrip, legend
from CardiacMotionLib.messages import sentences
from CardiacMotionLib.propagation import TASK
from CardiacMotionLib.sections.options import OptionsBox
from CardiacMotionLib.sections.section import Condition, Hints, Panel, Section, fill_combo
from CardiacMotionLib.segmenting import can_segment_stacks
from CardiacMotionLib.session import Scope
from CardiacMotionLib.suggestion import suggestion_of


class PropagateSection(Section):
    """Carries contours; undoes that; releases key frames."""

    UI: ClassVar[str] = "Propagate"
    ORDER: ClassVar[int] = 30
    TASK: ClassVar[str] = TASK

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._hints = Hints()
        self.strip = FrameStrip(self._go)
        self.ui.stripHolder.layout().addWidget(self.strip.widget)
        self.on_click(self.ui.propagateButton, self._propagate)
        self.on_click(self.ui.undoButton, self._undo)
        self.on_click(self.ui.releaseButton, self._release)
        self.ui.modelCombo.connect("activated(int)", self._choose_model)
        self.ui.liveBox.connect("clicked()", self._live_clicked)
        self.options = OptionsBox(self, self.ui.optionsBox)
        self._percent = 0
        propagation = self.session.propagation
        self.listen(propagation.finished, self._finished)
        self.listen(propagation.progress, self._progress)
        self.listen(propagation.failed, self.fail)

    @property
    def is_busy(self) -> bool:
        """Whether what was asked for here is under way."""
        return self.session.propagation.is_running

    def is_wanted(self) -> bool:
        """When it can do something; see `Section`."""
        return self.workspace is not None and self.is_offered

    def update(self) -> None:
        """Show how things stand."""
        parameters, ui, session = self.panel.parameters, self.ui, self.session
        models = self.offer.models_of("motion") if self.offer else ()
        named = {model.name: f"{model.name} {model.version or ''}".strip() for model in models}
        chosen = fill_combo(ui.modelCombo, named, parameters.motionModel)
        self.options.update(next((model for model in models if model.name == chosen), None))
        session.motion_params = self._params()
        session.scope = self._scope()
        session.live.is_on = parameters.live and self.is_wanted()
        workspace = self.workspace
        if workspace is None:
            return
        states, frame, last = workspace.states, workspace.cine.frame, workspace.cine.n_frames - 1
        suggested = frozenset(suggestion_of(workspace.cine).frames)
        self.strip.show(states, frame, suggested)
        ui.legendLabel.text = legend(with_suggestion=bool(suggested), with_segmented=bool(states.segmented))
        for spin, value in ((ui.firstSpin, parameters.firstFrame), (ui.lastSpin, parameters.lastFrame)):
            spin.setMaximum(last)
            spin.value = min(value, last)  # an earlier maximum may have cut it
            spin.enabled = parameters.onlyRange
        ui.toLabel.enabled = parameters.onlyRange
        self._hints.allow(ui.alignBox, *self._can_align)
        is_key, is_verified = frame in states.key_frames, frame in states.verified
        ui.fromThisBox.text = _("Start from this frame only (frame {frame})").format(frame=frame)
        running = session.propagation.is_running
        self._hints.allow(
            ui.propagateButton,
            (states.key_frames, _("Draw contours on a frame first")),
            (
                is_key or not parameters.fromThisFrame,
                _("Frame {frame} is not drawn or corrected; draw on it first").format(frame=frame),
            ),
            (
                not parameters.onlyRange or parameters.firstFrame <= parameters.lastFrame,
                _("The range ends before it begins"),
            ),
            (not running, _("Contours are being carried already; wait, or cancel that")),
            (not session.segmenting.is_running, _("A model is segmenting; wait, or cancel that")),
            self.no_case_under_way,
        )
        self._hints.allow(
            ui.undoButton,
            (workspace.can_undo, _("There is nothing to take back")),
            (not session.is_writing, _("Wait until it is done, or cancel it")),
        )
        self._hints.allow(
            ui.releaseButton,
            (
                is_key or is_verified,
                _("Frame {frame} is not drawn, corrected or verified, so it is overwritten anyway").format(
                    frame=frame
                ),
            ),
        )
        ui.stateLabel.text = self._state_text()

    def _live_clicked(self) -> None:
        session = self.session
        if not self.ui.liveBox.checked and session.is_following:
            session.propagation.cancel()
        self.panel.update_soon()

    def _progress(self, progress: tuple[float, str]) -> None:
        self.panel.set_progress(progress)
        self._percent = round(100 * progress[0])
        self.ui.stateLabel.text = self._state_text()

    def _go(self, frame: int) -> None:
        if self.workspace is not None:
            self.workspace.cine.frame = frame

    def _choose_model(self, index: int) -> None:
        self.panel.parameters.motionModel = self.ui.modelCombo.itemData(index)
        self.panel.update_soon()

    def _propagate(self) -> None:
        # As it is now, whether or not the panel has been brought up to date.
        self.session.scope, self.session.motion_params = self._scope(), self._params()
        self.panel.show_progress(self, self._cancel)
        self.session.propagate()

    def _params(self) -> dict[str, Any]:
        """Of the motion task: the model, its options where others than its own are chosen, and `align`."""
        params: dict[str, Any] = {}
        model, values = self.options.model, self.options.values
        if model is not None:
            params["model"] = model.name
        if values:
            params["options"] = values
        # It may have been ticked for another cine, or for another server.
        if self.panel.parameters.align and all(holds for holds, _why in self._can_align):
            params["align"] = True
        return params

    @property
    def _can_align(self) -> tuple[Condition, ...]:
        workspace = self.workspace
        return (
            (
                workspace is not None and workspace.cine.shape[1] > 1,
                _("A single slice has no neighbours to be aligned with"),
            ),
            (can_segment_stacks(self.offer), _("This server has no model that segments short-axis stacks")),
        )

    def _scope(self) -> Scope:
        parameters = self.panel.parameters
        frames = (parameters.firstFrame, parameters.lastFrame) if parameters.onlyRange else None
        return Scope(from_this_frame=parameters.fromThisFrame, frames=frames)

    def _cancel(self) -> None:
        self.session.propagation.cancel()
        self.session.cases.cancel()

    def _undo(self) -> None:
        self.session.need_workspace().undo()
        self.panel.say("", self)

    def _release(self) -> None:
        workspace = self.session.need_workspace()
        workspace.release(workspace.cine.frame)

    def _finished(self, params: Mapping[str, Any]) -> None:
        self._percent = 0
        warnings = params.get("warnings")
        said = sentences(warnings) if isinstance(warnings, list) else []
        kept = len(self.session.propagation.kept_verified)
        if kept and not self.session.is_following:  # after every edit it would only unsettle
            text = _("1 verified frame was kept.") if kept == 1 else _("{count} verified frames were kept.")
            said.append(text.format(count=kept))
        if said:
            self.panel.say(" ".join(said), self)
        self.panel.update_soon()

    def _state_text(self) -> str:
        workspace = self.workspace
        if workspace is None:
            return ""
        states, session = workspace.states, self.session
        if session.propagation.is_running:
            following, percent = session.is_following, self._percent
            text = (
                _("The other frames follow … {percent} %")
                if following
                else _("Contours are being carried … {percent} %")
            )
            return text.format(percent=percent)
        keys, carried = len(states.key_frames), len(states.propagated)
        if not keys:
            return _("No frame has contours yet. Draw RV, MYO and LV on one frame.")
        said = [_("{keys} of {count} frames drawn or corrected, {carried} propagated.")]
        if states.segmented and session.live.is_on:
            said.append(_("{segmented} with proposals of a model do not follow; Propagate replaces them."))
        return " ".join(said).format(
            keys=keys, count=states.count, carried=carried, segmented=len(states.segmented)
        )
