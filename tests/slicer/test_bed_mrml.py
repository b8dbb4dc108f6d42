"""The bed's MRML is the real one, fresh for each test."""

from __future__ import annotations

import gc
import importlib
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest

from tests.slicer.bed import open_bed, why_missing

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed

SHAPE = (4, 20, 16)


def _cine(bed: Bed, frames: int = 3) -> tuple[Any, Any, Any]:
    """Browser, sequence of volumes and its proxy; each voxel of frame t is 10 t + its column."""
    sequence = bed.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Cine")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("s")
    for t in range(frames):
        volume = bed.slicer.util.addVolumeFromArray(_frame(t), name="Frame")
        volume.SetSpacing(1.5, 1.5, 8.0)
        sequence.SetDataNodeAtValue(volume, f"{0.04 * t:.3f}")
        bed.scene.RemoveNode(volume)
    browser = bed.scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    return browser, sequence, browser.GetProxyNode(sequence)


def _frame(t: int) -> np.ndarray[Any, Any]:
    return np.broadcast_to(10 * t + np.arange(SHAPE[2]), SHAPE).astype(np.int16)


def _segmentation_sequence(bed: Bed, browser: Any, cine: Any, proxy: Any) -> tuple[Any, Any]:
    template = bed.slicer.vtkMRMLSegmentationNode()
    template.SetReferenceImageGeometryParameterFromVolumeNode(proxy)
    template.GetSegmentation().AddEmptySegment("LV", "LV", (0.9, 0.2, 0.2))
    sequence = bed.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Contours")
    for i in range(cine.GetNumberOfDataNodes()):
        sequence.SetDataNodeAtValue(template, cine.GetNthIndexValue(i))
    browser.AddSynchronizedSequenceNode(sequence)
    browser.SetSaveChanges(sequence, True)
    bed.mrml.logics["sequences"].UpdateProxyNodesFromSequences(browser)
    return sequence, browser.GetProxyNode(sequence)


def _mask(size: int) -> np.ndarray[Any, Any]:
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, :size, :size] = 1
    return mask


def _voxels(bed: Bed, segmentation: Any, proxy: Any) -> int:
    array = bed.slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "LV", proxy)
    return int(np.count_nonzero(array)) if array is not None else 0


def test_arrays_of_volumes(bed: Bed) -> None:
    volume = bed.slicer.util.addVolumeFromArray(_frame(1), name="Volume")
    assert bed.slicer.util.getNode("Volume") is volume
    assert np.array_equal(bed.slicer.util.arrayFromVolume(volume), _frame(1))
    bed.slicer.util.updateVolumeFromArray(volume, _frame(2))
    assert np.array_equal(bed.slicer.util.arrayFromVolume(volume), _frame(2))


def test_segmentation_sequence_keeps_an_edit(bed: Bed) -> None:
    browser, cine, proxy = _cine(bed)
    _, segmentation = _segmentation_sequence(bed, browser, cine, proxy)
    browser.SetSelectedItemNumber(1)
    bed.slicer.util.updateSegmentBinaryLabelmapFromArray(_mask(5), segmentation, "LV", proxy)
    counts = []
    for item in (0, 1, 2):
        browser.SetSelectedItemNumber(item)
        counts.append(_voxels(bed, segmentation, proxy))
        assert bed.slicer.util.arrayFromVolume(proxy)[0, 0, 3] == 10 * item + 3
    assert counts == [0, 4 * 25, 0]


