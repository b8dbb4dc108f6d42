from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.datasets import Case, CaseData, find_dataset
from cardiac_motion.errors import InputError
from cardiac_motion.io import write_cine, write_labels
from cardiac_motion.labels import Label
from cardiac_motion.phantom import PhantomStudy

from tests.models.datasets.layouts import save


def write_pair(folder: Path, study: PhantomStudy, names: tuple[str, str], suffix: str, labels: np.ndarray) -> None:
    for name, t in zip(names, (0, 2), strict=True):
        save(folder / f"{name}.nii.gz", study.cine.frames[t], study.cine.affine)
        save(folder / f"{name}{suffix}.nii.gz", labels[t], study.cine.affine)


def whole(data: CaseData) -> np.ndarray:
    return np.stack([data.labels[t] for t in sorted(data.labels)])


def only(cases: tuple[Case, ...]) -> Case:
    (case,) = cases
    return case


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".seq.nrrd"])
def test_a_cine_with_labels_is_a_case(tmp_path: Path, study: PhantomStudy, ending: str) -> None:
    write_cine(tmp_path / f"heart{ending}", study.cine)
    write_labels(tmp_path / f"heart_labels{ending}", study.labels, study.cine)
    dataset = find_dataset(tmp_path)
    case = only(dataset.cases)
    assert (dataset.name, case.id, case.patient, case.view, case.group) == ("folder", "heart", "heart", None, None)
    data = case.load()
    assert (data.cine.name, data.is_pair, data.ed, data.es) == ("heart", False, None, None)
    assert data.drawn_everywhere == (Label.RV, Label.MYO, Label.LV, Label.LA, Label.RA)
    np.testing.assert_array_equal(whole(data), study.labels)
    np.testing.assert_allclose(data.cine.frames, study.cine.frames, rtol=1e-6)


def test_pairs_and_cines_lie_beside_each_other_and_below(tmp_path: Path, study: PhantomStudy) -> None:
    write_cine(tmp_path / "cine.nii.gz", study.cine)
    write_labels(tmp_path / "cine_seg.nii.gz", study.labels, study.cine)
    write_cine(tmp_path / "plain.nii.gz", study.cine)
    write_pair(tmp_path / "more", study, ("a_ED", "a_ES"), "_gt", study.labels)
    dataset = find_dataset(tmp_path)
    assert [case.id for case in dataset.labelled] == ["a", "cine"]
    assert [case.id for case in dataset.unlabelled] == ["plain"]
    assert only(dataset.unlabelled).load().labels == {}
    pair = dataset.cases[0].load()
    assert (pair.is_pair, sorted(pair.labels), pair.ed, pair.es) == (True, [0, 1], 0, 1)
    np.testing.assert_array_equal(whole(pair), study.labels[[0, 2]])


def test_an_endocardium_is_the_lv_cavity(tmp_path: Path, study: PhantomStudy) -> None:
    write_pair(tmp_path, study, ("b_ED", "b_ES"), "_endo", (study.labels == Label.LV).astype(np.uint8))
    data = only(find_dataset(tmp_path).cases).load()
    assert data.drawn_everywhere == (Label.LV,)
    np.testing.assert_array_equal(whole(data) == Label.LV, study.labels[[0, 2]] == Label.LV)


def test_of_two_numbers_the_lower_one_is_ed(tmp_path: Path, study: PhantomStudy) -> None:
    write_pair(tmp_path, study, ("p_frame02", "p_frame10"), "_gt", study.labels)
    data = only(find_dataset(tmp_path).cases).load()
    np.testing.assert_array_equal(whole(data), study.labels[[0, 2]])


def test_a_folder_without_images_says_what_it_expected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no image in .*: expected a data set .*NAME_labels.nii.gz"):
        find_dataset(tmp_path)
    with pytest.raises(InputError, match="expected a folder"):
        find_dataset(tmp_path / "missing")


def test_half_a_pair_is_an_error(tmp_path: Path, study: PhantomStudy) -> None:
    write_pair(tmp_path, study, ("c_ED", "c_ES"), "_gt", study.labels)
    (tmp_path / "c_ES_gt.nii.gz").unlink()
    with pytest.raises(InputError, match=r"c in .*: expected one labelled frame of ED and one of ES, got ED"):
        only(find_dataset(tmp_path).labelled).load()


def test_two_cases_of_one_name_are_an_error(tmp_path: Path, study: PhantomStudy) -> None:
    for folder in ("one", "two"):
        write_pair(tmp_path / folder, study, ("c_ED", "c_ES"), "_gt", study.labels)
    with pytest.raises(InputError, match="got several of c"):
        find_dataset(tmp_path)


def test_frames_of_a_pair_must_fit_each_other(tmp_path: Path, study: PhantomStudy) -> None:
    write_pair(tmp_path, study, ("c_ED", "c_ES"), "_gt", study.labels)
    moved = study.cine.affine.copy()
    moved[0, 3] += 20
    save(tmp_path / "c_ES.nii.gz", study.cine.frames[2], moved)
    with pytest.raises(InputError, match="c: ED and ES must lie in one place, their corners are 20 mm apart"):
        only(find_dataset(tmp_path).cases).load()
    save(tmp_path / "c_ES.nii.gz", study.cine.frames[2][:, :-1], study.cine.affine)
    with pytest.raises(InputError, match="c: ED and ES must have one size"):
        only(find_dataset(tmp_path).cases).load()


