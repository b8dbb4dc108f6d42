"""The cache of motions: exact, bounded, and used by several processes at once."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.motion import Motion
from cardiac_motion.motion_cache import MotionCache, cache_key, default_cache_folder


def key_of(number: int) -> str:
    return cache_key(
        image_hash=f"{number:064x}", model="m", weights_checksum=None, code_version="1", reference=0, settings={}
    )


def numbered_motion(number: int, *, size: int = 16, in_plane: bool = True) -> Motion:
    """Its every displacement tells which one it is."""
    fields = np.zeros((3, 3, 2, size, size), np.float32)
    fields[1:, 1 if in_plane else 0 :, :, 4:-2, 3:-3] = number + 0.5
    return Motion(
        fields,
        -fields,
        reference=0,
        affine=np.diag([1.25, 1.5, 8.0, 1.0]),
        frame_times=np.array([0.0, 0.04, 0.09]),
        model="m",
        version="1.0",
        image_hash=f"{number:064x}",
        settings={"levels": [2, 3]},
        inverse_residual_mm=0.125,
    )


def assert_same(a: Motion | None, b: Motion) -> None:
    assert a is not None
    for name in ("to_reference", "from_reference", "affine", "frame_times"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("reference", "model", "version", "image_hash", "settings", "inverse_residual_mm"):
        assert getattr(a, name) == getattr(b, name)


class TestKey:
    def test_every_part_counts(self) -> None:
        parts: dict[str, Any] = {
            "image_hash": "a",
            "model": "recursive",
            "weights_checksum": None,
            "code_version": "1",
            "reference": 0,
            "settings": {"levels": 2, "similarity": "ssim"},
        }
        other: dict[str, Any] = {
            "image_hash": "b",
            "model": "joint",
            "weights_checksum": "c",
            "code_version": "2",
            "reference": 1,
            "settings": {"levels": 3, "similarity": "ssim"},
        }
        keys = {cache_key(**parts)} | {cache_key(**(parts | {name: other[name]})) for name in parts}
        assert len(keys) == 7

    def test_the_order_of_settings_does_not(self) -> None:
        keys = {
            cache_key(image_hash="", model="", weights_checksum="", code_version="", reference=0, settings=s)
            for s in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
        }
        assert len(keys) == 1

    def test_settings_that_cannot_be_told_apart_are_refused(self) -> None:
        for settings in ({"a": object()}, {"a": float("nan")}):
            with pytest.raises(InputError, match="JSON"):
                cache_key(
                    image_hash="", model="", weights_checksum="", code_version="", reference=0, settings=settings
                )


class TestEntries:
    @pytest.mark.parametrize("in_plane", [True, False])
    def test_come_back_without_loss(self, tmp_path: Path, disc: Any, in_plane: bool) -> None:
        cache = MotionCache(tmp_path / "cache")
        for number, motion in enumerate((disc.motion(), numbered_motion(1, in_plane=in_plane))):
            assert cache.get(key_of(number)) is None
            assert cache.put(key_of(number), motion)
            assert_same(cache.get(key_of(number)), motion)

    def test_of_a_heart_that_does_not_move(self, tmp_path: Path) -> None:
        still = numbered_motion(0)
        still = Motion(0 * still.to_reference, 0 * still.to_reference, **{
            name: getattr(still, name)
            for name in ("reference", "affine", "frame_times", "model", "version", "image_hash")
        })  # fmt: skip
        cache = MotionCache(tmp_path)
        cache.put(key_of(0), still)
        assert_same(cache.get(key_of(0)), still)

    def test_hold_only_what_moves(self, tmp_path: Path) -> None:
        MotionCache(tmp_path).put(key_of(1), numbered_motion(1, size=128))
        small = numbered_motion(1, size=128)
        moving = 2 * 3 * 2 * 2 * 122 * 122 * 4
        size = (tmp_path / f"{key_of(1)}.npz").stat().st_size
        assert moving <= size < moving + 4096
        assert size < (small.to_reference.nbytes + small.from_reference.nbytes) * 0.65

    def test_estimated_once(self, tmp_path: Path) -> None:
        calls = []

        def estimate() -> Motion:
            calls.append(1)
            return numbered_motion(3)

        cache = MotionCache(tmp_path)
        for _ in range(3):
            assert_same(cache.get_or_estimate(key_of(3), estimate), numbered_motion(3))
        assert len(calls) == 1

    def test_a_name_is_no_path(self, tmp_path: Path) -> None:
        cache = MotionCache(tmp_path)
        for key in ("../" + "a" * 61, "A" * 64, "a" * 63, ""):
            with pytest.raises(InputError, match="SHA-256"):
                cache.get(key)


class TestDamage:
    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: b"",
            lambda content: content[: len(content) // 2],
            lambda content: content[:-10],
            lambda content: content[:3000] + bytes([content[3000] ^ 1]) + content[3001:],
            lambda content: b"not an archive at all",
        ],
        ids=["empty", "half", "almost whole", "one bit", "another kind"],
    )
    def test_counts_as_absent_and_is_removed(
        self, tmp_path: Path, damage: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache = MotionCache(tmp_path)
        cache.put(key_of(1), numbered_motion(1))
        path = tmp_path / f"{key_of(1)}.npz"
        path.write_bytes(damage(path.read_bytes()))
        with caplog.at_level(logging.WARNING):
            assert cache.get(key_of(1)) is None
        assert "damaged" in caplog.text
        assert not path.exists()
        assert_same(cache.get_or_estimate(key_of(1), lambda: numbered_motion(1)), numbered_motion(1))

    def test_a_file_under_another_name_is_not_believed(self, tmp_path: Path) -> None:
        cache = MotionCache(tmp_path)
        cache.put(key_of(1), numbered_motion(1))
        (tmp_path / f"{key_of(1)}.npz").rename(tmp_path / f"{key_of(2)}.npz")
        assert cache.get(key_of(2)) is None

    def test_a_cache_that_cannot_be_written_loses_no_motion(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        cache = MotionCache(tmp_path / "file" / "cache")
        with caplog.at_level(logging.WARNING):
            assert_same(cache.get_or_estimate(key_of(1), lambda: numbered_motion(1)), numbered_motion(1))
        assert "could not be kept" in caplog.text


class TestUnreadable:
    def test_is_no_damage(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache = MotionCache(tmp_path)
        cache.put(key_of(1), numbered_motion(1))

        def refuse(*args: object, **kwargs: object) -> None:
            raise PermissionError(13, "Permission denied")

        with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
            patch.setattr(Path, "open", refuse)
            assert cache.get(key_of(1)) is None
        assert "could not be read" in caplog.text
        assert "damaged" not in caplog.text
        assert_same(cache.get(key_of(1)), numbered_motion(1))

    def test_a_file_in_place_of_the_folder_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("mine")
        monkeypatch.setenv("CARDIAC_MOTION_CACHE", str(tmp_path / "file"))
        with caplog.at_level(logging.WARNING):
            assert_same(MotionCache().get_or_estimate(key_of(1), lambda: numbered_motion(1)), numbered_motion(1))
        assert "damaged" not in caplog.text
        assert (tmp_path / "file").read_text() == "mine"


class TestLog:
    """A studies folder may be named after a patient, and the server logs what the cache does."""

    @pytest.mark.parametrize("trouble", ["unreadable", "damaged", "of another key", "not writable"])
    def test_names_the_kind_of_trouble_and_no_place(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: str
    ) -> None:
        folder = tmp_path / "Mustermann"
        cache = MotionCache(folder)
        path = folder / f"{key_of(1)}.npz"
        if trouble == "not writable":
            folder.write_text("in the way")
        else:
            cache.put(key_of(1), numbered_motion(1))
        if trouble == "damaged":
            path.write_bytes(b"PK")
        elif trouble == "of another key":
            path.rename(folder / f"{key_of(2)}.npz")

        def refuse(self: Path, *args: object, **kwargs: object) -> None:
            raise PermissionError(13, "Permission denied", str(self))

        with monkeypatch.context() as patch, caplog.at_level(logging.DEBUG):
            if trouble == "unreadable":
                patch.setattr(Path, "open", refuse)
            if trouble == "not writable":
                assert not cache.put(key_of(1), numbered_motion(1))
            else:
                assert cache.get(key_of(2 if trouble == "of another key" else 1)) is None
        (record,) = caplog.records
        assert re.search(r": \w*(Error|BadZipFile)$", record.getMessage())
        assert not any(word in caplog.text for word in ("Mustermann", str(tmp_path), key_of(1), key_of(2)))


class TestBound:
    def test_the_least_recently_used_go_first(self, tmp_path: Path) -> None:
        MotionCache(tmp_path).put(key_of(0), numbered_motion(0))
        size = (tmp_path / f"{key_of(0)}.npz").stat().st_size
        cache = MotionCache(tmp_path, max_bytes=3 * size + size // 2)
        for number in (1, 2):
            cache.put(key_of(number), numbered_motion(number))
        for number in range(3):
            os.utime(tmp_path / f"{key_of(number)}.npz", (1000 + number, 1000 + number))
        assert cache.get(key_of(0)) is not None
        cache.put(key_of(3), numbered_motion(3))
        assert [cache.get(key_of(number)) is not None for number in range(4)] == [True, False, True, True]
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= cache.max_bytes

    def test_what_is_larger_than_the_whole_cache_is_not_kept(self, tmp_path: Path) -> None:
        cache = MotionCache(tmp_path, max_bytes=30_000)
        assert cache.put(key_of(0), numbered_motion(0))
        assert not cache.put(key_of(1), numbered_motion(1, size=64))
        assert cache.get(key_of(0)) is not None
        with pytest.raises(InputError, match="negative"):
            MotionCache(tmp_path, max_bytes=-1)

    def test_leftovers_of_killed_processes_are_cleared_away(self, tmp_path: Path) -> None:
        old, new = tmp_path / ".dead-x.npz", tmp_path / ".live-x.npz"
        for path in (old, new):
            path.write_bytes(b"half a motion")
        os.utime(old, (1000, 1000))
        MotionCache(tmp_path).put(key_of(0), numbered_motion(0))
        assert not old.exists()
        assert new.exists()


class TestFolder:
    def test_is_named_by_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CARDIAC_MOTION_CACHE", str(tmp_path / "mine"))
        assert MotionCache().folder == tmp_path / "mine"

    @pytest.mark.parametrize(
        ("platform", "variable", "parts"),
        [
            ("linux", "XDG_CACHE_HOME", ("cardiac-motion",)),
            ("win32", "LOCALAPPDATA", ("cardiac-motion", "Cache")),
        ],
    )
    def test_is_the_users_cache_otherwise(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, variable: str, parts: tuple[str, ...]
    ) -> None:
        monkeypatch.delenv("CARDIAC_MOTION_CACHE", raising=False)
        monkeypatch.setattr("sys.platform", platform)
        monkeypatch.setenv(variable, str(tmp_path))
        assert default_cache_folder() == tmp_path.joinpath(*parts)
        monkeypatch.delenv(variable)
        assert Path.home() in default_cache_folder().parents

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
    def test_is_the_users_alone(self, tmp_path: Path) -> None:
        MotionCache(tmp_path / "cache").put(key_of(0), numbered_motion(0))
        assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


def hammer(folder: Path, seed: int, rounds: int) -> int:
    """Read and write a few keys in random order; returns how many reads found something, all of them right."""
    rng = np.random.default_rng(seed)
    cache = MotionCache(folder, max_bytes=60_000)
    found = 0
    for number in rng.integers(0, 8, size=rounds):
        motion = cache.get(key_of(int(number)))
        if motion is None:
            cache.put(key_of(int(number)), numbered_motion(int(number)))
        else:
            assert_same(motion, numbered_motion(int(number)))
            found += 1
    return found


class TestTogether:
    """Room for four of eight motions, so that every process removes what the others are reading."""

    def test_two_processes(self, tmp_path: Path) -> None:
        command = [sys.executable, __file__, str(tmp_path)]
        processes = [
            subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for seed in (1, 2)
        ]
        for process in processes:
            output, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
            assert "damaged" not in errors
            assert int(output) > 10
        self.check_folder(tmp_path)

    def test_threads(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING), ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda seed: hammer(tmp_path, seed, 60), range(4)))
        assert min(found) > 5
        # What is whole on disk is never taken for damaged.
        assert "damaged" not in caplog.text
        self.check_folder(tmp_path)

    @staticmethod
    def check_folder(folder: Path) -> None:
        names = [path.name for path in folder.iterdir()]
        assert names
        assert all(len(name) == 68 and not name.startswith(".") for name in names)
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 60_000


if __name__ == "__main__":
    print(hammer(Path(sys.argv[1]), int(sys.argv[2]), 150))