def test_mrb_saved_and_read_again(bed: Bed, tmp_path: Path) -> None:
    browser, cine, proxy = _cine(bed)
    _, segmentation = _segmentation_sequence(bed, browser, cine, proxy)
    browser.SetSelectedItemNumber(2)
    bed.slicer.util.updateSegmentBinaryLabelmapFromArray(_mask(3), segmentation, "LV", proxy)
    browser.SetSelectedItemNumber(0)
    assert bed.slicer.util.saveScene(str(tmp_path / "case.mrb"))
    bed.scene.Clear(0)
    assert bed.slicer.util.getNodesByClass("vtkMRMLSequenceNode") == []
    bed.slicer.util.loadScene(str(tmp_path / "case.mrb"))
    browser = bed.slicer.util.getNode("Browser")
    contours = bed.slicer.util.getFirstNodeByClassByName("vtkMRMLSequenceNode", "Contours")
    assert browser.GetSaveChanges(contours)
    browser.SetSelectedItemNumber(2)
    proxy = browser.GetProxyNode(browser.GetMasterSequenceNode())
    assert _voxels(bed, browser.GetProxyNode(contours), proxy) == 4 * 9
    assert np.array_equal(bed.slicer.util.arrayFromVolume(proxy), _frame(2))


def test_4d_nifti_is_read_as_a_sequence(bed: Bed, tmp_path: Path) -> None:
    data = np.stack([_frame(t).transpose(2, 1, 0) for t in range(3)], axis=-1)
    image = nib.Nifti1Image(data, np.diag([1.5, 1.5, 8.0, 1.0]))
    image.header["pixdim"][4] = 0.04
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, tmp_path / "cine.nii.gz")
    sequence = bed.slicer.util.loadSequence(str(tmp_path / "cine.nii.gz"))
    assert sequence.GetNumberOfDataNodes() == 3
    assert [float(sequence.GetNthIndexValue(i)) for i in range(3)] == pytest.approx([0.0, 0.04, 0.08])
    second = bed.slicer.util.arrayFromVolume(sequence.GetNthDataNode(1))
    assert second[0, 0].tolist() == _frame(1)[0, 0].tolist()
    browser = bed.mrml.logics["sequences"].GetFirstBrowserNodeForSequenceNode(sequence)
    assert browser.GetProxyNode(sequence).GetDisplayNode() is not None


def test_nodes_are_saved_and_loaded(bed: Bed, tmp_path: Path) -> None:
    volume = bed.slicer.util.addVolumeFromArray(_frame(1), name="Volume")
    assert bed.slicer.util.saveNode(volume, str(tmp_path / "volume.nrrd"))
    again = bed.slicer.util.loadVolume(str(tmp_path / "volume.nrrd"))
    assert np.array_equal(bed.slicer.util.arrayFromVolume(again), _frame(1))
    assert bed.app.applicationLogic().GetSelectionNode().GetActiveVolumeID() == again.GetID()
    with pytest.raises(RuntimeError, match="missing"):
        bed.slicer.util.loadVolume(str(tmp_path / "missing.nrrd"))