def test_labels_must_fit_the_image(tmp_path: Path, study: PhantomStudy) -> None:
    write_cine(tmp_path / "heart.nii.gz", study.cine)
    case = tmp_path / "heart_labels.nii.gz"
    save(case, study.labels[0], study.cine.affine)
    with pytest.raises(InputError, match=r"case heart: .*expected labels of 5 frames as the cine has, got 1"):
        only(find_dataset(tmp_path).cases).load()
    save(case, np.where(study.labels == 3, 9, study.labels), study.cine.affine)
    with pytest.raises(InputError, match=r"heart_labels.nii.gz: has the label values \[9\]"):
        only(find_dataset(tmp_path).cases).load()


def test_ventricles_that_changed_places_are_refused(tmp_path: Path, study: PhantomStudy) -> None:
    write_cine(tmp_path / "heart.nii.gz", study.cine)
    swapped = np.array([0, 3, 2, 1, 4, 5], np.uint8)[study.labels]
    write_labels(tmp_path / "heart_labels.nii.gz", swapped, study.cine)
    with pytest.raises(InputError, match=r"heart_labels.nii.gz: .*LV and RV seem to be numbered the other"):
        only(find_dataset(tmp_path).cases).load()


def test_studies_and_views_in_folders_of_their_own_are_named_after_them(
    tmp_path: Path, study: PhantomStudy
) -> None:
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
    for name in ("imported_1", "imported_2"):
        (tmp_path / name).mkdir()
        for stem in ("sax", "4ch_2"):
            write_cine(tmp_path / name / f"{stem}.nii.gz", study.cine)
    write_cine(tmp_path / "p1_4ch.nii.gz", study.cine)
    dataset = find_dataset(tmp_path)
    labelled = [(case.id, case.patient, case.view) for case in dataset.labelled]
    assert labelled == [
        ("heart_1", "heart_1", "sax"),
        ("heart_1_2ch", "heart_1", "2ch"),
        ("heart_2", "heart_2", "sax"),
        ("heart_2_2ch", "heart_2", "2ch"),
    ]
    assert [(case.id, case.patient, case.view) for case in dataset.unlabelled] == [
        ("heart_1_scout", "heart_1", None),
        ("heart_2_scout", "heart_2", None),
        ("imported_1_4ch_2", "imported_1", "4ch"),
        ("imported_1_sax", "imported_1", "sax"),
        ("imported_2_4ch_2", "imported_2", "4ch"),
        ("imported_2_sax", "imported_2", "sax"),
        ("p1_4ch", "p1", "4ch"),
    ]
    np.testing.assert_array_equal(whole(dataset.labelled[0].load()), study.labels)


def test_images_without_labels_may_have_one_name(tmp_path: Path, study: PhantomStudy) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_cine(tmp_path / name / "scout.nii.gz", study.cine)
    assert [case.id for case in find_dataset(tmp_path).cases] == ["one/scout.nii.gz", "two/scout.nii.gz"]


def test_the_folder_of_a_study_itself(
    tmp_path: Path, study: PhantomStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "heart"
    folder.mkdir()
    write_cine(folder / "cine.nii.gz", study.cine)
    write_labels(folder / "labels.nii.gz", study.labels, study.cine)
    monkeypatch.chdir(folder)
    assert only(find_dataset(".").cases).id == "heart"


def test_labels_without_a_cine_beside_them_are_an_image(tmp_path: Path, study: PhantomStudy) -> None:
    write_cine(tmp_path / "other.nii.gz", study.cine)
    write_labels(tmp_path / "other_labels.nii.gz", study.labels, study.cine)
    write_labels(tmp_path / "labels.nii.gz", study.labels, study.cine)
    dataset = find_dataset(tmp_path)
    assert [case.id for case in dataset.labelled] == ["other"]
    assert [case.id for case in dataset.unlabelled] == ["labels"]


def test_frames_without_labels_are_not_labelled(tmp_path: Path, study: PhantomStudy) -> None:
    labels = study.labels.copy()
    labels[[1, 4]] = 0
    write_cine(tmp_path / "heart.nii.gz", Cine(study.cine.frames, study.cine.affine, study.cine.frame_times))
    write_labels(tmp_path / "heart_labels.nii.gz", labels, study.cine)
    assert sorted(only(find_dataset(tmp_path).cases).load().labels) == [0, 2, 3]


def test_real_images_with_labels(real_data: Path) -> None:
    dataset = find_dataset(real_data)
    assert dataset.name == "folder"
    cases = {case.id: case.load() for case in dataset.labelled}
    assert list(cases) == ["HF-I-05", "HYP-08", "SCD0003701", "cine_sax"]
    assert len(cases.pop("cine_sax").labels) == 25
    assert all(data.is_pair and data.drawn_everywhere == (Label.LV,) for data in cases.values())
