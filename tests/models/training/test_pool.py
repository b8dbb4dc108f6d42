"""Synthetic clips on disk. A small one takes a second to draw, so that one pool serves most tests."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.errors import Cancelled, InputError
from cardiac_motion.phantom.clips import draw_clips
from cardiac_motion.training import pool as pool_module
from cardiac_motion.training.pool import ClipArguments, ClipPool
from cardiac_motion.training.sources import PoolSource

SMALL = ClipArguments(size=32, frames=3, step=0.04)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pools")
    ClipPool(path, seed=5, clips=3, shard=2, arguments=SMALL).make(workers=0)
    return path


def test_a_pool_holds_what_is_drawn(folder: Path) -> None:
    pool = ClipPool(folder, seed=5, clips=3, shard=2, arguments=SMALL)
    assert pool.missing() == []
    for shard in (0, 1):
        drawn = draw_clips(5 + shard, 2, size=32, frames=3, step=0.04)
        for place in range(2 - shard):
            images, labels, view = pool.read(2 * shard + place)
            assert isinstance(images, np.memmap)
            np.testing.assert_array_equal(images, drawn.images[place])
            np.testing.assert_array_equal(labels, drawn.labels[place])
            assert view == drawn.views[place]
    with pytest.raises(IndexError, match="from 0 to 2, got 3"):
        pool.read(3)


def test_samples_are_windows_with_the_label_of_their_middle(folder: Path) -> None:
    pool = ClipPool(folder, seed=5, clips=3, shard=2, arguments=SMALL)
    whole, single = PoolSource(pool, 3), PoolSource(pool, 1)
    assert (len(whole), len(single)) == (3, 9)
    np.testing.assert_array_equal(whole[1].labels, pool.read(1)[1][1])
    np.testing.assert_array_equal(single[5].images[0], pool.read(1)[0][2])
    np.testing.assert_array_equal(single[5].labels, pool.read(1)[1][2])
    assert whole.identity != single.identity
    again = pickle.loads(pickle.dumps(whole))
    np.testing.assert_array_equal(again[2].images, whole[2].images)
    for frames in (2, 5):
        with pytest.raises(InputError, match="an odd number of frames up to 3"):
            PoolSource(pool, frames)


def test_only_what_is_missing_is_drawn_and_a_larger_pool_has_the_smaller_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def draw(self: ClipArguments, seed: int, count: int) -> object:
        drawn.append(seed)
        return draw_clips(seed, count, size=self.size, frames=self.frames, step=self.step)

    monkeypatch.setattr(ClipArguments, "draw", draw)
    ClipPool(folder, seed=5, clips=4, shard=2, arguments=SMALL).make(workers=0)
    assert drawn == []
    larger = ClipPool(folder, seed=5, clips=5, shard=2, arguments=SMALL)
    assert larger.missing() == [2]
    # One is cut off, as by a full disk, and one was left by a process that was killed.
    first = larger.folder / "clips_00000.npy"
    whole = first.read_bytes()
    first.write_bytes(whole[:-100])
    left = larger.folder / ".abcd-clips_00001.npy"
    left.write_bytes(b"half")
    os.utime(left, (time.time() - 7200,) * 2)
    fractions: list[float] = []
    larger.make(workers=0, progress=lambda fraction, _message: fractions.append(fraction))
    assert drawn == [5, 7]
    assert fractions == pytest.approx([1 / 3, 2 / 3, 1])
    assert first.read_bytes() == whole
    assert not left.exists()


def test_processes_draw_the_same_clips_and_stop_when_asked(folder: Path, tmp_path: Path) -> None:
    def stop(fraction: float, _message: str) -> None:
        if fraction > 0:
            raise Cancelled

    pool = ClipPool(tmp_path, seed=5, clips=4, shard=2, arguments=SMALL)
    with pytest.raises(Cancelled):
        pool.make(workers=1, progress=stop)
    # The one that was drawn is kept, and the one that was being drawn may come yet.
    assert 0 not in pool.missing()
    other = ClipPool(folder, seed=5, clips=2, shard=2, arguments=SMALL)
    np.testing.assert_array_equal(pool.read(1)[0], other.read(1)[0])


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 6},
        {"shard": 3},
        {"arguments": ClipArguments(size=40, frames=3, step=0.04)},
        {"arguments": ClipArguments(size=32, frames=3, step=0.04, varied=False)},
        {"arguments": ClipArguments(size=32, frames=3, step=0.04, views=("sax", "4ch"))},
    ],
)
def test_other_clips_have_other_folders(
    tmp_path: Path, other: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"seed": 5, "shard": 2, "arguments": SMALL}
    first = ClipPool(tmp_path, clips=4, **given)
    assert ClipPool(tmp_path, clips=9, **given).folder == first.folder
    assert ClipPool(tmp_path, clips=4, **(given | other)).folder != first.folder
    monkeypatch.setattr(pool_module, "CODE_VERSION", "other")
    assert ClipPool(tmp_path, clips=4, **given).folder != first.folder


def test_by_default_it_is_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDIAC_MOTION_CACHE", str(tmp_path))
    assert ClipPool(seed=0, clips=1).folder.parent == tmp_path / "clips"


def test_what_cannot_be_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected synthetic clips in .*no such file"):
        ClipPool(tmp_path, seed=5, clips=3, arguments=SMALL).read(0)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        ClipPool(tmp_path / "file", seed=5, clips=1, arguments=SMALL).make(workers=0)
    with pytest.raises(InputError, match="at least 1 clip"):
        ClipPool(tmp_path, seed=5, clips=0)
    with pytest.raises(InputError, match="views among sax, 2ch, 3ch, 4ch; got"):
        ClipArguments(views=("top",))  # type: ignore[arg-type]
