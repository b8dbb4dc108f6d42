"""A study on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.io import check_labels, read_cine, read_labels
from cardiac_motion.io.motion_folder import read_motion
from cardiac_motion.phantom import TEST_SEEDS, PhantomOptions, PhantomStudy, make_study
from cardiac_motion.phantom.write import true_motion, write_study


@pytest.fixture(scope="module")
def study() -> PhantomStudy:
    options = PhantomOptions(frames=4, slices=4, matrix=(48, 56), pixel_spacing=4.0, long_axis_views=True)
    return make_study(TEST_SEEDS[6], options)


def test_a_study_is_read_back_as_it_was(study: PhantomStudy, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    write_study(study, folder, truth=True)

    cine = read_cine(folder / "cine.nii.gz")
    labels = read_labels(folder / "labels.nii.gz")
    check_labels(labels, cine)
    assert cine.frames == pytest.approx(study.cine.frames, abs=1e-3)
    assert cine.affine == pytest.approx(study.cine.affine, abs=1e-3)
    assert cine.frame_times == pytest.approx(study.cine.frame_times, abs=1e-5)
    assert np.array_equal(labels.labels, study.labels)
    motion = read_motion(folder / "motion")
    assert study.motion is not None
    assert motion.reference == 0
    assert motion.to_reference == pytest.approx(study.motion[0], abs=1e-3)
    assert motion.from_reference == pytest.approx(study.motion[1], abs=1e-3)
    strain = read_cine(folder / "strain_radial.nii.gz").frames
    assert study.strain is not None
    assert strain == pytest.approx(np.nan_to_num(study.strain.radial), abs=1e-5)
    volumes = json.loads((folder / "volumes.json").read_text())
    assert volumes["volumes"]["LV"]["analytic"] == pytest.approx(study.volumes_ml["LV"]["analytic"].tolist())
    assert volumes["es_frame"] == study.es_frame
    assert json.loads((folder / "parameters.json").read_text())["seed"] == TEST_SEEDS[6]
    for name in ("2ch", "3ch", "4ch"):
        assert read_cine(folder / f"{name}.nii.gz").shape == (4, 1, 48, 56)
        assert read_labels(folder / f"{name}_labels.nii.gz").labels.any()
        assert (folder / f"{name}_motion" / "motion.json").is_file()


def test_without_the_truth_there_are_images_and_labels_only(study: PhantomStudy, tmp_path: Path) -> None:
    write_study(study, tmp_path / "study")
    names = {path.name for path in (tmp_path / "study").iterdir()}
    views = {f"{name}{kind}.nii.gz" for name in ("2ch", "3ch", "4ch") for kind in ("", "_labels")}
    assert names == {"cine.nii.gz", "labels.nii.gz"} | views
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_a_truth_that_is_not_there_leaves_nothing_behind(tmp_path: Path) -> None:
    options = PhantomOptions(frames=4, slices=1, matrix=(32, 32), pixel_spacing=6.0, motion_truth=False)
    bare = make_study(TEST_SEEDS[6], options)
    with pytest.raises(InputError, match="with the truth of its motion"):
        write_study(bare, tmp_path / "study", truth=True)
    assert not list(tmp_path.iterdir())


def test_the_true_motion_belongs_to_its_cine(study: PhantomStudy) -> None:
    motion = true_motion(study)
    motion.check_belongs_to(study.cine)
    assert motion.image_hash == study.cine.content_hash
