from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.cli.propagate import describe, write_volume_table
from cardiac_motion.errors import InputError
from cardiac_motion.io import write_labels
from cardiac_motion.labels import Label
from cardiac_motion.motion import Motion
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.pipeline import (
    KnownMotion,
    motion_key,
    propagate_cine,
    read_key_frames,
    share_of_folds,
    split_label_argument,
    whole_number,
)
from cardiac_motion.registration.base import silent
from cardiac_motion.registration.recursive.options import RecursiveOptions

T, Z, Y, X = 5, 2, 40, 44


class Shifting:
    """A motion model that knows the answer: everything moves by one pixel per frame along x inside a box."""

    name = "shifting"
    version = "1"
    views = ("sax",)
    weights_checksum = None
    default_options = RecursiveOptions()

    def __init__(self) -> None:
        self.calls = 0

    def estimate(self, cine: Cine, *, reference: int = 0, options: Any = None, progress: Any = silent) -> Motion:
        self.calls += 1
        field = np.zeros((T, 3, *cine.shape[1:]), np.float32)
        for t in range(T):
            field[t, 2, :, 4:36, 4:40] = 1.5 * (t - reference)
        return Motion(
            -field,
            field,
            reference=reference,
            affine=cine.affine,
            frame_times=cine.frame_times,
            model=self.name,
            version=self.version,
            image_hash=cine.content_hash,
            settings={},
        )


@pytest.fixture
def cine() -> Cine:
    frames = np.random.default_rng(0).random((T, Z, Y, X), dtype=np.float32)
    return Cine(frames, np.diag([1.5, 1.5, 8.0, 1.0]), 0.04 * np.arange(T))


def _ring(column: int = 16) -> np.ndarray:
    y, x = np.mgrid[:Y, :X]
    radius = np.hypot(y - 20, x - column)
    labels = np.zeros((Z, Y, X), np.uint8)
    labels[:, radius < 9] = Label.MYO
    labels[:, radius < 6] = Label.LV
    return labels


@pytest.mark.parametrize(
    ("text", "path", "frame"),
    [
        ("a/b.nii.gz@12", "a/b.nii.gz", 12),
        ("b.nii", "b.nii", None),
        ("me@home.nii", "me@home.nii", None),
        ("x@y@0", "x@y", 0),
    ],
)
def test_an_argument_is_split_at_the_last_at_with_a_number(text: str, path: str, frame: int | None) -> None:
    assert split_label_argument(text) == (Path(path), frame)


def test_key_frames_come_from_3d_and_4d_files(cine: Cine, tmp_path: Path) -> None:
    write_labels(tmp_path / "ed.nii.gz", _ring(), cine)
    four = np.zeros((T, Z, Y, X), np.uint8)
    four[1], four[3] = _ring(17), _ring(19)
    write_labels(tmp_path / "all.nii.gz", four, cine)
    assert list(read_key_frames([f"{tmp_path}/ed.nii.gz@2"], cine)) == [2]
    notes: list[str] = []
    both = [f"{tmp_path}/all.nii.gz", f"{tmp_path}/ed.nii.gz@0"]
    assert sorted(read_key_frames(both, cine, note=notes.append)) == [0, 1, 3]
    (said,) = notes
    assert "all 2 of its frames that hold labels are key frames" in said
    assert said.endswith("give all.nii.gz@1")
    only = read_key_frames([f"{tmp_path}/all.nii.gz@3"], cine, note=notes.append)
    assert len(notes) == 1
    assert (only[3] == four[3]).all()
    for arguments, message in (
        (["ed.nii.gz"], "say which frame it belongs to, as ed.nii.gz@0"),
        (["ed.nii.gz@5"], "frames 0 to 4, got frame 5"),
        (["ed.nii.gz@-1"], "expected a frame from 0 to 4 after @, got '-1'"),
        (["ed.nii.gz@"], "expected a frame from 0 to 4 after @, got ''"),
        (["no.nii.gz@-1"], "no.nii.gz@-1: does not exist"),
        (["all.nii.gz@2"], "labels of frame 2 are empty"),
        (["all.nii.gz", "ed.nii.gz@1"], "frame 1 has been given labels before"),
    ):
        with pytest.raises(InputError, match=message):
            read_key_frames([f"{tmp_path}/{argument}" for argument in arguments], cine)
    write_labels(tmp_path / "none.nii.gz", np.zeros((T, Z, Y, X), np.uint8), cine)
    with pytest.raises(InputError, match="every frame is empty"):
        read_key_frames([f"{tmp_path}/none.nii.gz"], cine)


def test_labels_follow_the_motion_and_the_summary_says_what_they_measure(cine: Cine) -> None:
    found = propagate_cine(cine, {0: _ring()}, Shifting())
    for t in range(T):
        assert (found.labels[t] == _ring(16 + t)).mean() > 0.995
    summary = found.summary()
    volume = (_ring() == Label.LV).sum() * 1.5 * 1.5 * 8 / 1000
    assert summary["volumes_ml"]["LV"][0] == pytest.approx(volume, abs=1e-3)
    assert summary["key_frames"] == [0]
    assert summary["model"] == {"name": "shifting", "version": 1}
    assert (whole_number("2"), whole_number("2.1"), whole_number("")) == (2, "2.1", "")
    # A ring that only shifts does not eject.
    (warning,) = summary["warnings"]
    assert "an ejection fraction of" in warning
    assert "of LV is implausible (expected 5 to 90 %" in warning
    assert summary["mass_g"]["LV"] == pytest.approx((_ring() == Label.MYO).sum() * 0.018 * 1.05, rel=1e-3)


