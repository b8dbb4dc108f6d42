"""Each public layout, as small copies of it: values, frames, geometry, and what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cardiac_motion.datasets import Case, CaseData, Dataset, find_dataset
from cardiac_motion.datasets.case import SkippedCase, load_each
from cardiac_motion.errors import InputError
from cardiac_motion.io import read_labels
from cardiac_motion.labels import Label
from cardiac_motion.phantom import PhantomStudy

from tests.models.datasets import layouts
from tests.models.datasets.layouts import save

Studies = tuple[PhantomStudy, PhantomStudy]

VENTRICLES = (Label.RV, Label.MYO, Label.LV)


def ventricles(study: PhantomStudy, frame: int) -> np.ndarray:
    return np.where(study.labels[frame] <= Label.LV, study.labels[frame], 0)


def by_id(dataset: Dataset) -> dict[str, Case]:
    return {case.id: case for case in dataset.cases}


def assert_ed_and_es(data: CaseData, study: PhantomStudy) -> None:
    """Our values at ED and ES, on the whole cine."""
    assert (data.ed, data.es, sorted(data.labels)) == (0, study.es_frame, [0, study.es_frame])
    for frame, labels in data.labels.items():
        np.testing.assert_array_equal(labels, ventricles(study, frame))
    np.testing.assert_allclose(data.cine.frames, study.cine.frames, rtol=1e-6)
    np.testing.assert_allclose(data.cine.affine, study.cine.affine, atol=1e-4)
    assert data.drawn_everywhere == VENTRICLES


def test_acdc(tmp_path: Path, studies: Studies) -> None:
    layouts.write_acdc(tmp_path, studies)
    dataset = find_dataset(tmp_path)
    assert (dataset.name, [case.id for case in dataset.labelled]) == ("acdc", ["patient001", "patient002"])
    for case, study, group in zip(dataset.cases, studies, ("DCM", "NOR"), strict=True):
        assert (case.patient, case.view, case.group) == (case.id, "sax", group)
        assert case.about == {"height_cm": "180.0", "weight_kg": "80.5"}
        assert_ed_and_es(case.load(), study)


def test_acdc_without_the_cine_is_pairs(tmp_path: Path, studies: Studies) -> None:
    layouts.write_acdc(tmp_path, studies, with_cine=False)
    data = find_dataset(tmp_path).cases[0].load()
    assert (data.is_pair, data.ed, data.es, sorted(data.labels)) == (True, 0, 1, [0, 1])
    np.testing.assert_array_equal(data.labels[1], ventricles(studies[0], studies[0].es_frame))
    np.testing.assert_allclose(data.cine.frames, studies[0].cine.frames[[0, studies[0].es_frame]], rtol=1e-6)


def test_acdc_without_labels_is_its_test_set(tmp_path: Path, studies: Studies) -> None:
    layouts.write_acdc(tmp_path, studies)
    for path in tmp_path.rglob("*_gt.nii.gz"):
        path.unlink()
    case = find_dataset(tmp_path).cases[0]
    assert not case.has_labels
    data = case.load()
    assert (data.labels, data.ed, data.es) == ({}, 0, studies[0].es_frame)


def test_frames_of_acdc_whose_header_lies_elsewhere(tmp_path: Path, studies: Studies) -> None:
    layouts.write_acdc(tmp_path, studies[:1])
    folder, study = tmp_path / "training" / "patient001", studies[0]
    label = folder / "patient001_frame01_gt.nii.gz"
    elsewhere = np.diag([*study.cine.spacing[::-1], 1.0])
    save(label, ventricles(study, 0).astype(np.uint8), elsewhere)
    # The voxels of its frame are those of the cine's frame 0: it is that grid whatever the header says.
    data = find_dataset(tmp_path).cases[0].load()
    assert_ed_and_es(data, study)
    assert len(data.notes) == 1
    assert "patient001_frame01_gt.nii.gz places it elsewhere" in data.notes[0]
    # The frame is another one of the cine: nothing says where the labels belong.
    save(folder / "patient001_frame01.nii.gz", study.cine.frames[1], elsewhere)
    with pytest.raises(InputError, match=r"patient001_frame01_gt.nii.gz: does not lie on the voxels"):
        find_dataset(tmp_path).cases[0].load()
    # Voxels of another size are another grid, even with the same values.
    save(folder / "patient001_frame01.nii.gz", study.cine.frames[0], elsewhere)
    save(label, ventricles(study, 0).astype(np.uint8), np.diag([2.0, 2.0, 5.0, 1.0]))
    with pytest.raises(InputError, match=r"patient001_frame01_gt.nii.gz: does not lie on the voxels"):
        find_dataset(tmp_path).cases[0].load()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ED: 1", "ED: 0", r"Info.cfg: expected two frames from 1 to 5, got ED 0 and ES 3"),
        ("ED: 1", "ED: one", r"Info.cfg: expected a line 'ED: NUMBER', got 'one'"),
        ("ED: 1\n", "", r"Info.cfg: expected a line 'ED: NUMBER', got no such line"),
        (
            "ES: 3",
            "ES: 2",
            r"Info.cfg: states that ES is frame 2; expected labels of that frame, got labels of 01, 03",
        ),
        ("NbFrame: 5", "NbFrame: 6", r"Info.cfg: states 6 frames .*_4d.nii.gz has 5"),
    ],
)
def test_acdc_with_an_info_that_lies(tmp_path: Path, studies: Studies, old: str, new: str, message: str) -> None:
    layouts.write_acdc(tmp_path, studies)
    info = tmp_path / "training" / "patient001" / "Info.cfg"
    info.write_text(info.read_text().replace(old, new))
    with pytest.raises(InputError, match=f"case patient001: .*{message}"):
        find_dataset(tmp_path).cases[0].load()


def test_mnms(tmp_path: Path, studies: Studies) -> None:
    layouts.write_mnms(tmp_path, studies)
    dataset = find_dataset(tmp_path)
    assert (dataset.name, list(by_id(dataset))) == ("mnms", ["A0S9V9", "A1S9V9", "A2S9V9"])
    for case, study in zip(dataset.labelled, studies, strict=True):
        assert (case.view, case.group, case.about["vendor"]) == ("sax", "HCM", "A")
        assert "height_cm" not in case.about, "N/A is nothing"
        assert_ed_and_es(case.load(), study)
    assert [case.about["part"] for case in dataset.cases] == ["Training/Labeled", "Testing", "Training/Unlabeled"]
    unlabelled = dataset.unlabelled[0].load()
    assert (unlabelled.labels, unlabelled.ed, unlabelled.es) == ({}, 0, studies[0].es_frame)


def test_a_part_of_mnms_finds_its_table_above(tmp_path: Path, studies: Studies) -> None:
    layouts.write_mnms(tmp_path, studies)
    dataset = find_dataset(tmp_path / "Training" / "Labeled")
    assert (dataset.name, list(by_id(dataset))) == ("mnms", ["A0S9V9"])
    assert_ed_and_es(dataset.cases[0].load(), studies[0])


def test_mnms_without_its_table_is_not_taken_for_our_values(tmp_path: Path, studies: Studies) -> None:
    layouts.write_mnms(tmp_path, studies)
    next(tmp_path.glob("*.csv")).unlink()
    with pytest.raises(
        InputError, match=r"A0S9V9_sa_gt.nii.gz: .*LV and RV seem to be numbered the other way round"
    ):
        find_dataset(tmp_path).labelled[0].load()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            ",0,2,",
            ",1,3,",
            r"A0S9V9_sa_gt.nii.gz: expected labels at ED = frame 1 and ES = frame 3.* got labels at \[0, 2\]",
        ),
        (",0,2,", ",0,5,", r"opendataset.csv: A0S9V9: expected ES as a frame from 0 to 4, got '5'"),
        (
            "A0S9V9,",
            "B0S9V9,",
            r"opendataset.csv: expected a row of A0S9V9, whose labels are .*A0S9V9_sa_gt.nii.gz",
        ),
    ],
)
def test_mnms_with_a_table_that_lies(tmp_path: Path, studies: Studies, old: str, new: str, message: str) -> None:
    layouts.write_mnms(tmp_path, studies)
    table = next(tmp_path.glob("*.csv"))
    table.write_text(table.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=f"case A0S9V9: .*{message}"):
        find_dataset(tmp_path).cases[0].load()


@pytest.mark.parametrize("rv", [3, 4])
def test_ukbb(tmp_path: Path, studies: Studies, rv: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(layouts.UKBB_VALUES, Label.RV, rv)
    layouts.write_ukbb(tmp_path, studies)
    dataset = find_dataset(tmp_path)
    cases = by_id(dataset)
    assert dataset.name == "ukbb"
    assert {name: (case.patient, case.view) for name, case in cases.items()} == {
        "1000001": ("1000001", "sax"),
        "1000001_la_2ch": ("1000001", "2ch"),
        "1000001_la_4ch": ("1000001", "4ch"),
        "1000002": ("1000002", "sax"),
    }
    for number, study in enumerate(studies, start=1):
        assert_ed_and_es(cases[f"{1000000 + number}"].load(), study)
    truth = studies[0].long_axis["4ch"].labels
    four_chamber = cases["1000001_la_4ch"].load()
    assert four_chamber.drawn_everywhere == (Label.LA, Label.RA)
    assert sorted(four_chamber.labels) == [0, 1, 2, 3, 4]
    for frame, labels in four_chamber.labels.items():
        np.testing.assert_array_equal(labels, np.where(truth[frame] >= Label.LA, truth[frame], 0))


def test_ukbb_without_the_cine_is_pairs(tmp_path: Path, studies: Studies) -> None:
    layouts.write_ukbb(tmp_path, studies, with_cine=False)
    data = find_dataset(tmp_path).cases[0].load()
    assert (data.is_pair, data.ed, data.es) == (True, 0, 1)
    np.testing.assert_array_equal(data.labels[1], ventricles(studies[0], studies[0].es_frame))


def test_ukbb_that_does_not_say_where_es_is(tmp_path: Path, studies: Studies) -> None:
    layouts.write_ukbb(tmp_path, studies[:1])
    folder, cine = tmp_path / "1000001", studies[0].cine
    (folder / "sa_ED.nii.gz").unlink()
    assert_ed_and_es(find_dataset(tmp_path).cases[0].load(), studies[0])
    save(folder / "sa_ES.nii.gz", cine.frames[2] + 7, cine.affine)
    with pytest.raises(InputError, match=r"sa_ES.nii.gz: expected the voxels of exactly one frame .* got none"):
        find_dataset(tmp_path).cases[0].load()
    (folder / "sa_ES.nii.gz").unlink()
    with pytest.raises(
        InputError, match=r"label_sa_ES.nii.gz: expected sa_ES.nii.gz beside it, to tell which frame"
    ):
        find_dataset(tmp_path).cases[0].load()


def test_ukbb_with_two_values_of_the_rv(tmp_path: Path, studies: Studies) -> None:
    layouts.write_ukbb(tmp_path, studies[:1])
    path = tmp_path / "1000001" / "label_sa_ES.nii.gz"
    labels = read_labels(path).labels[0].copy()
    labels[0, 0, 0] = 3
    save(path, labels, studies[0].cine.affine)
    with pytest.raises(InputError, match=r"label_sa_ES.nii.gz: expected the RV as value 3 or 4, got both"):
        find_dataset(tmp_path).cases[0].load()


def test_studies_of_a_server(tmp_path: Path, studies: Studies) -> None:
    root = tmp_path / "studies"
    layouts.write_studies(root, studies, verified=[2, 0])
    dataset = find_dataset(root)
    assert (dataset.name, list(by_id(dataset))) == ("studies", ["heart0", "heart1"])
    assert [case.id for case in dataset.labelled] == ["heart0"]
    data = dataset.cases[0].load()
    assert sorted(data.labels) == [0, 2], "the newest version, and of it the verified frames"
    np.testing.assert_array_equal(data.labels[2], studies[0].labels[2])
    label = next(root.rglob("000002.nii.gz"))
    label.write_bytes(label.read_bytes() + b"\0")
    with pytest.raises(InputError, match=r"000002.nii.gz: is no longer what was saved"):
        find_dataset(root).cases[0].load()


def test_every_frame_of_a_server_that_lists_none(tmp_path: Path, studies: Studies) -> None:
    root = tmp_path / "studies"
    layouts.write_studies(root, studies, verified=[])
    assert sorted(find_dataset(root).cases[0].load().labels) == [0, 1, 2, 3, 4]


def test_what_the_names_alone_show_to_be_broken_is_one_case(tmp_path: Path, studies: Studies) -> None:
    layouts.write_acdc(tmp_path / "acdc", studies)
    for path in (tmp_path / "acdc" / "training" / "patient001").glob("*.nii.gz"):
        path.unlink()
    layouts.write_ukbb(tmp_path / "ukbb", studies)
    (tmp_path / "ukbb" / "1000001" / "la_2ch.nii.gz").unlink()
    for name, case, message in (
        ("acdc", "patient001", r"patient001: expected the images of one patient beside Info.cfg, .* got none"),
        ("ukbb", "1000001_la_2ch", r"label_la_2ch.nii.gz: expected the image la_2ch.nii.gz beside it"),
    ):
        cases = by_id(find_dataset(tmp_path / name))
        with pytest.raises(InputError, match=f"case {case}: .*{message}"):
            cases.pop(case).load()
        assert all(other.load().labels for other in cases.values())


def test_two_layouts_in_one_folder_are_told(tmp_path: Path, studies: Studies) -> None:
    layouts.write_acdc(tmp_path / "a", studies[:1])
    layouts.write_ukbb(tmp_path / "b", studies[:1])
    with pytest.raises(InputError, match=r"expected one data set, got signs of acdc \(.*Info.cfg\) and ukbb \("):
        find_dataset(tmp_path)


Writer = Callable[[Path, Studies], None]


@pytest.mark.parametrize("write", [layouts.write_acdc, layouts.write_mnms, layouts.write_ukbb])
def test_a_bad_case_is_named_and_left_out_on_request(tmp_path: Path, studies: Studies, write: Writer) -> None:
    write(tmp_path, studies)
    cases = find_dataset(tmp_path).labelled
    broken = sorted(path for path in tmp_path.rglob("*.nii.gz") if cases[0].id in str(path))
    for path in broken:
        path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(InputError, match=f"case {cases[0].id}: .*nii.gz: .*"):
        list(load_each(cases))
    skipped: list[SkippedCase] = []
    read = [case.id for case, _ in load_each(cases, skipped=skipped)]
    assert skipped[0].id == cases[0].id
    assert len(read) + len(skipped) == len(cases)
    assert cases[-1].id in read


# The folder itself


def test_linked_patients_keep_the_names_of_their_links(tmp_path: Path, studies: Studies) -> None:
    for number, study in enumerate(studies):
        layouts.write_ukbb(tmp_path / f"disk {number}", (study,))
    data = tmp_path / "data"
    data.mkdir()
    for number in range(2):
        (place,) = {path.parent for path in (tmp_path / f"disk {number}").rglob("sa.nii.gz")}
        (data / f"{number}").symlink_to(place, target_is_directory=True)
        (data / f"{number}" / "circle").symlink_to(data, target_is_directory=True)
    dataset = find_dataset(data)
    assert [case.id for case in dataset.labelled if case.view == "sax"] == ["0", "1"]
    assert {case.patient for case in dataset.cases} == {"0", "1"}


@pytest.mark.skipif(os.name != "posix", reason="not run: only POSIX systems make paths that they cannot open")
def test_a_folder_that_cannot_be_listed_is_an_error(
    tmp_path: Path, studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    layouts.write_acdc(tmp_path, studies)
    monkeypatch.chdir(tmp_path)
    for _ in range(20):
        Path("d" * 250).mkdir()
        os.chdir("d" * 250)
    with pytest.raises(InputError, match="cannot be looked at: File name too long"):
        find_dataset(tmp_path)
