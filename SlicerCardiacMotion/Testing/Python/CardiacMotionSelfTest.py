"""The module in the real application: run by CTest, or by "Reload and Test".

It has been run on the doubles of `tests/slicer` alone, not in Slicer itself yet. It needs no server.
"""

# ruff: noqa: PT009 - Slicer runs it with unittest
from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer


class CardiacMotionSelfTest(unittest.TestCase):
    """A cine is loaded, drawn on, marked, saved and loaded again, with nothing but the module's panel."""

    def setUp(self) -> None:
        """Begin with an empty scene and the module's panel."""
        slicer.mrmlScene.Clear(0)
        slicer.app.processEvents()
        slicer.util.selectModule("CardiacMotion")
        self.widget = slicer.util.getModuleWidget("CardiacMotion")

    def test_contours_stay_with_their_frames_and_with_the_scene(self) -> None:
        """What is drawn on a frame makes it a key frame; a saved scene brings that back."""
        with tempfile.TemporaryDirectory() as folder:
            self._load(Path(folder))
            workspace = self.widget.logic.session.workspace
            self.assertEqual(workspace.cine.n_frames, 6)
            workspace.cine.frame = 2
            drawn = np.zeros(workspace.cine.shape[1:], np.uint8)
            drawn[:, 8:20, 8:20] = 3
            self._draw(drawn)
            self._wait(lambda: workspace.states.key_frames == (2,))
            workspace.cine.frame = 0
            self.assertFalse(workspace.labels(0).any())
            np.testing.assert_array_equal(workspace.labels(2), drawn)
            saved = str(Path(folder) / "scene.mrb")
            self.assertTrue(slicer.util.saveScene(saved))
            slicer.mrmlScene.Clear(0)
            self._wait(lambda: self.widget.logic.session.workspace is None)
            slicer.util.loadScene(saved)
            self._wait(lambda: self.widget.logic.session.workspace is not None)
            again = self.widget.logic.session.workspace
            self.assertEqual(again.states.key_frames, (2,))
            np.testing.assert_array_equal(again.labels(2), drawn)

    def test_the_synthetic_case_is_ready_to_be_carried(self) -> None:
        """It comes with the extension, drawn at end-diastole."""
        from CardiacMotionLib.sample_data import load  # noqa: PLC0415 - of the module under test

        load(Path(slicer.modules.cardiacmotion.path).parent / "Resources", self.widget.logic.session)
        workspace = self.widget.logic.session.workspace
        self.assertEqual(workspace.cine.n_frames, 20)
        self.assertEqual(workspace.states.key_frames, (0,))
        self.assertEqual(set(np.unique(workspace.labels(0))), {0, 1, 2, 3})

    def test_a_stroke_stays_with_its_frame_where_another_is_shown_while_an_effect_is_active(self) -> None:
        """The effect stays active, and what is drawn next is of the frame that is shown then."""
        with tempfile.TemporaryDirectory() as folder:
            self._load(Path(folder))
        workspace = self.widget.logic.session.workspace
        editor = self.widget.panel.section("Contour").ui.editor
        self._wait(lambda: editor.segmentationNode() is workspace.segmentations.proxy)
        editor.setActiveEffectByName("Paint")
        self.assertTrue(editor.activeEffect())
        drawn = {}
        for frame, width in ((1, 6), (4, 12)):
            workspace.cine.frame = frame
            slicer.app.processEvents()
            self.assertTrue(editor.activeEffect(), "the effect ended with the frame")
            drawn[frame] = np.zeros(workspace.cine.shape[1:], np.uint8)
            drawn[frame][:, 8:20, 8 : 8 + width] = 3
            self._draw(drawn[frame])
        # Shown at once after the stroke, before it was looked at.
        workspace.cine.frame = 0
        self._wait(lambda: workspace.states.key_frames == (1, 4))
        for frame, labels in drawn.items():
            np.testing.assert_array_equal(workspace.labels(frame), labels)
        self.assertFalse(workspace.labels(0).any())
        editor.setActiveEffectByName("")

    def test_the_curves_are_shown_in_a_plot_view(self) -> None:
        """The layout with a plot, and in it the chart of this cine."""
        with tempfile.TemporaryDirectory() as folder:
            self._load(Path(folder))
        workspace = self.widget.logic.session.workspace
        drawn = np.zeros(workspace.cine.shape[1:], np.uint8)
        drawn[:, 8:20, 8:20] = 3
        workspace.take_as_drawn(dict.fromkeys(range(workspace.cine.n_frames), drawn))
        panel = self.widget.panel
        self._wait(lambda: panel.measures.function is not None)
        button = panel.section("Look").ui.curvesButton
        self._wait(lambda: button.enabled)
        button.click()
        slicer.app.processEvents()
        manager = slicer.app.layoutManager()
        self.assertEqual(manager.layout, slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView)
        view = manager.plotWidget(0).mrmlPlotViewNode()
        self.assertEqual(view.GetPlotChartNodeID(), panel.measures.plot.chart.GetID())
        self.assertEqual(panel.ui.messageLabel.text, "")

    def test_a_motion_is_shown_and_moves_what_rides_along(self) -> None:
        """A field that moves everything by 2 mm a frame, as arrows, as a grid and not at all."""
        from CardiacMotionLib.motion_display import Look, MotionDisplay  # noqa: PLC0415 - of the module under test
        from CardiacMotionLib.motion_files import MotionFields  # noqa: PLC0415

        with tempfile.TemporaryDirectory() as folder:
            self._load(Path(folder))
        cine = self.widget.logic.session.workspace.cine
        way = np.zeros((*cine.shape, 3), np.float32)
        way[..., 0] = 2.0 * np.arange(cine.n_frames)[:, None, None, None]
        fields = MotionFields(way, cine.affine, 0, cine.shape, cine.affine, "synthetic 1")
        motion = MotionDisplay.of(cine, fields)
        self.assertEqual(motion.look, Look.HIDDEN)
        for look in (Look.ARROWS, Look.GRID, Look.HIDDEN):
            motion.show(look)
            slicer.app.processEvents()
            self.assertEqual(motion.look, look)
        point = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "point")
        point.AddControlPoint(20.0, 20.0, 8.0)
        motion.carry(point)
        for frame in (3, 0, 5):
            cine.frame = frame
            slicer.app.processEvents()
            position = [0.0, 0.0, 0.0]
            point.GetNthControlPointPositionWorld(0, position)
            np.testing.assert_allclose(position, (20.0 + 2.0 * frame, 20.0, 8.0), atol=1e-3)
        motion.release(point)

    def test_buttons_say_why_they_can_do_nothing(self) -> None:
        """Without a server or a cine nothing can be fetched."""
        ui = self.widget.panel.section("Case").ui
        self.assertFalse(ui.nextButton.enabled)
        self.assertIn("Connect", ui.nextButton.toolTip)

    def _load(self, folder: Path) -> None:
        from CardiacMotionLib.nifti import write_nifti  # noqa: PLC0415 - of the module under test

        values = np.random.default_rng(0).integers(0, 200, (6, 3, 32, 28)).astype(np.int16)
        write_nifti(folder / "cine.nii.gz", values, np.diag([1.5, 1.5, 8.0, 1.0]), frame_seconds=0.05)
        self.widget.panel.section("Case").load(folder / "cine.nii.gz")
        self._wait(lambda: self.widget.logic.session.workspace is not None)

    def _draw(self, labels: np.ndarray) -> None:
        workspace = self.widget.logic.session.workspace
        mask = (labels == 3).astype(np.uint8)
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            mask, workspace.segmentations.proxy, "LV", workspace.cine.proxy
        )

    def _wait(self, until, seconds: float = 20.0) -> None:  # type: ignore[no-untyped-def]
        import time  # noqa: PLC0415

        end = time.monotonic() + seconds
        while not until():
            self.assertLess(time.monotonic(), end, "not in time")
            slicer.app.processEvents()
            time.sleep(0.01)


def run() -> None:
    """Run all tests; raises if one fails."""
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(CardiacMotionSelfTest)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    if not result.wasSuccessful():
        raise AssertionError(f"{len(result.failures) + len(result.errors)} tests failed")
