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

    def test_what_a_model_proposes_is_a_proposal_until_it_is_accepted(self) -> None:
        """As if a server had sent it: on three frames; one accepted, one corrected, the third taken back."""
        from CardiacMotionLib.frame_states import FrameState  # noqa: PLC0415 - of the module under test
        from CardiacMotionLib.frame_writing import write_frames  # noqa: PLC0415

        with tempfile.TemporaryDirectory() as folder:
            self._load(Path(folder))
        workspace = self.widget.logic.session.workspace
        section = self.widget.panel.section("Segment")
        self.assertFalse(section.widget.visible, "without a server there is no model")
        proposed = np.zeros(workspace.cine.shape[1:], np.uint8)
        proposed[:, 8:20, 8:20] = 3
        for _round in write_frames(workspace, dict.fromkeys((1, 2, 4), proposed), FrameState.SEGMENTED):
            slicer.app.processEvents()
        self.assertEqual((workspace.states.segmented, workspace.states.key_frames), ((1, 2, 4), ()))
        accept = section.ui.acceptButton
        self._wait(lambda: not accept.enabled)
        workspace.cine.frame = 1
        self._wait(lambda: accept.enabled)
        accept.click()
        self.assertEqual(workspace.states.key_frames, (1,))
        workspace.cine.frame = 2
        corrected = np.zeros_like(proposed)
        corrected[:, 8:20, 8:24] = 3
        self._draw(corrected)
        self._wait(lambda: workspace.states.key_frames == (1, 2))
        section.ui.undoButton.click()
        self.assertEqual((workspace.states.segmented, workspace.states.key_frames), ((), (1, 2)))
        self.assertFalse(workspace.labels(4).any())
        for frame, labels in ((1, proposed), (2, corrected)):
            np.testing.assert_array_equal(workspace.labels(frame), labels)
        self.assertEqual(self.widget.panel.ui.messageLabel.text, "")

    def test_entropy_is_shown_over_the_images_with_its_scale(self) -> None:
        """In every slice view, as the foreground, with a legend; and hidden again."""
        from CardiacMotionLib.entropy_overlay import EntropyOverlay  # noqa: PLC0415 - of the module under test

        with tempfile.TemporaryDirectory() as folder:
            self._load(Path(folder))
        cine = self.widget.logic.session.workspace.cine
        values = np.zeros(cine.shape[1:], np.float32)
        values[:, 8:20, 8:20] = 0.7
        for _round in EntropyOverlay.build(cine, {3: values}, float(np.log(4))):
            slicer.app.processEvents()
        overlay = EntropyOverlay.find(cine)
        if overlay is None:
            self.fail("there is no overlay")
        cine.frame = 3
        overlay.show(0.5)
        slicer.app.processEvents()
        np.testing.assert_allclose(slicer.util.arrayFromVolume(overlay.proxy), values)
        self.assertTrue(overlay.is_shown)
        self.assertEqual(self._layers(), {(cine.proxy.GetID(), overlay.proxy.GetID())})
        legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(overlay.proxy)
        self.assertTrue(legend.GetVisibility())
        ui = self.widget.panel.section("Segment").ui
        self.widget.panel.update()
        self.assertTrue(ui.overlayBox.checked)
        ui.opacitySpin.value = 80
        self._wait(lambda: abs(overlay.opacity - 0.8) < 0.01)
        ui.overlayBox.click()
        self._wait(lambda: not overlay.is_shown)
        self.assertEqual(self._backgrounds(), {cine.proxy.GetID()})
        self.assertFalse(legend.GetVisibility())

    def test_slices_are_shown_aligned_and_nothing_is_changed(self) -> None:
        """A volume of its own takes the cine's place in the views, and gives it back."""
        from CardiacMotionLib.slice_shifts import SliceShifts, keep_shifts  # noqa: PLC0415 - of the module under test

        with tempfile.TemporaryDirectory() as folder:
            self._load(Path(folder))
        workspace = self.widget.logic.session.workspace
        keep_shifts(workspace.cine, SliceShifts(((0.0, 0.0), (3.0, 0.0), (0.0, -1.5))))
        self.widget.panel.update()
        before = workspace.cine.array(0).copy()
        box = self.widget.panel.section("Segment").ui.alignedBox
        self.assertTrue(box.enabled)
        box.click()
        self._wait(lambda: self._backgrounds() != {workspace.cine.proxy.GetID()})
        ((shown, _foreground),) = self._layers()
        moved = slicer.util.arrayFromVolume(slicer.mrmlScene.GetNodeByID(shown))
        np.testing.assert_allclose(moved[0], before[0], atol=1e-3)
        np.testing.assert_allclose(moved[1, :-2], before[1, 2:], atol=1e-3)
        np.testing.assert_allclose(moved[2, :, 1:], before[2, :, :-1], atol=1e-3)
        box.click()
        self._wait(lambda: self._backgrounds() == {workspace.cine.proxy.GetID()})
        self.assertIsNone(slicer.mrmlScene.GetNodeByID(shown))
        np.testing.assert_array_equal(workspace.cine.array(0), before)

    def test_buttons_say_why_they_can_do_nothing(self) -> None:
        """Without a server or a cine nothing can be fetched."""
        ui = self.widget.panel.section("Case").ui
        self.assertFalse(ui.nextButton.enabled)
        self.assertIn("Connect", ui.nextButton.toolTip)

    def _layers(self) -> set[tuple[str, str]]:
        """Ids of background and foreground of the slice views."""
        nodes = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        return {(node.GetBackgroundVolumeID(), node.GetForegroundVolumeID()) for node in nodes}

    def _backgrounds(self) -> set[str]:
        return {background for background, _foreground in self._layers()}

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
