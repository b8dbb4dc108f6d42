"""The demonstration: with a whole truth, a sparse one and none, on a stack and on a single slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.demo import CORRECTED, DRAWN, check_truth, frame_to_correct, phantom_demo, run_demo
from cardiac_motion.errors import InputError
from cardiac_motion.io import read_cine, read_labels
from cardiac_motion.motion import Motion
from cardiac_motion.phantom import TEST_SEEDS, PhantomOptions, PhantomStudy, make_study
from cardiac_motion.registration.base import Progress, silent
from cardiac_motion.registration.recursive.options import RecursiveOptions

SMALL = PhantomOptions(frames=5, slices=2, matrix=(96, 96), pixel_spacing=2.4, motion_truth=False)


class Still:
    """A motion model in which nothing moves."""

    name = "still"
    version = "1"
    views = ("sax",)
    weights_checksum = None
    default_options = RecursiveOptions()

    def estimate(
        self,
        cine: Cine,
        *,
        reference: int = 0,
        options: object = None,
        progress: Progress = silent,
    ) -> Motion:
        field = np.zeros((cine.n_frames, 3, *cine.shape[1:]), np.float32)
        return Motion(
            field,
            field,
            reference=reference,
            affine=cine.affine,
            frame_times=cine.frame_times,
            model=self.name,
            version=self.version,
            image_hash=cine.content_hash,
        )


@pytest.fixture(scope="module")
def study() -> PhantomStudy:
    return make_study(TEST_SEEDS[1], SMALL)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def sparse(study: PhantomStudy, *frames: int) -> np.ndarray:
    truth = np.zeros_like(study.labels)
    truth[list(frames)] = study.labels[list(frames)]
    return truth


def test_a_phantom_through_to_table_curve_and_film(tmp_path: Path) -> None:
    made = phantom_demo(tmp_path, Still(), seed=TEST_SEEDS[1], options=SMALL)
    assert names(tmp_path) == {"study", "labels.nii.gz", "report.json", "table.md", "volumes.png", "film.gif"}
    cine = read_cine(tmp_path / "study" / "cine.nii.gz")
    truth = read_labels(tmp_path / "study" / "labels.nii.gz").labels
    assert cine.shape == truth.shape == (5, 2, 96, 96)
    assert made.corrected_frame is not None
    labels = read_labels(tmp_path / "labels.nii.gz").labels
    assert (labels[[0, made.corrected_frame]] == truth[[0, made.corrected_frame]]).all()
    assert "unregistered" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "volumes.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "film.gif").read_bytes()[:3] == b"GIF"


def test_only_frames_with_a_truth_are_corrected_and_compared(study: PhantomStudy, tmp_path: Path) -> None:
    made = run_demo(tmp_path, study.cine, {0: study.labels[0]}, Still(), truth=sparse(study, 1, 2))
    assert made.corrected_frame in {1, 2}
    assert list(made.runs) == [DRAWN, CORRECTED]
    (tmp_path / "one").mkdir()
    made = run_demo(tmp_path / "one", study.cine, {0: study.labels[0]}, Still(), truth=sparse(study, 2))
    # The only frame is needed to compare.
    assert made.corrected_frame is None
    assert list(made.runs) == [DRAWN]
    # Nothing moves, so that what was carried is as good as what was held, and neither is perfect.
    by_method = {
        method: [row.dice_all for row in made.comparison if row.method == method]
        for method in {row.method for row in made.comparison}
    }
    assert set(by_method) == {"unregistered", DRAWN}
    assert by_method["unregistered"] == by_method[DRAWN]
    assert all(0.1 < dice < 1 for dice in by_method[DRAWN])


def test_a_frame_without_a_truth_is_never_the_one_to_correct(study: PhantomStudy) -> None:
    carried = np.repeat(study.labels[:1], 5, axis=0)
    assert frame_to_correct(carried, sparse(study, 0, 1, 3), skip=[0, 3]) == 1
    with pytest.raises(InputError, match=r"other than \[0, 3\], found none"):
        frame_to_correct(carried, sparse(study, 0, 3), skip=[3, 0])


@pytest.mark.parametrize(
    ("frames", "what"), [((0, 3), "got one with labels on 0, 3"), ((), "got one with labels on no frame")]
)
def test_a_truth_of_the_key_frames_alone_is_refused(
    study: PhantomStudy, tmp_path: Path, frames: tuple[int, ...], what: str
) -> None:
    keys = {3: study.labels[3], 0: study.labels[0]}
    with pytest.raises(InputError, match=f"besides the key frames 0, 3, {what}"):
        check_truth(sparse(study, *frames), keys)
    with pytest.raises(InputError, match="besides the key frames"):
        run_demo(tmp_path, study.cine, keys, Still(), truth=sparse(study, *frames))
    assert names(tmp_path) == set()


def test_a_single_slice_has_no_curve_and_no_ejection_fraction(study: PhantomStudy, tmp_path: Path) -> None:
    cine = Cine(study.cine.frames[:, :1], study.cine.affine, study.cine.frame_times)
    truth = study.labels[:, :1]
    made = run_demo(tmp_path, cine, {0: truth[0]}, Still(), truth=truth)
    assert names(tmp_path) == {"labels.nii.gz", "report.json", "table.md", "film.gif"}
    assert made.comparison
    assert all(np.isnan([row.ejection_fraction, row.true_ejection_fraction]).all() for row in made.comparison)
