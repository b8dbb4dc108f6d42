"""Learn: frames marked verified, labels sent back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from slicer.i18n import tr as _

from CardiacMotionLib.client import SavedLabel
from CardiacMotionLib.frame_states import FrameState
from CardiacMotionLib.sections.section import Hints, Panel, Section
from CardiacMotionLib.server_link import OnGone
from CardiacMotionLib.workspace import Workspace


class LearnSection(Section):
    """Sends the labels of all frames, with those that were verified."""

    UI: ClassVar[str] = "Learn"
    ORDER: ClassVar[int] = 50

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._hints = Hints()
        self._saved: tuple[Workspace, str] | None = None
        self.ui.verifiedBox.connect("clicked()", self._verify)
        self.on_click(self.ui.submitButton, self._submit)

    @property
    def is_busy(self) -> bool:
        """Whether what was asked for here is under way."""
        return self.session.cases.is_busy

    def is_wanted(self) -> bool:
        """When it can do something; see `Section`."""
        return self.workspace is not None and self.offer is not None

    def update(self) -> None:
        """Show how things stand."""
        ui, workspace = self.ui, self.workspace
        if workspace is None:
            self._saved = None
            return
        states, frame = workspace.states, workspace.cine.frame
        ui.verifiedBox.text = _("This frame is verified (frame {frame})").format(frame=frame)
        is_empty = states.state(frame) is FrameState.EMPTY
        self._hints.allow(ui.verifiedBox, (not is_empty, _("Frame {frame} has no contours").format(frame=frame)))
        ui.verifiedBox.checked = frame in states.verified
        ui.verifiedLabel.text = _("{verified} of {count} frames verified.").format(
            verified=len(states.verified), count=states.count
        )
        self._hints.allow(
            ui.submitButton,
            (self.offer, _("Connect to a server first")),
            (states.states, _("No frame has contours yet")),
            (not self.session.propagation.is_running, _("Contours are being carried; wait, or cancel that")),
            (not self.session.segmenting.is_running, _("A model is segmenting; wait, or cancel that")),
            self.no_case_under_way,
        )
        is_of_this_case = self._saved is not None and self._saved[0] is workspace
        ui.savedLabel.text = self._saved[1] if self._saved and is_of_this_case else ""
        ui.savedLabel.setVisible(is_of_this_case)

    def _verify(self) -> None:
        workspace = self.workspace
        if workspace is not None:
            with self.panel.telling(self):
                workspace.set_verified(workspace.cine.frame, self.ui.verifiedBox.checked)
        self.panel.update_soon()

    def _submit(self) -> None:
        workspace = self.session.need_workspace()
        note, model = self.panel.parameters.note.strip(), self._model()

        def send(on_gone: OnGone | None) -> None:
            self.session.cases.submit(
                workspace, lambda saved: self._show(workspace, saved), model=model, note=note, on_gone=on_gone
            )

        self.panel.show_progress(self, self.session.cases.cancel)
        self.session.cases.on_server(workspace, send)

    def _model(self) -> Mapping[str, Any] | None:
        """Name and version of what carried the labels, as the last answer has it."""
        model = self.session.last_answer.get("model")
        return model if isinstance(model, Mapping) else None

    def _show(self, workspace: Workspace, saved: SavedLabel) -> None:
        verified = len(workspace.states.verified)
        if verified == 1:
            text = _("Saved on the server: {label}, version {version}, 1 frame verified.")
        else:
            text = _("Saved on the server: {label}, version {version}, {verified} frames verified.")
        text = text.format(label=saved.label, version=saved.version, verified=verified)
        self._saved = (workspace, text)
        self.panel.update_soon()
