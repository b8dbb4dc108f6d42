"""The demonstration: with a whole truth, a sparse one and none, on a stack and on a single slice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.demo import (
    CORRECTED,
    DRAWN,
    Carried,
    Demo,
    Labels,
    carry_and_correct,
    check_truth,
    frame_to_correct,
    write_demo,
)
from cardiac_motion.errors import Cancelled, InputError
from cardiac_motion.io import read_labels
from cardiac_motion.phantom import TEST_SEEDS, PhantomOptions, PhantomStudy, make_study
from cardiac_motion.progress import Progress

SMALL = PhantomOptions(frames=5, slices=2, matrix=(96, 96), pixel_spacing=2.4, motion_truth=False)


def hold_still(keys: Mapping[int, Labels], progress: Progress) -> Carried:
    """Labels as if nothing moved: those of the first key frame everywhere, key frames as they were drawn."""
    progress(0.5, "holding still")
    n_frames = SMALL.frames
    labels = np.repeat(keys[min(keys)][None], n_frames, axis=0)
    for frame, drawn in keys.items():
        labels[frame] = drawn
    return Carried(labels, {"key_frames": sorted(keys)})


def run_demo(output: Path, cine: Cine, keys: Mapping[int, Labels], truth: Labels | None) -> Demo:
    return write_demo(output, cine, carry_and_correct(cine, keys, hold_still, truth=truth), further={"more": 1})


@pytest.fixture(scope="module")
def study() -> PhantomStudy:
    return make_study(TEST_SEEDS[1], SMALL)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def sparse(study: PhantomStudy, *frames: int) -> np.ndarray:
    truth = np.zeros_like(study.labels)
    truth[list(frames)] = study.labels[list(frames)]
    return truth


def test_a_whole_truth_through_to_table_curve_and_film(study: PhantomStudy, tmp_path: Path) -> None:
    truth = study.labels
    made = run_demo(tmp_path, study.cine, {0: truth[0]}, truth)
    assert names(tmp_path) == {"labels.nii.gz", "report.json", "table.md", "volumes.png", "film.gif"}
    assert made.corrected_frame is not None
    labels = read_labels(tmp_path / "labels.nii.gz").labels
    assert (labels[[0, made.corrected_frame]] == truth[[0, made.corrected_frame]]).all()
    assert "unregistered" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "volumes.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "film.gif").read_bytes()[:3] == b"GIF"
    report = json.loads((tmp_path / "report.json").read_text())
    assert report == json.loads(json.dumps(made.summary()))
    assert report["more"] == 1
    assert report["runs"][CORRECTED]["key_frames"] == sorted([0, made.corrected_frame])


def test_progress_rises_over_both_runs_and_may_cancel(study: PhantomStudy) -> None:
    seen: list[float] = []

    def report(fraction: float, message: str) -> None:
        seen.append(fraction)
        if len(seen) == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        carry_and_correct(study.cine, {0: study.labels[0]}, hold_still, truth=study.labels, progress=report)
    assert seen == [pytest.approx(0.45), pytest.approx(0.95)]


def test_without_a_truth_nothing_is_corrected_or_compared(study: PhantomStudy, tmp_path: Path) -> None:
    made = run_demo(tmp_path, study.cine, {0: study.labels[0]}, None)
    assert list(made.runs) == [DRAWN]
    assert (made.corrected_frame, made.comparison) == (None, ())
    assert names(tmp_path) == {"labels.nii.gz", "report.json", "volumes.png", "film.gif"}


def test_only_frames_with_a_truth_are_corrected_and_compared(study: PhantomStudy, tmp_path: Path) -> None:
    made = run_demo(tmp_path, study.cine, {0: study.labels[0]}, sparse(study, 1, 2))
    assert made.corrected_frame in {1, 2}
    assert list(made.runs) == [DRAWN, CORRECTED]
    (tmp_path / "one").mkdir()
    made = run_demo(tmp_path / "one", study.cine, {0: study.labels[0]}, sparse(study, 2))
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
        run_demo(tmp_path, study.cine, keys, sparse(study, *frames))
    assert names(tmp_path) == set()


def test_a_single_slice_has_no_curve_and_no_ejection_fraction(study: PhantomStudy, tmp_path: Path) -> None:
    cine = Cine(study.cine.frames[:, :1], study.cine.affine, study.cine.frame_times)
    truth = study.labels[:, :1]
    made = run_demo(tmp_path, cine, {0: truth[0]}, truth)
    assert names(tmp_path) == {"labels.nii.gz", "report.json", "table.md", "film.gif"}
    assert made.comparison
    assert all(np.isnan([row.ejection_fraction, row.true_ejection_fraction]).all() for row in made.comparison)
