from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.evaluation.cases import Case, find_cases, read_case
from cardiac_motion.io import write_cine, write_labels
from cardiac_motion.labels import Label


def one_frame(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    """Write (Z, Y, X) as a 3D NIfTI file."""
    still = Cine(np.stack([array, array]).astype(np.float32), affine, np.array([0.0, 1.0]))
    write_labels(path, array.astype(np.uint8), still)


def write_pair(folder: Path, study: Any, names: tuple[str, str], suffix: str, labels: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    for name, t in zip(names, (0, 2), strict=True):
        one_frame(folder / f"{name}.nii.gz", study.cine.frames[t], study.cine.affine)
        one_frame(folder / f"{name}{suffix}.nii.gz", labels[t], study.cine.affine)


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".seq.nrrd"])
def test_a_cine_with_labels_is_a_case(tmp_path: Path, study: Any, ending: str) -> None:
    write_cine(tmp_path / f"heart{ending}", study.cine)
    write_labels(tmp_path / f"heart_labels{ending}", study.labels, study.cine)
    (files,) = find_cases(tmp_path).cases
    case = read_case(files)
    assert (case.name, case.is_pair, case.source, case.es) == ("heart", False, 0, 2)
    assert case.labelled == (0, 1, 2, 3)
    assert case.targets == (1, 2, 3)
    assert case.structures == (Label.RV, Label.MYO, Label.LV)
    np.testing.assert_array_equal(case.labels, study.labels)
    np.testing.assert_allclose(case.cine.frames, study.cine.frames, rtol=1e-6)


def test_pairs_and_cines_lie_beside_each_other_and_below(tmp_path: Path, study: Any) -> None:
    write_cine(tmp_path / "cine.nii.gz", study.cine)
    write_labels(tmp_path / "cine_seg.nii.gz", study.labels, study.cine)
    write_cine(tmp_path / "plain.nii.gz", study.cine)
    write_pair(tmp_path / "more", study, ("a_ED", "a_ES"), "_gt", study.labels)
    found = find_cases(tmp_path)
    assert [case.name for case in found.cases] == ["a", "cine"]
    assert [path.name for path in found.without_labels] == ["plain.nii.gz"]
    pair = read_case(found.cases[0])
    assert (pair.is_pair, pair.labelled, pair.source, pair.es) == (True, (0, 1), 0, 1)
    np.testing.assert_array_equal(pair.labels, study.labels[[0, 2]])


def test_an_endocardium_is_the_lv_cavity(tmp_path: Path, study: Any) -> None:
    write_pair(tmp_path, study, ("b_ED", "b_ES"), "_endo", (study.labels == Label.LV).astype(np.uint8))
    case = read_case(find_cases(tmp_path).cases[0])
    assert case.structures == (Label.LV,)
    np.testing.assert_array_equal(case.labels == Label.LV, study.labels[[0, 2]] == Label.LV)


@pytest.mark.parametrize(("info", "ed"), [(None, 0), ("ED: 1\nES: 12\nGroup: NOR\n", 0), ("ED: 12\nES: 1\n", 1)])
def test_names_of_the_acdc_challenge(tmp_path: Path, study: Any, info: str | None, ed: int) -> None:
    folder = tmp_path / "patient001"
    write_pair(folder, study, ("patient001_frame01", "patient001_frame12"), "_gt", study.labels)
    write_cine(folder / "patient001_4d.nii.gz", study.cine)
    if info:
        (folder / "Info.cfg").write_text(info)
    (files,) = find_cases(tmp_path).cases
    assert files.name == "patient001"
    np.testing.assert_array_equal(read_case(files).labels[0], study.labels[[0, 2][ed]])


def test_frames_without_labels_are_no_targets(study: Any) -> None:
    labels = study.labels.copy()
    labels[[0, 3]] = 0
    case = Case.of(study.cine, labels)
    assert (case.labelled, case.source, case.targets, case.es) == ((1, 2), 1, (2,), 2)


def test_es_of_atria_is_where_they_differ_most(study: Any) -> None:
    atrium = np.where(study.labels == Label.LV, np.uint8(Label.LA), np.uint8(0))
    assert Case.of(study.cine, atrium).es == 2


def test_one_labelled_frame_is_too_few(study: Any) -> None:
    labels = study.labels.copy()
    labels[1:] = 0
    with pytest.raises(InputError, match=r"at least 2 frames, got labels on \[0\]"):
        Case.of(study.cine, labels)


def test_a_folder_without_cases_says_what_it_expected(tmp_path: Path, study: Any) -> None:
    write_cine(tmp_path / "plain.nii.gz", study.cine)
    with pytest.raises(InputError, match=r"expected NAME.nii.gz with NAME_labels.nii.gz.*got 1 image files"):
        find_cases(tmp_path)
    with pytest.raises(InputError, match="expected a folder"):
        find_cases(tmp_path / "missing")


