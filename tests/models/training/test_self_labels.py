"""Labels that a model finds itself: trusted where segmentation and motion agree, left out where they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.datasets import Case, CaseData
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.motion import Motion
from cardiac_motion.segmentation.base import Segmentation
from cardiac_motion.training.case_task import case_task
from cardiac_motion.training.self_labels import (
    SelfLabelled,
    agreed_labels,
    read_samples,
    self_labelled,
    write_samples,
)

from tests.models.training.conftest import tiny_recipe

FRAMES, SLICES, SIZE = 5, 3, 64
STRUCTURES = (Label.RV, Label.MYO, Label.LV)
Labels = npt.NDArray[np.uint8]


def heart() -> Labels:
    """A ring of wall around a pool, the same in all slices, a pixel wider in frame 0 than in frame 2."""
    y, x = np.mgrid[:SIZE, :SIZE]
    labels = np.zeros((FRAMES, SLICES, SIZE, SIZE), np.uint8)
    for t, radius in enumerate((12.9, 12.5, 12.0, 12.3, 12.6)):
        away = np.hypot(y - 30, x - 34)
        labels[t] = np.where(away < radius, Label.LV, np.where(away < radius + 7, Label.MYO, 0))
    return labels


def cine(name: str = "ring") -> Cine:
    rng = np.random.default_rng(0)
    images = 40.0 * heart() + rng.normal(0, 3, (FRAMES, SLICES, SIZE, SIZE))
    return Cine(images.astype(np.float32), np.diag([1.4, 1.4, 9, 1.0]), 0.04 * np.arange(FRAMES), name=name)


def still(of: Cine) -> Motion:
    nothing = np.zeros((of.n_frames, 3, *of.shape[1:]), np.float32)
    about: dict[str, Any] = {"affine": of.affine, "frame_times": of.frame_times}
    return Motion(nothing, nothing, reference=0, model="still", version="1", image_hash=of.content_hash, **about)


def test_what_both_ways_find_is_kept() -> None:
    found = agreed_labels(heart(), still(cine()), STRUCTURES)
    assert found.kept.all()
    # Two of three ways: segmented, carried from frame 0, carried from frame 2.
    expected = np.where(heart()[0] == heart()[2], heart()[0], heart())
    np.testing.assert_array_equal(found.labels, expected)


def _forget(labels: Labels) -> None:
    labels[3, 1][labels[3, 1] == Label.MYO] = 0


def _elsewhere(labels: Labels) -> None:
    labels[3, 1] = np.roll(labels[3, 1], 9, axis=-1)


def _more(labels: Labels) -> None:
    # The other structures are as they should be.
    labels[3, 1, 2:6, 2:6] = Label.RV


@pytest.mark.parametrize("change", [_forget, _elsewhere, _more])
def test_a_slice_on_which_they_disagree_is_left_out(change: Callable[[Labels], None]) -> None:
    labels = heart()
    change(labels)
    kept = agreed_labels(labels, still(cine()), STRUCTURES).kept
    assert not kept[3, 1]
    assert kept.sum() == kept.size - 1


def test_an_error_at_end_systole_spoils_no_other_slice_and_is_seen_itself() -> None:
    labels = heart()
    labels[2, 0] = 0
    kept = agreed_labels(labels, still(cine()), STRUCTURES).kept
    # All frames of that slice: what end-systole's labels carry is in none of them.
    assert not kept[:, 0].any()
    assert kept[:, 1:].all()


def test_a_slice_without_anything_is_left_out() -> None:
    labels = heart()
    labels[:, 2] = 0
    kept = agreed_labels(labels, still(cine()), STRUCTURES).kept
    assert not kept[:, 2].any()
    assert kept[:, :2].all()


def test_it_asks_for_the_agreement_that_it_is_given() -> None:
    labels = heart()
    labels[4, 0] = np.roll(labels[4, 0], 2, axis=-1)
    assert agreed_labels(labels, still(cine()), STRUCTURES, least=0.6).kept[4, 0]
    assert not agreed_labels(labels, still(cine()), STRUCTURES, least=0.95).kept[4, 0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [(0 * heart(), "no left ventricle was found"), (heart()[[0] * FRAMES], "as large in all frames")],
)
def test_without_a_beating_ventricle_there_is_nothing_to_agree_on(labels: Labels, message: str) -> None:
    with pytest.raises(InputError, match=message):
        agreed_labels(labels, still(cine()), STRUCTURES)


class _Knows:
    """A segmentation model that has the answer, but for one slice; and a motion model that finds none."""

    name, version, views, weights_checksum, default_options = "knows", "1", ("sax",), None, None

    def segment(self, cine: Cine, *, progress: Any, **_: Any) -> Segmentation:
        labels = heart() * np.uint8(cine.name != "hidden")
        _elsewhere(labels)
        progress(1.0, "segmented")
        return Segmentation(tuple(range(FRAMES)), labels, STRUCTURES, "knows", "1")

    def estimate(self, cine: Cine, *, progress: Any, **_: Any) -> Motion:
        progress(1.0, "estimated")
        return still(cine)


def _case(name: str, read: Callable[[], CaseData], view: str | None = "sax") -> Case:
    return Case(name, name, has_labels=False, read=read, view=view)


def _found(cases: Sequence[Case], **arguments: Any) -> SelfLabelled:
    model: Any = _Knows()
    return self_labelled(cases, model, size=64, estimator=model, **arguments)


def test_samples_are_the_slices_that_are_kept(tmp_path: Path) -> None:
    fractions: list[float] = []
    cases = [
        _case("ring", lambda: CaseData(cine())),
        _case("hidden", lambda: CaseData(cine("hidden"))),
        _case("four chambers", lambda: pytest.fail("another view"), "4ch"),
    ]
    found = _found(cases, frames=3, progress=lambda fraction, _message: fractions.append(fraction))
    assert (len(found.samples), found.slices, found.cines) == (FRAMES * SLICES - 1, FRAMES * SLICES, 1)
    assert found.left_out == ("hidden: no left ventricle was found in any frame",)
    assert fractions == sorted(fractions)
    assert all(0 < fraction <= 1 for fraction in fractions)
    for sample in found.samples:
        assert sample.images.shape == (3, 64, 64)
        assert sample.known == frozenset(STRUCTURES)
        # Labels lie on the image that they belong to.
        assert (
            sample.images[1][sample.labels == Label.LV].mean() > sample.images[1][sample.labels == 0].mean() + 100
        )
    write_samples(tmp_path / "own.npz", found)
    again = read_samples(tmp_path / "own.npz")
    assert (len(again.samples), again.slices, again.cines) == (len(found.samples), found.slices, found.cines)
    assert again.left_out == found.left_out
    about = case_task(tiny_recipe(), own=again).about
    assert "Trained on 14 slices of 1 cines" in about
    assert "Nothing was learnt from hidden: no left ventricle was found in any frame." in about
    for one, other in zip(found.samples, again.samples, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, other.labels)
        assert (one.view, one.known) == (other.view, other.known)


def test_nothing_to_learn_from_is_one_error() -> None:
    with pytest.raises(InputError, match="got none: a: no left ventricle was found in any frame"):
        _found([_case("a", lambda: CaseData(cine("hidden")))])
    with pytest.raises(InputError, match="got none: there is no such cine"):
        _found([_case("a", lambda: CaseData(cine()), "2ch")])


def test_labels_that_cannot_be_read_again_are_one_error(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    with pytest.raises(InputError, match="the run was started with"):
        read_samples(path)
    write_samples(path, _found([_case("ring", lambda: CaseData(cine()))]))
    content = path.read_bytes()
    for damaged in (b"", content[: len(content) // 2], content[:100] + b"\0" * 50 + content[150:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read"):
            read_samples(path)
