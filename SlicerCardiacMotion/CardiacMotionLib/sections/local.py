"""A server on this machine: part of the section Case, with the widgets of its .ui file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer

from CardiacMotionLib.errors import InputError
from CardiacMotionLib.local_runner import LocalRunner
from CardiacMotionLib.local_server import ServerState, ServerStatus, server_environment
from CardiacMotionLib.sections.section import Hints, Section
from CardiacMotionLib.server_link import Target
from CardiacMotionLib.session import download_folder
from CardiacMotionLib.settings import Settings

_TEXTS = {
    ServerState.STARTING: "Starting … the first time takes longer.",
    ServerState.READY: "Runs; only this computer can reach it. It ends with Slicer.",
    ServerState.STOPPING: "Stopping …",
}


class LocalBox:
    """Starts a server, shows its log, connects to it, stops it.

    Args:
        section: whose widgets these are.
        runner: of the server.
        connect: connects the panel to it.
    """

    def __init__(self, section: Section, runner: LocalRunner, connect: Callable[[Target], None]) -> None:
        self._section, self._runner, self._connect = section, runner, connect
        self._settings, self._hints = Settings(), Hints()
        ui = section.ui
        ui.commandEdit.text = self._settings.command
        ui.studiesEdit.text = self._settings.studies
        ui.localBox.collapsed = True
        section.on_click(ui.commandButton, lambda: self._choose(ui.commandEdit, "Folder of cardiac-motion"))
        section.on_click(ui.studiesButton, lambda: self._choose(ui.studiesEdit, "Folder of images and labels"))
        section.on_click(ui.startButton, self._start)
        section.on_click(ui.stopButton, self._stop)
        ui.commandEdit.connect("editingFinished()", self._keep)
        ui.studiesEdit.connect("editingFinished()", self._keep)
        ui.studiesEdit.connect("textChanged(QString)", section.panel.update_soon)
        ui.localBox.connect("toggled(bool)", section.panel.update_soon)
        runner.changed.connect(self._changed)

    def update(self) -> None:
        """Show how things stand."""
        ui, state = self._section.ui, self._runner.status.state
        running = self._runner.is_running
        self._hints.allow(
            ui.startButton,
            (not running, "It runs already"),
            (ui.studiesEdit.text.strip(), "Choose a folder for images and labels first"),
        )
        self._hints.allow(
            ui.stopButton,
            (running, "No server was started here"),
            (state is not ServerState.STOPPING, "It is being stopped"),
        )
        for each in (ui.commandEdit, ui.commandButton, ui.studiesEdit, ui.studiesButton):
            each.enabled = not running
        ui.localLabel.text = _TEXTS.get(state, "")
        ui.localLabel.setVisible(bool(ui.localLabel.text) and not ui.localBox.collapsed)
        log = self._runner.log_text
        if ui.logView.plainText != log:
            ui.logView.plainText = log
            ui.logView.verticalScrollBar().setValue(ui.logView.verticalScrollBar().maximum)
        ui.logView.setVisible(bool(log) and not ui.localBox.collapsed)

    def close(self) -> None:
        """End the server."""
        self._runner.close()

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
            raise InputError("choose a folder for images and labels first")
        log = download_folder(slicer.app.temporaryPath) / "server.log"
        environment = server_environment(slicer.util.startupEnvironment())
        self._runner.start(self._settings.command, Path(self._settings.studies).expanduser(), environment, log)

    def _stop(self) -> None:
        self._runner.stop()

    def _changed(self, status: ServerStatus) -> None:
        panel = self._section.panel
        with panel.telling(self._section):
            if status.state is ServerState.READY:
                self._connect(self._runner.target)
            elif status.state in {ServerState.FAILED, ServerState.STOPPED}:
                self._forget_connection()
            if status.state is ServerState.FAILED:
                panel.say(status.message[:1].upper() + status.message[1:], self._section, is_error=True)
        panel.update_soon()

    def _forget_connection(self) -> None:
        """A server that has ended is no connection any more; another one stays."""
        link = self._section.panel.session.link
        target = link.current_target
        if target is not None and target.token is not None and self._runner.has_token(target.token):
            link.disconnect()
            self._section.ui.tokenEdit.text = self._settings.token
            self._section.ui.addressEdit.text = self._settings.address
