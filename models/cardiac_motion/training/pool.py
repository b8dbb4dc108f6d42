"""Synthetic clips on disk: drawn once by all cores, then read as they are needed."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.atomic import atomic_path
from cardiac_motion.errors import CardiacMotionError, InputError
from cardiac_motion.motion_cache import default_cache_folder
from cardiac_motion.phantom.clips import PIXEL_MM, VIEWS, Clips, draw_clips
from cardiac_motion.phantom.views import ViewName
from cardiac_motion.progress import Progress, silent

CODE_VERSION = "9"
"""To be raised whenever `draw_clips` draws other clips from the same arguments."""

_ABANDONED_SECONDS = 3600.0


@dataclass(frozen=True)
class ClipArguments:
    """Arguments of `draw_clips` apart from seed and count; see there."""

    size: int = 160
    frames: int = 2
    step: float | None = None
    views: tuple[ViewName, ...] = ("sax",)
    random_contrast: float = 0.3
    varied: bool = True
    samples: int = 3

    def __post_init__(self) -> None:
        unknown = [view for view in self.views if view not in VIEWS]
        if self.size < 32 or self.frames < 1 or not self.views or unknown:
            raise InputError(
                f"expected clips of at least 32 pixels a side and 1 frame, of views among {', '.join(VIEWS)}; got "
                f"{self.size}, {self.frames} and {', '.join(self.views) or 'no view'}"
            )

    def draw(self, seed: int, count: int) -> Clips:
        """Clips of these arguments."""
        return draw_clips(seed, count, **vars(self))


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


class ClipPool:
    """N clips, in shards that are drawn when `make` is called and mapped into memory when they are read.

    Pools with other arguments have other folders, so that one that is there always is the one that was asked for.
    Several processes may make or read the same pool at once.

    Args:
        folder: for pools; None for the folder ``clips`` of the cache.
        seed: of the first shard; each further one has the next seed.
        clips: N; the last shard is drawn whole even if not all of it is used, so that a larger pool of the same
            seed holds the smaller one, and shares its files.
        shard: clips in a file.
        arguments: what is drawn.

    Raises:
        InputError: nothing to draw.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        seed: int,
        clips: int,
        shard: int = 128,
        arguments: ClipArguments = ClipArguments(),
    ) -> None:
        if clips < 1 or shard < 1 or seed < 0:
            raise InputError(
                f"expected at least 1 clip, 1 clip in a shard and a seed from 0, got {clips}, {shard} and {seed}"
            )
        self.seed, self.clips, self.shard, self.arguments = seed, clips, shard, arguments
        root = default_cache_folder() / "clips" if folder is None else Path(folder)
        self.folder = root / self.key[:16]
        self._open: dict[int, npt.NDArray[np.void]] = {}

    @property
    def settings(self) -> dict[str, Any]:
        """What the clips depend on, as JSON can hold it."""
        arguments = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self.arguments).items()}
        return {"seed": self.seed, "shard": self.shard, **arguments, "code_version": CODE_VERSION}

    @property
    def key(self) -> str:
        """SHA-256 over `settings`; the number of clips is no part of it."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()

    @property
    def shards(self) -> int:
        """How many files the clips take."""
        return -(-self.clips // self.shard)

    def __len__(self) -> int:
        return self.clips

    def __getstate__(self) -> dict[str, Any]:
        # Each process maps the files for itself.
        return {**self.__dict__, "_open": {}}

    def missing(self) -> list[int]:
        """Shards that are not there, or not whole."""
        return [number for number in range(self.shards) if not self._is_whole(number)]

    def make(self, *, workers: int | None = None, progress: Progress = silent) -> None:
        """Draw what is missing; what is drawn stays, however this ends.

        Args:
            workers: processes that draw; None for one on each core, 0 for this one alone.
            progress: called when a shard is done, and every second while processes draw.

        Raises:
            InputError: the folder cannot be written.
            CardiacMotionError: a process that draws has died.
            Cancelled: from the progress callback.
        """
        missing = self.missing()
        if not missing:
            return
        self._prepare_folder()
        workers = usable_cores() if workers is None else workers
        done = self.shards - len(missing)
        jobs = [(self._path(number), self.seed + number, self.shard, self.arguments) for number in missing]

        def report(finished: int) -> None:
            total = done + finished
            progress(total / self.shards, f"drawing synthetic hearts, {total * self.shard} clips")

        report(0)
        if workers == 0:
            for finished, job in enumerate(jobs, start=1):
                _draw_shard(*job)
                report(finished)
            return
        # Forked processes would inherit locks of the threads that torch may have by now.
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context)
        is_done = False
        try:
            futures = [executor.submit(_draw_shard, *job) for job in jobs]
            _follow(futures, report)
            is_done = True
        except BrokenProcessPool as error:
            raise CardiacMotionError(
                "a process that draws synthetic hearts has died, perhaps for want of memory; start again with "
                "fewer workers, what was drawn is kept"
            ) from error
        finally:
            # Who cancels need not wait for the shards that are being drawn; they are finished and kept.
            executor.shutdown(wait=is_done, cancel_futures=True)

    def read(self, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], int]:
        """Images and labels, each (T, Y, X), and the view's index of a clip; see `Clips`.

        Raises:
            IndexError: no such clip.
            InputError: its shard has not been made, or is damaged.
        """
        if not 0 <= index < self.clips:
            raise IndexError(f"expected a clip from 0 to {self.clips - 1}, got {index}")
        number, place = divmod(index, self.shard)
        if number not in self._open:
            self._open[number] = self._load(number)
        records = self._open[number]
        return records["images"][place], records["labels"][place], int(records["view"][place])

    def _path(self, number: int) -> Path:
        return self.folder / f"clips_{number:05d}.npy"

    def _load(self, number: int) -> npt.NDArray[np.void]:
        path = self._path(number)
        try:
            records = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise InputError(
                f"expected synthetic clips in {path}, there is no such file; make the pool"
            ) from error
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"the synthetic clips in {path} cannot be read ({error}); remove the file") from error
        expected = (_record(self.arguments), (self.shard,))
        if (records.dtype, records.shape) != expected:
            raise InputError(f"the clips in {path} are not what the file's name says; remove the file")
        return records

    def _is_whole(self, number: int) -> bool:
        # A mapped file that is shorter than its header says is refused, without reading it.
        try:
            self._load(number)
        except InputError:
            return False
        return True

    def _prepare_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {self.folder} for synthetic clips: {error}") from error
        for path in self.folder.glob(".*clips_*.npy"):
            # Left by processes that were killed while they wrote.
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()
        with atomic_path(self.folder / "pool.json") as path:
            path.write_text(json.dumps({**self.settings, "pixel_mm": PIXEL_MM}, indent=2) + "\n", encoding="utf-8")


def _record(arguments: ClipArguments) -> np.dtype[np.void]:
    clip = (arguments.frames, arguments.size, arguments.size)
    return np.dtype([("images", np.uint8, clip), ("labels", np.uint8, clip), ("view", np.uint8)])


def _draw_shard(path: Path, seed: int, count: int, arguments: ClipArguments) -> None:
    """Draw a shard and write it, whole or not at all."""
    clips = arguments.draw(seed, count)
    records = np.empty(count, _record(arguments))
    records["images"], records["labels"], records["view"] = clips.images, clips.labels, clips.views
    with atomic_path(path) as temporary:
        np.save(temporary, records, allow_pickle=False)


def _follow(futures: Sequence[Future[None]], report: Callable[[int], None]) -> None:
    """Report every second until all are done; the first error ends it."""
    waiting = set(futures)
    while waiting:
        try:
            for future in as_completed(waiting, timeout=1.0):
                waiting.discard(future)
                future.result()
                report(len(futures) - len(waiting))
        except TimeoutError:
            report(len(futures) - len(waiting))