def test_half_a_pair_is_an_error(tmp_path: Path, study: Any) -> None:
    write_pair(tmp_path, study, ("c_ED", "c_ES"), "_gt", study.labels)
    (tmp_path / "c_ES_gt.nii.gz").unlink()
    with pytest.raises(InputError, match=r"c in .*: expected one labelled frame of ED and one of ES, got ED"):
        find_cases(tmp_path)


def test_two_cases_of_one_name_are_an_error(tmp_path: Path, study: Any) -> None:
    for folder in ("one", "two"):
        write_pair(tmp_path / folder, study, ("c_ED", "c_ES"), "_gt", study.labels)
    with pytest.raises(InputError, match="got several of c"):
        find_cases(tmp_path)


def test_frames_of_a_pair_must_fit_each_other(tmp_path: Path, study: Any) -> None:
    write_pair(tmp_path, study, ("c_ED", "c_ES"), "_gt", study.labels)
    moved = study.cine.affine.copy()
    moved[0, 3] += 20
    one_frame(tmp_path / "c_ES.nii.gz", study.cine.frames[2], moved)
    with pytest.raises(InputError, match="c: ED and ES must lie in one place, their corners are 20 mm apart"):
        read_case(find_cases(tmp_path).cases[0])
    one_frame(tmp_path / "c_ES.nii.gz", study.cine.frames[2][:, :-1], study.cine.affine)
    with pytest.raises(InputError, match="c: ED and ES must have one size"):
        read_case(find_cases(tmp_path).cases[0])


def test_labels_must_fit_the_image(tmp_path: Path, study: Any) -> None:
    write_cine(tmp_path / "heart.nii.gz", study.cine)
    one_frame(tmp_path / "heart_labels.nii.gz", study.labels[0], study.cine.affine)
    with pytest.raises(InputError, match="expected labels of 4 frames as the cine has, got 1"):
        read_case(find_cases(tmp_path).cases[0])
    write_labels(tmp_path / "heart_labels.nii.gz", np.where(study.labels == 3, 9, study.labels), study.cine)
    with pytest.raises(InputError, match=r"label values \[9\]"):
        read_case(find_cases(tmp_path).cases[0])


def test_studies_in_folders_of_their_own_are_named_after_them(tmp_path: Path, study: Any) -> None:
    for name in ("heart_1", "heart_2"):
        folder = tmp_path / name
        folder.mkdir()
        for stem in ("cine", "strain_radial", "scout", "2ch"):
            write_cine(folder / f"{stem}.nii.gz", study.cine)
        for stem in ("labels", "2ch_labels"):
            write_labels(folder / f"{stem}.nii.gz", study.labels, study.cine)
        # A motion, and an image in a hidden folder: neither is an image of the study.
        (folder / "motion").mkdir()
        (folder / "motion" / "motion.json").write_text("{}")
        write_cine(folder / "motion" / "to_reference_000.nrrd", study.cine)
        (folder / ".kept").mkdir()
        write_cine(folder / ".kept" / "other.nii.gz", study.cine)
    found = find_cases(tmp_path)
    assert [case.name for case in found.cases] == ["heart_1", "heart_1_2ch", "heart_2", "heart_2_2ch"]
    assert found.cases[0].images == (tmp_path / "heart_1" / "cine.nii.gz",)
    assert found.cases[0].labels == (tmp_path / "heart_1" / "labels.nii.gz",)
    assert [path.parent.name + "/" + path.name for path in found.without_labels] == [
        "heart_1/scout.nii.gz",
        "heart_2/scout.nii.gz",
    ]
    np.testing.assert_array_equal(read_case(found.cases[0]).labels, study.labels)


def test_the_folder_of_a_study_itself(tmp_path: Path, study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "heart"
    folder.mkdir()
    write_cine(folder / "cine.nii.gz", study.cine)
    write_labels(folder / "labels.nii.gz", study.labels, study.cine)
    monkeypatch.chdir(folder)
    assert [case.name for case in find_cases(".").cases] == ["heart"]


def test_labels_without_a_cine_beside_them_are_an_image(tmp_path: Path, study: Any) -> None:
    write_cine(tmp_path / "other.nii.gz", study.cine)
    write_labels(tmp_path / "other_labels.nii.gz", study.labels, study.cine)
    write_labels(tmp_path / "labels.nii.gz", study.labels, study.cine)
    found = find_cases(tmp_path)
    assert [case.name for case in found.cases] == ["other"]
    assert [path.name for path in found.without_labels] == ["labels.nii.gz"]
