"""A server on this machine: part of the section Case, with the widgets of its .ui file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from CardiacMotionLib.errors import InputError
from CardiacMotionLib.local_runner import LocalRunner
from CardiacMotionLib.local_server import ServerState, ServerStatus, server_environment
from CardiacMotionLib.sections.section import Hints, Section
from CardiacMotionLib.sections.server import ServerBox
from CardiacMotionLib.session import download_folder
from CardiacMotionLib.settings import Settings


class LocalBox:
    """Starts a server, shows its log, connects to it, stops it.

    Args:
        section: whose widgets these are.
        server: connects the panel to it.

    Attributes:
        runner: of the server.
    """

    def __init__(self, section: Section, server: ServerBox) -> None:
        self._section, self._server = section, server
        self.runner = LocalRunner(section.panel.start_timer)
        self._settings, self._hints = Settings(), Hints()
        ui = section.ui
        ui.commandEdit.text = self._settings.command
        ui.studiesEdit.text = self._settings.studies
        ui.localBox.collapsed = True
        section.on_click(ui.commandButton, lambda: self._choose(ui.commandEdit, _("Folder of cardiac-motion")))
        section.on_click(ui.studiesButton, lambda: self._choose(ui.studiesEdit, _("Folder of images and labels")))
        section.on_click(ui.startButton, self._start)
        section.on_click(ui.stopButton, self._stop)
        ui.commandEdit.connect("editingFinished()", self._keep)
        ui.studiesEdit.connect("editingFinished()", self._keep)
        ui.studiesEdit.connect("textChanged(QString)", section.panel.update_soon)
        ui.localBox.connect("toggled(bool)", section.panel.update_soon)
        section.listen(self.runner.changed, self._changed)

    def update(self) -> None:
        """Show how things stand."""
        ui, state = self._section.ui, self.runner.status.state
        running = self.runner.is_running
        self._hints.allow(
            ui.startButton,
            (not running, _("It runs already")),
            (ui.studiesEdit.text.strip(), _("Choose a folder for images and labels first")),
        )
        self._hints.allow(
            ui.stopButton,
            (running, _("No server was started here")),
            (state is not ServerState.STOPPING, _("It is being stopped")),
        )
        for each in (ui.commandEdit, ui.commandButton, ui.studiesEdit, ui.studiesButton):
            each.enabled = not running
        ui.localLabel.text = _state_text(state)
        is_open = not ui.localBox.collapsed
        ui.localLabel.setVisible(bool(ui.localLabel.text) and is_open)
        log = self.runner.log_text if is_open else ""
        if ui.logView.plainText != log:
            ui.logView.plainText = log
            ui.logView.verticalScrollBar().setValue(ui.logView.verticalScrollBar().maximum)
        ui.logView.setVisible(bool(log))

    def close(self) -> None:
        """End the server."""
        self.runner.close()

    def _choose(self, edit: Any, title: str) -> None:
        folder = qt.QFileDialog.getExistingDirectory(self._section.widget, title, edit.text)
        if folder:
            edit.text = folder
            self._keep()

    def _keep(self) -> None:
        self._settings.command = self._section.ui.commandEdit.text.strip()
        self._settings.studies = self._section.ui.studiesEdit.text.strip()

    def _start(self) -> None:
        self._keep()
        self._section.panel.say("", self._section)
        if not self._settings.studies:
            raise InputError(_("Choose a folder for images and labels first"))
        log = download_folder(slicer.app.temporaryPath) / "server.log"
        environment = server_environment(slicer.util.startupEnvironment())
        self.runner.start(self._settings.command, Path(self._settings.studies).expanduser(), environment, log)

    def _stop(self) -> None:
        self.runner.stop()

    def _changed(self, status: ServerStatus) -> None:
        panel = self._section.panel
        with panel.telling(self._section):
            if status.state is ServerState.READY:
                self._server.connect_to(self.runner.target)
            elif status.state in {ServerState.FAILED, ServerState.STOPPED}:
                self._forget_connection()
            if status.state is ServerState.FAILED:
                panel.say(status.message[:1].upper() + status.message[1:], self._section, is_error=True)
        panel.update_soon()

    def _forget_connection(self) -> None:
        """A server that has ended is no connection any more; another one stays."""
        link = self._section.panel.session.link
        target = link.current_target
        if target is not None and target.token is not None and self.runner.has_token(target.token):
            link.disconnect()
            self._server.show_own()


def _state_text(state: ServerState) -> str:
    """What is said of a server that stands like this; "" for nothing."""
    texts = {
        ServerState.STARTING: _("Starting … the first time takes longer."),
        ServerState.READY: _("Runs; only this computer can reach it. It ends with Slicer."),
        ServerState.STOPPING: _("Stopping …"),
    }
    return texts.get(state, "")