def test_a_known_motion_is_not_estimated_again(cine: Cine, tmp_path: Path) -> None:
    model, cache = Shifting(), MotionCache(tmp_path)
    first = propagate_cine(cine, {0: _ring()}, model, cache=cache)
    again = propagate_cine(cine, {0: _ring(), 3: _ring(18)}, model, cache=cache)
    assert (model.calls, first.from_cache, again.from_cache) == (1, False, True)
    assert (again.labels[3] == _ring(18)).all()
    propagate_cine(cine, {0: _ring()}, model, cache=cache, reference=1)
    propagate_cine(cine, {0: _ring()}, model, cache=cache, options=RecursiveOptions(levels=2))
    propagate_cine(Cine(cine.frames + 1, cine.affine, cine.frame_times), {0: _ring()}, model, cache=cache)
    assert model.calls == 4


def test_a_known_motion_carries_other_key_frames_as_from_nothing(cine: Cine) -> None:
    known = KnownMotion(Shifting().estimate(cine))
    for keys in ({0: _ring()}, {0: _ring(), 3: _ring(18)}, {2: _ring(20)}):
        one, other = known.carry(keys), propagate_cine(cine, keys, Shifting())
        assert (one.labels == other.labels).all()
        assert (one.key_frames, one.folds) == (other.key_frames, other.folds)
    with pytest.raises(InputError, match="at least one key frame"):
        known.carry({})


def test_a_motion_is_known_by_what_its_options_come_to(cine: Cine, monkeypatch: pytest.MonkeyPatch) -> None:
    def key(**changes: Any) -> str:
        return motion_key(cine, Shifting(), reference=0, options=RecursiveOptions(**changes))

    default = key()
    assert key(levels=4, iterations=30, similarity="ssim") == default
    assert len({default, key(levels=3), key(parametrisation="network"), key(dimensions=3)}) == 4
    resolved = RecursiveOptions.resolved
    monkeypatch.setattr(RecursiveOptions, "resolved", lambda self: replace(resolved(self), iterations=31))
    assert key() != default, "another default is another motion"


def test_labels_where_nothing_moves_are_warned_of(cine: Cine) -> None:
    labels = _ring()
    labels[:, :3] = Label.RV
    found = propagate_cine(cine, {0: labels}, Shifting())
    assert len(found.warnings) == 1
    assert "lie outside the region that was registered" in found.warnings[0]


def test_folds_are_a_share_of_all_voxels(cine: Cine) -> None:
    motion = Shifting().estimate(cine)
    assert share_of_folds(motion) > 0  # the box's edges tear the plane
    still = Motion(
        0 * motion.to_reference,
        0 * motion.from_reference,
        reference=0,
        affine=cine.affine,
        frame_times=cine.frame_times,
        model="still",
        version="1",
        image_hash=cine.content_hash,
    )
    assert share_of_folds(still) == 0
    folded = np.zeros((T, 3, Z, Y, X), np.float32)
    folded[1, 2, 0, 10, 20] = -2 * 1.5  # one voxel jumps two to the left: it folds with its neighbours
    one = Motion(
        folded,
        folded,
        reference=0,
        affine=cine.affine,
        frame_times=cine.frame_times,
        model="one",
        version="1",
        image_hash=cine.content_hash,
    )
    # The voxel itself, by the difference to its left neighbour, and that neighbour.
    assert share_of_folds(one) == pytest.approx(2 / (T * Z * Y * X))


def test_without_a_key_frame_there_is_nothing_to_carry(cine: Cine) -> None:
    with pytest.raises(InputError, match="at least one key frame"):
        propagate_cine(cine, {}, Shifting())


FUNCTION = {"ed", "es", "ejection_fraction", "stroke_ml", "mass_g"}


def test_atria_alone_have_volumes_but_no_function_and_the_keys_stay(cine: Cine) -> None:
    atria = np.where(_ring() > 0, Label.LA, 0).astype(np.uint8)
    found = propagate_cine(cine, {0: atria}, Shifting())
    assert found.function is None
    assert found.volumes_ml[Label.LA][0] > 0
    summary = found.summary()
    assert (summary["ed"], summary["es"]) == (None, None)
    assert summary["ejection_fraction"] == summary["stroke_ml"] == summary["mass_g"] == {}
    whole = propagate_cine(cine, {0: _ring()}, Shifting())
    assert whole.function is not None
    assert set(whole.function.to_json()) == FUNCTION
    assert set(summary) == set(whole.summary())


def test_a_single_slice_has_no_volume_and_nothing_made_of_one(cine: Cine, tmp_path: Path) -> None:
    single = Cine(cine.frames[:, :1], cine.affine, cine.frame_times)
    found = propagate_cine(single, {0: _ring()[:1]}, Shifting())
    assert (found.labels[2] == _ring(18)[:1]).mean() > 0.99
    assert found.volumes_ml == {}
    assert found.function is None
    assert found.summary()["volumes_ml"] == found.summary()["ejection_fraction"] == {}
    assert "a single slice has no volume" in describe(found.summary())
    assert "ml" not in describe(found.summary()).replace("volumes", "")
    write_volume_table(tmp_path / "t.csv", single, found)
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == "frame,time_s,key_frame"
    assert lines[1:3] == ["0,0.00000,1", "1,0.04000,0"]
