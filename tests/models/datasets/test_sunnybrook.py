from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from cardiac_motion.datasets import Case, find_dataset
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.phantom import PhantomStudy

from tests.models.datasets import layouts
from tests.models.datasets.layouts import write_contour

Studies = tuple[PhantomStudy, PhantomStudy]

START = 2
"""Frames after ED at which the acquisition begins."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, studies: Studies) -> Path:
    folder = tmp_path_factory.mktemp("scd") / "data"
    layouts.write_sunnybrook(folder, studies, start=START)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    shutil.copytree(original, tmp_path / "data")
    return tmp_path / "data"


def first(folder: Path) -> Case:
    return find_dataset(folder).cases[0]


def contours(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted((folder / "SCD_ManualContours" / "SC-HF-I-01").rglob(pattern))


def test_images_and_contours_come_together(original: Path, studies: Studies) -> None:
    dataset = find_dataset(original)
    assert (dataset.name, [case.id for case in dataset.labelled]) == ("sunnybrook", ["SC-HF-I-01", "SC-HF-I-02"])
    for case, study in zip(dataset.cases, studies, strict=True):
        assert (case.view, case.group) == ("sax", "Heart failure with infarct")
        assert case.about["sex"] == "Female"
        data = case.load()
        n_frames = study.cine.n_frames
        ed, es = (-START) % n_frames, (study.es_frame - START) % n_frames
        assert (data.ed, data.es) == (ed, es)
        # Which slice comes first is DICOM's: compare by place.
        order = (
            slice(None) if np.allclose(data.cine.affine, study.cine.affine, atol=0.01) else slice(None, None, -1)
        )
        expected = np.rint(np.roll(study.cine.frames, -START, axis=0) * 100)[:, order]
        np.testing.assert_array_equal(data.cine.frames, expected)
        assert data.cine.spacing == pytest.approx(study.cine.spacing, rel=1e-4)
        for frame, phase in ((ed, 0), (es, study.es_frame)):
            truth = study.labels[phase][order]
            np.testing.assert_array_equal(data.labels[frame] == Label.LV, truth == Label.LV)
            wall = truth == Label.MYO
            wall[~(truth == Label.LV).any(axis=(1, 2))] = False
            np.testing.assert_array_equal(data.labels[frame] == Label.MYO, wall if frame == ed else False)
        # No outer contours at ES: myocardium is unknown there, not absent.
        assert data.drawn_everywhere == (Label.LV,)


def test_the_layout_of_the_challenge(folder: Path, studies: Studies) -> None:
    """Images under the original id, without a table and without zeros."""
    expected = first(folder).load()
    (folder / "scd_patientdata.csv").unlink()
    shutil.move(folder / "SCD_IMAGES_01" / "SCD0000101" / "CINESAX_300", folder / "challenge" / "SC-HF-I-1")
    case = first(folder)
    assert case.group == "HF-I"
    data = case.load()
    np.testing.assert_array_equal(data.cine.frames, expected.cine.frames)
    np.testing.assert_array_equal(data.labels[data.ed or 0], expected.labels[expected.ed or 0])


def test_other_names_of_images_leave_the_instance_number(folder: Path) -> None:
    expected = first(folder).load()
    series = folder / "SCD_IMAGES_01" / "SCD0000101" / "CINESAX_300"
    for path in list(series.iterdir()):
        path.rename(path.with_name(f"x{path.name[-7:-4]}y.dcm"))
    data = first(folder).load()
    assert sorted(data.labels) == sorted(expected.labels)
    for frame, labels in data.labels.items():
        np.testing.assert_array_equal(labels, expected.labels[frame])


def test_images_that_are_missing(folder: Path) -> None:
    inner = contours(folder, "*icontour*")[0]
    number = int(inner.name.split("-")[2])
    image = folder / "SCD_IMAGES_01" / "SCD0000101" / "CINESAX_300" / f"IM-0003-{number:04d}.dcm"
    image.unlink()
    shutil.rmtree(image.parents[1] / "CINELAX_301")
    with pytest.raises(
        InputError, match=rf"{inner.name}: expected image {number} in one short-axis series of .*none"
    ):
        first(folder).load()
    shutil.rmtree(image.parents[1])
    with pytest.raises(
        InputError, match=r"contour-manual.txt: expected the DICOM images of the patient in a folder"
    ):
        first(folder).load()


def test_a_frame_that_is_missing_is_told_with_its_slice(folder: Path) -> None:
    drawn = {int(path.name.split("-")[2]) for path in contours(folder, "*contour*.txt")}
    series = folder / "SCD_IMAGES_01" / "SCD0000101" / "CINESAX_300"
    spare = next(p for p in sorted(series.iterdir()) if int(p.stem[-4:]) not in drawn)
    spare.unlink()
    with pytest.raises(InputError, match=r"CINESAX_300: expected one stack .*IM-0003-.*: a phase is missing"):
        first(folder).load()


def test_a_slice_that_is_missing(folder: Path) -> None:
    series = folder / "SCD_IMAGES_01" / "SCD0000101" / "CINESAX_300"
    for path in series.iterdir():
        dataset = pydicom.dcmread(path)
        if int(path.stem[-4:]) > 10:
            normal = np.cross(*np.reshape(dataset.ImageOrientationPatient, (2, 3)).astype(float))
            dataset.ImagePositionPatient = [
                f"{value:.4f}" for value in np.array(dataset.ImagePositionPatient, float) + 40 * normal
            ]
            dataset.save_as(path)
    with pytest.raises(InputError, match=r"CINESAX_300: expected one stack .* got .*a gap in the stack: 72"):
        first(folder).load()


def test_without_trigger_times_the_numbers_tell_the_order(folder: Path) -> None:
    expected = first(folder).load()
    for path in (folder / "SCD_IMAGES_01" / "SCD0000101" / "CINESAX_300").iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.TriggerTime
        dataset.save_as(path)
    data = first(folder).load()
    np.testing.assert_array_equal(data.cine.frames, expected.cine.frames)
    assert (data.ed, data.es) == (expected.ed, expected.es)
    assert len(data.notes) == 1
    assert "no trigger times" in data.notes[0]


def test_a_truncated_image(folder: Path) -> None:
    path = folder / "SCD_IMAGES_01" / "SCD0000101" / "CINESAX_300" / "IM-0003-0001.dcm"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"case SC-HF-I-01: .* got IM-0003-0001.dcm .*: truncated"):
        first(folder).load()


def test_contours_that_lie(folder: Path) -> None:
    outer = contours(folder, "*ocontour*")[0]
    inner = outer.with_name(outer.name.replace("ocontour", "icontour"))
    small, large = inner.read_text(), outer.read_text()
    inner.write_text(large)
    outer.write_text(small)
    with pytest.raises(InputError, match=f"{outer.name}: expected an outer contour around the inner one"):
        first(folder).load()
    inner.unlink()
    with pytest.raises(InputError, match=f"{outer.name}: expected the inner contour of image"):
        first(folder).load()
    write_contour(inner, np.array([[10.0, 10.0], [90.0, 10.0], [10.0, 30.0]]))
    with pytest.raises(
        InputError, match=rf"{inner.name}: expected points within the image of 60 x 64 pixels, got x"
    ):
        first(folder).load()
    inner.write_text("10 10\n20 10\n20 nan\n")
    with pytest.raises(InputError, match=rf"{inner.name}: line 3: expected x and y of a point, got '20 nan'"):
        first(folder).load()
    inner.write_text("10 10\n20 10\n")
    with pytest.raises(InputError, match=rf"{inner.name}: expected a contour of at least 3 points, got 2"):
        first(folder).load()