def test_slice_views_show_the_volume_chosen(bed: Bed) -> None:
    volume = bed.slicer.util.addVolumeFromArray(_frame(1), name="Volume")
    bed.slicer.util.setSliceViewerLayers(background=volume, fit=True)
    manager = bed.slicer.app.layoutManager()
    assert manager.sliceViewNames() == ("Red", "Green", "Yellow")
    composite = manager.sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == volume.GetID()
    manager.setLayout(bed.slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    assert (manager.sliceViewNames(), manager.threeDViewCount, len(manager.layouts)) == (("Red",), 0, 1)


def test_errors_are_recorded_and_raised_again(bed: Bed) -> None:
    def fail() -> None:
        with bed.slicer.util.tryWithErrorDisplay("It failed."):
            raise ValueError("no frame 31")

    with pytest.raises(ValueError, match="31"):
        fail()
    (shown,) = bed.dialogs.shown
    assert (shown.icon, shown.buttons) == ("Critical", ("Ok",))
    assert shown.text == "It failed.\n\nno frame 31"
    assert "Traceback" in shown.details


def test_questions_need_an_answer(bed: Bed) -> None:
    bed.dialogs.answer("No", containing="overwrite")
    assert not bed.slicer.util.confirmYesNoDisplay("May it overwrite?")
    with pytest.raises(AssertionError, match="nobody said"):
        bed.slicer.util.confirmOkCancelDisplay("Sure?")
    with pytest.raises(AssertionError, match="without an answer"):
        bed.check()
    bed.dialogs.unanswered.clear()


def test_status_cursor_and_temporary_folder(bed: Bed, tmp_path: Path) -> None:
    assert bed.slicer.util.showStatusMessage("Frame 3 of 30", 0)
    assert bed.dialogs.status_messages == ["Frame 3 of 30"]
    folder = Path(bed.slicer.util.tempDirectory())
    assert folder.is_dir()
    assert folder.parent == tmp_path
    with bed.slicer.util.WaitCursor():
        assert bed.qt.QApplication.overrideCursor() is not None
    assert bed.qt.QApplication.overrideCursor() is None


def test_pip_is_refused(bed: Bed) -> None:
    with pytest.raises(RuntimeError, match="nibabel"):
        bed.slicer.util.pip_install("nibabel")


def test_observers_of_a_mixin(bed: Bed) -> None:
    class Watcher(bed.slicer.util.VTKObservationMixin):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.seen = 0

        def changed(self, caller: Any, event: str) -> None:
            self.seen += 1

    watcher = Watcher()
    node = bed.scene.AddNewNodeByClass("vtkMRMLTextNode")
    watcher.addObserver(node, importlib.import_module("vtk").vtkCommand.ModifiedEvent, watcher.changed)
    node.SetText("a")
    watcher.removeObservers()
    node.SetText("b")
    assert watcher.seen == 1


def test_an_error_in_an_observer_is_kept(bed: Bed) -> None:
    node = bed.scene.AddNewNodeByClass("vtkMRMLTextNode")
    node.AddObserver("ModifiedEvent", lambda *_: 1 / 0)
    node.SetText("a")
    assert {type(error) for error in bed.errors} == {ZeroDivisionError}
    bed.errors.clear()


def test_messages_of_mrml_are_at_hand(bed: Bed) -> None:
    assert bed.mrml.messages() == []
    bed.scene.AddNewNodeByClass("vtkMRMLNoSuchNode")
    assert any("vtkMRMLNoSuchNode" in line for line in bed.mrml.messages())


def test_nothing_is_left_behind(qt_app: Any, tmp_path: Path) -> None:
    slicer = importlib.import_module("slicer")
    names, modules = set(vars(slicer)), {name for name in sys.modules if not name.startswith("tests.")}
    hook = sys.excepthook
    scene = importlib.import_module("vtk").vtkWeakReference()
    with open_bed(tmp_path) as bed:
        scene.Set(bed.scene)
        _cine(bed)
        bed.qt.QWidget().show()
        assert "qt" in sys.modules
    del bed
    gc.collect()
    assert scene.Get() is None
    assert set(vars(slicer)) == names
    assert not {"qt", "ctk", "slicer.i18n", "slicer.ScriptedLoadableModule"} & set(sys.modules)
    assert {name for name in sys.modules if name.startswith(("qt", "ctk"))} <= modules
    assert sys.excepthook is hook


def test_an_observer_that_was_left_is_not_called_by_the_garbage_collection(qt_app: Any, tmp_path: Path) -> None:
    called: list[str] = []

    def forget(scene: Any) -> None:
        def observer(*_: object) -> None:
            called.append(scene.GetClassName())  # holds the scene, which holds it

        for event in ("DeleteEvent", scene.EndCloseEvent):
            scene.AddObserver(event, observer)

    with open_bed(tmp_path) as bed:
        forget(bed.scene)
    del bed
    count = len(called)
    gc.collect()
    assert len(called) == count


def test_a_bed_that_fails_cleans_up(qt_app: Any, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_bed(tmp_path):
        raise ZeroDivisionError
    assert "qt" not in sys.modules
    with open_bed(tmp_path) as bed:
        assert bed.slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []


def test_the_reason_for_a_missing_bed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "slicer", None)
    reason = why_missing()
    assert reason is not None
    assert reason.startswith("slicer-core cannot be imported")


def test_logging_stays_as_it_is(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        bed.slicer.util.infoDisplay("Done")
    assert bed.dialogs.texts == ["Done"]
    assert "Done" in caplog.text
