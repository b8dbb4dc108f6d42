"""Look: volume curves, measures, surfaces and the motion."""

from __future__ import annotations

from typing import Any, ClassVar

import qt
import slicer
from slicer.i18n import tr as _

from CardiacMotionLib.motion_display import Look, MotionDisplay
from CardiacMotionLib.motion_fetch import MotionFetch
from CardiacMotionLib.propagation import TASK
from CardiacMotionLib.sections.section import Hints, Panel, Section, fill_combo
from CardiacMotionLib.server_link import OnGone


class LookSection(Section):
    """Shows what the contours and the motion say."""

    UI: ClassVar[str] = "Look"
    ORDER: ClassVar[int] = 40

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._hints, self.fetch = Hints(), MotionFetch(self.session.tasks, self.session.link)
        self.listen(self.fetch.progress, panel.set_progress)
        self.listen(self.fetch.failed, self.fail)
        # Of another case: nobody looks at it any more.
        self.listen(self.session.workspace_changed, lambda _workspace: self.fetch.cancel())
        ui = self.ui
        ui.measuresTable.verticalHeader().hide()
        ui.measuresTable.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        self.on_click(ui.curvesButton, self._show_curves)
        self.on_click(ui.motionButton, self._get_motion)
        ui.surfacesBox.connect("clicked()", self._show_surfaces)
        ui.motionCombo.connect("activated(int)", self._choose_look)
        ui.carryBox.connect("clicked()", self._carry)
        ui.carrySelector.connect("currentNodeChanged(vtkMRMLNode*)", self._selected)

    @property
    def is_busy(self) -> bool:
        """Whether what was asked for here is under way."""
        return self.fetch.is_busy

    def is_wanted(self) -> bool:
        """When it can do something; see `Section`."""
        return self.workspace is not None

    def update(self) -> None:
        """Show how things stand."""
        ui, workspace, measures = self.ui, self.workspace, self.panel.measures
        table = measures.plot.metrics if measures else None
        if ui.measuresTable.mrmlTableNode() is not table:
            ui.measuresTable.setMRMLTableNode(table)
        if workspace is None or measures is None or table is None:
            return
        ui.measuresTable.setVisible(measures.function is not None)
        _fit(ui.measuresTable, table.GetNumberOfRows())
        missing = _("Volumes are shown once all frames have contours of the LV or the RV.")
        ui.measuresLabel.text = "" if measures.function else missing
        ui.measuresLabel.setVisible(measures.function is None)
        self._hints.allow(ui.curvesButton, (workspace.states.states, _("Draw contours first")))
        ui.surfacesBox.checked = workspace.segmentations.is_3d
        motion = MotionDisplay.find(workspace.cine)
        fill_combo(ui.motionCombo, _looks(), motion.look.value if motion else Look.HIDDEN.value)
        self._hints.allow(ui.motionCombo, (motion, _("Get the motion first")))
        self._hints.allow(
            ui.motionButton,
            (
                self.offer is not None and TASK in self.offer.tasks,
                _("Connect to a server that offers motion first"),
            ),
            (workspace.states.key_frames, _("Draw contours on a frame first; the motion is shown relative to it")),
            (not self.fetch.is_busy, _("It is being fetched")),
            self.no_case_under_way,
        )
        node = ui.carrySelector.currentNode()
        self._hints.allow(
            ui.carryBox, (motion, _("Get the motion first")), (node is not None, _("Choose a node first"))
        )
        ui.carryBox.checked = bool(motion and node is not None and motion.carries(node))
        if motion is not None:
            ui.carryLabel.toolTip = _("It must show the heart at frame {frame}").format(frame=motion.reference)

    def scene_closes(self) -> None:
        """Want no more of what is under way."""
        self.fetch.cancel()

    def _show_curves(self) -> None:
        measures = self.panel.measures
        if measures is not None:
            layout = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView
            slicer.app.layoutManager().setLayout(layout)
            slicer.modules.plots.logic().ShowChartInLayout(measures.plot.chart)

    def _show_surfaces(self) -> None:
        workspace = self.workspace
        if workspace is not None:
            with self.panel.telling(self):
                workspace.segmentations.show_3d(self.ui.surfacesBox.checked)
        self.panel.update_soon()

    def _get_motion(self) -> None:
        workspace = self.session.need_workspace()

        def start(on_gone: OnGone | None) -> None:
            self.fetch.start(workspace, self.session.motion_params, self._show_motion, on_gone)

        self.panel.show_progress(self, self._cancel)
        self.session.cases.on_server(workspace, start)

    def _show_motion(self, motion: MotionDisplay) -> None:
        if motion.look is Look.HIDDEN:
            motion.show(Look.ARROWS)
        self.panel.update_soon()

    def _cancel(self) -> None:
        self.fetch.cancel()
        self.session.cases.cancel()

    def _choose_look(self, index: int) -> None:
        motion = self._motion()
        if motion is not None:
            motion.show(Look(self.ui.motionCombo.itemData(index)))

    def _carry(self) -> None:
        motion, node = self._motion(), self.ui.carrySelector.currentNode()
        if motion is not None and node is not None:
            with self.panel.telling(self):
                if self.ui.carryBox.checked:
                    motion.carry(node)
                else:
                    motion.release(node)
        self.panel.update_soon()

    def _selected(self, _node: Any) -> None:
        self.panel.update_soon()

    def _motion(self) -> MotionDisplay | None:
        workspace = self.workspace
        return None if workspace is None else MotionDisplay.find(workspace.cine)


def _looks() -> dict[str, str]:
    """The ways to show motion, and their names."""
    return {Look.HIDDEN.value: _("Hidden"), Look.ARROWS.value: _("Arrows"), Look.GRID.value: _("Grid")}


def _fit(table: Any, rows: int) -> None:
    """As high as its rows: a table that scrolls within a panel that scrolls is hard to read."""
    height = table.fontMetrics().height() + 8
    table.verticalHeader().setDefaultSectionSize(height)
    table.setFixedHeight(table.horizontalHeader().sizeHint.height() + rows * height + 2 * table.frameWidth)
