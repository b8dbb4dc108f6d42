"""Case: the server, and the cine that is worked on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import qt
import slicer
from slicer.i18n import tr as _

from CardiacMotionLib import offered_nodes
from CardiacMotionLib.cases import id_to_send, image_id_of
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.opening import Opening
from CardiacMotionLib.sections.local import LocalBox
from CardiacMotionLib.sections.section import Condition, Hints, Panel, Section, fill_combo
from CardiacMotionLib.sections.server import ServerBox
from CardiacMotionLib.session import download_folder
from CardiacMotionLib.workspace import Workspace


class CaseSection(Section):
    """Connects to a server, and opens cines."""

    UI: ClassVar[str] = "Case"
    ORDER: ClassVar[int] = 10

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._hints = Hints()
        self.opening = Opening(self.session)
        self.server = ServerBox(self)
        self.local = LocalBox(self, self.server)
        self._shown: Workspace | None = None
        self._id_of: Workspace | None = None
        ui = self.ui
        ui.cineSelector.nodeTypes = offered_nodes.node_types()
        self.on_click(ui.nextButton, self._next_case)
        self.on_click(ui.useButton, self._use)
        self.on_click(ui.fileButton, self._load)
        self.on_click(ui.sendButton, self._send)
        # At every key: a button that is pressed next may not take the focus, and the name must not be sent then.
        ui.idEdit.connect("textEdited(QString)", self._keep_id)
        ui.idEdit.connect("editingFinished()", self._show_id)
        ui.strategyCombo.connect("activated(int)", self._choose_strategy)
        ui.cineSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._selected)
        self.listen(self.opening.failed, self.fail)
        self.listen(self.opening.nothing_left, self._nothing_left)
        scene, events = (
            slicer.mrmlScene,
            (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent),
        )
        self._observed = scene, [scene.AddObserver(event, self._scene_changed) for event in events]

    @property
    def is_busy(self) -> bool:
        """Whether what was asked for here is under way."""
        session = self.session
        return session.link.is_connecting or session.cases.is_busy or self.opening.is_busy

    def update(self) -> None:
        """Show how things stand."""
        self.server.update()
        self.local.update()
        ui, offer = self.ui, self.offer
        strategies = {name: name for name in offer.strategies} if offer else {}
        ui.strategyCombo.enabled = bool(strategies)
        fill_combo(ui.strategyCombo, strategies, self.panel.parameters.strategy)
        busy = self.session.cases.is_busy or self.opening.is_busy
        idle = (not busy, _("Something is being sent or fetched; wait, or cancel it"))
        self._hints.allow(
            ui.nextButton,
            (offer, _("Connect to a server first")),
            (strategies, _("This server does not choose cases")),
            idle,
        )
        workspace = self.workspace
        if workspace is not self._shown:
            self._shown = workspace
            ui.cineSelector.setCurrentNode(workspace.cine.browser if workspace else None)
        # After that: the node that was chosen may be hidden now, and its browser stand for it.
        self._hide_nodes()
        chosen = ui.cineSelector.currentNode()
        is_open = workspace is not None and chosen is workspace.cine.browser
        self._hints.allow(
            ui.useButton,
            (chosen is not None, _("Choose a cine of the scene first")),
            (not is_open, _("You are working on it already")),
            idle,
        )
        self._hints.allow(ui.fileButton, idle)
        self._update_id(idle)
        ui.caseLabel.text = self._case_text()

    def scene_closes(self) -> None:
        """Want no more of what is under way."""
        self.opening.cancel()

    def close(self) -> None:
        """Let go of everything, and end the server on this machine."""
        super().close()
        scene, tags = self._observed
        for tag in tags:
            scene.RemoveObserver(tag)
        self.local.close()

    def _update_id(self, idle: Condition) -> None:
        """The id of the cine on the server: the one that it has, or the one that it is to have."""
        ui, workspace = self.ui, self.workspace
        known = self.session.cases.known(workspace) if workspace else None
        for each in (ui.idLabel, ui.idEdit, ui.sendButton):
            each.setVisible(workspace is not None)
        if workspace is None:
            return
        text = known.image_id if known else id_to_send(workspace)
        is_typed = ui.idEdit.modified and known is None and workspace is self._id_of
        if not is_typed and ui.idEdit.text != text:
            ui.idEdit.text = text
        self._id_of = workspace
        ui.idEdit.enabled = known is None and not self.session.cases.is_busy
        self._hints.allow(
            ui.sendButton,
            (self.offer, _("Connect to a server first")),
            (known is None, _("The server has it already")),
            idle,
        )

    def _keep_id(self, typed: str) -> None:
        """What was typed, as an id can be; what is empty is made of the name again."""
        workspace = self.workspace
        if workspace is not None:
            workspace.chosen_id = image_id_of(typed) if typed.strip() else None

    def _show_id(self) -> None:
        if self.workspace is not None and self.ui.idEdit.modified:
            self.ui.idEdit.text = id_to_send(self.workspace)  # which is a text that was not typed

    def _send(self) -> None:
        workspace = self.session.need_workspace()
        self.panel.show_progress(self, self._cancel)
        self.session.cases.upload(workspace, id_to_send(workspace), lambda _case: self.panel.update_soon())

    def _hide_nodes(self) -> None:
        """Offer what can be a cine, and nothing else."""
        hidden, model = offered_nodes.hidden_ids(), self.ui.cineSelector.sortFilterProxyModel()
        if list(model.hiddenNodeIDs) != hidden:
            model.hiddenNodeIDs = hidden

    def _nothing_left(self, _nothing: None) -> None:
        self.panel.say(_("Every case on the server has labels."), self)
        self.panel.update_soon()

    def _choose_strategy(self, index: int) -> None:
        self.panel.parameters.strategy = self.ui.strategyCombo.itemData(index)

    def _selected(self, _node: Any) -> None:
        self.panel.update_soon()

    def _scene_changed(self, _scene: Any, _event: str) -> None:
        self.panel.update_soon()

    def _next_case(self) -> None:
        strategy = self.ui.strategyCombo.itemData(self.ui.strategyCombo.currentIndex)
        self.panel.show_progress(self, self._cancel)
        self.opening.next_case(strategy, download_folder(slicer.app.temporaryPath))

    def _use(self) -> None:
        self.panel.show_progress(self, self._cancel)
        self.opening.node(self.ui.cineSelector.currentNode())

    def _load(self) -> None:
        files = _("Cines (*.nii *.nii.gz *.seq.nrrd *.nrrd);;All files (*)")
        path = qt.QFileDialog.getOpenFileName(self.widget, _("Load a cine"), "", files)
        if path:
            self.load(Path(path))

    def load(self, path: Path) -> None:
        """Load a file, and work on it.

        Raises:
            InputError: it is not there, or no cine.
        """
        if not path.is_file():
            raise InputError(_("{path}: is not there").format(path=path))
        self.panel.show_progress(self, self._cancel)
        self.opening.file(path)

    def _cancel(self) -> None:
        self.session.cases.cancel()
        self.opening.cancel()

    def _case_text(self) -> str:
        workspace = self.workspace
        if workspace is None:
            return _("No cine yet.")
        cine, case = workspace.cine, self.session.cases.known(workspace)
        frames, slices, rows, columns = cine.shape
        text = _("{name}: {frames} frames, {slices} slices of {columns} by {rows} voxels.").format(
            name=cine.name, frames=frames, slices=slices, columns=columns, rows=rows
        )
        if case is not None:
            where = _("On the server as {image}.").format(image=case.image_id)
        else:
            where = _("Sent to the server when it is needed.")
        return " ".join(part for part in (text, cine.timing_note, where) if part)
