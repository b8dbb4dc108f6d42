"""Case: the server, and the cine that is worked on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer

from CardiacMotionLib.errors import InputError
from CardiacMotionLib.opening import Opening
from CardiacMotionLib.sections.section import Hints, Panel, Section, fill_combo
from CardiacMotionLib.server_link import Target
from CardiacMotionLib.session import download_folder
from CardiacMotionLib.settings import Settings
from CardiacMotionLib.workspace import Workspace

_MULTI_VOLUME = "vtkMRMLMultiVolumeNode"
_FILES = "Cines (*.nii *.nii.gz *.seq.nrrd *.nrrd);;All files (*)"
_NOT_CONNECTED = "Connect to a server first"


class CaseSection(Section):
    """Connects to a server, and opens cines."""

    UI = "Case"

    def __init__(self, panel: Panel, opening: Opening) -> None:
        super().__init__(panel)
        self._settings, self._hints, self._opening = Settings(), Hints(), opening
        self._shown: Workspace | None = None
        ui = self.ui
        ui.addressEdit.text = self._settings.address
        ui.tokenEdit.text = self._settings.token
        ui.rememberBox.checked = self._settings.remembers_token
        # A MultiVolume comes with another extension, which need not be there.
        types = ["vtkMRMLSequenceBrowserNode", _MULTI_VOLUME]
        ui.cineSelector.nodeTypes = [name for name in types if hasattr(slicer, name)]
        self.on_click(ui.connectButton, self._connect)
        self.on_click(ui.nextButton, self._next_case)
        self.on_click(ui.useButton, self._use)
        self.on_click(ui.fileButton, self._load)
        ui.addressEdit.connect("returnPressed()", ui.connectButton.click)
        ui.tokenEdit.connect("returnPressed()", ui.connectButton.click)
        ui.rememberBox.connect("toggled(bool)", self._remember)
        ui.strategyCombo.connect("activated(int)", self._choose_strategy)
        ui.cineSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._selected)

    def update(self) -> None:
        """Show how things stand."""
        ui, link = self.ui, self.session.link
        connecting, offer = link.is_connecting, link.offer
        ui.connectButton.text = "Cancel" if connecting else "Disconnect" if offer else "Connect"
        for each in (ui.addressEdit, ui.tokenEdit, ui.rememberBox):
            each.enabled = not connecting and offer is None
        self._hints.allow(ui.connectButton)
        ui.offerLabel.text = self._offer_text()
        strategies = {name: name for name in offer.strategies} if offer else {}
        ui.strategyCombo.enabled = bool(strategies)
        fill_combo(ui.strategyCombo, strategies, self.panel.parameters.strategy)
        busy = self.session.cases.is_busy or self._opening.is_busy
        idle = (not busy, "Something is being sent or fetched; wait, or cancel it")
        self._hints.allow(
            ui.nextButton, (offer, _NOT_CONNECTED), (strategies, "This server does not choose cases"), idle
        )
        workspace = self.workspace
        if workspace is not self._shown:
            self._shown = workspace
            ui.cineSelector.setCurrentNode(workspace.cine.browser if workspace else None)
        chosen = ui.cineSelector.currentNode()
        is_open = workspace is not None and chosen is workspace.cine.browser
        self._hints.allow(
            ui.useButton,
            (chosen is not None, "Choose a cine of the scene first"),
            (not is_open, "You are working on it already"),
            idle,
        )
        self._hints.allow(ui.fileButton, idle)
        ui.caseLabel.text = self._case_text()

    def connect_to(self, target: Target) -> None:
        """Connect to a server that the user did not type in, as one that was started here."""
        self.ui.addressEdit.text = target.address
        self.ui.tokenEdit.text = target.token or ""
        self.panel.show_progress(self, self.session.link.disconnect)
        self.session.link.connect(target)

    def _connect(self) -> None:
        link = self.session.link
        if link.is_connecting or link.offer is not None:
            link.disconnect()
            self.panel.say("", self)
            return
        address, token = self.ui.addressEdit.text.strip(), self.ui.tokenEdit.text.strip()
        self.panel.show_progress(self, link.disconnect)
        link.connect(Target(address, token or None))
        self._settings.address = address
        self._settings.keep_token(token, self.ui.rememberBox.checked)

    def _remember(self, on: bool) -> None:
        self._settings.keep_token(self.ui.tokenEdit.text.strip(), on)

    def _choose_strategy(self, index: int) -> None:
        self.panel.parameters.strategy = self.ui.strategyCombo.itemData(index)

    def _selected(self, _node: Any) -> None:
        self.panel.update_soon()

    def _next_case(self) -> None:
        strategy = self.ui.strategyCombo.itemData(self.ui.strategyCombo.currentIndex)
        self.panel.show_progress(self, self._cancel)
        self._opening.next_case(strategy, download_folder(slicer.app.temporaryPath))

    def _use(self) -> None:
        self._opening.node(self.ui.cineSelector.currentNode())

    def _load(self) -> None:
        path = qt.QFileDialog.getOpenFileName(self.widget, "Load a cine", "", _FILES)
        if path:
            self.load(Path(path))

    def load(self, path: Path) -> None:
        """Load a file, and work on it.

        Raises:
            InputError: it is not there, or no cine.
        """
        if not path.is_file():
            raise InputError(f"{path}: is not there")
        self.panel.show_progress(self, self._cancel)
        self._opening.file(path)

    def _cancel(self) -> None:
        self.session.cases.cancel()
        self._opening.cancel()

    def _offer_text(self) -> str:
        link = self.session.link
        if link.is_connecting:
            return "Connecting …"
        offer = link.offer
        if offer is None:
            return "Not connected. Nothing is sent before you connect."
        models = [model.name for model in offer.models_of("motion")]
        offered = [f"motion ({', '.join(models)})"] if "motion" in offer.tasks else []
        offered += [task for task in offer.tasks if task != "motion"]
        return f"Connected to CardiacMotion {offer.version}. It offers: {', '.join(offered) or 'no tasks'}."

    def _case_text(self) -> str:
        workspace = self.workspace
        if workspace is None:
            return "No cine yet."
        frames, slices, rows, columns = workspace.cine.shape
        case = workspace.case
        target = self.session.link.current_target
        known = case is not None and target is not None and case.address == target.address
        where = f"On the server as {case.image_id}." if case and known else "Sent to the server when it is needed."
        note = f" {workspace.cine.timing_note}" if workspace.cine.timing_note else ""
        text = f"{workspace.cine.name}: {frames} frames, {slices} slices of {columns} by {rows} voxels."
        return f"{text}{note} {where}"
