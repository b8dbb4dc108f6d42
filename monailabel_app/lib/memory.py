"""Motions that are held ready, so that a corrected contour takes a fraction of a second."""

from __future__ import annotations

import threading
from collections import OrderedDict

from cardiac_motion.motion import Motion
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.pipeline import KnownMotion


class KnownMotions:
    """Motions by key: those used last in memory, all of them in the cache on disk. Threads may share it.

    Args:
        cache: on disk.
        max_bytes: in memory, with what is kept to carry labels quickly; the motion used last is held in any case.
    """

    def __init__(self, cache: MotionCache, max_bytes: int) -> None:
        self._cache, self._max_bytes = cache, max_bytes
        self._held: OrderedDict[str, KnownMotion] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def on_disk(self) -> MotionCache:
        """The cache, for work that needs a motion once."""
        return self._cache

    def get(self, key: str) -> KnownMotion | None:
        """The motion of a key, or None where it has not been estimated yet."""
        with self._lock:
            known = self._held.get(key)
            if known is not None:
                self._held.move_to_end(key)
                return known
        motion = self._cache.get(key)
        return None if motion is None else self._hold(key, motion)

    def put(self, key: str, motion: Motion) -> KnownMotion:
        """Keep a motion that was just estimated."""
        self._cache.put(key, motion)
        return self._hold(key, motion)

    def trim(self) -> None:
        """Let go of the motions used longest ago, where all together have grown beyond the limit."""
        with self._lock:
            while len(self._held) > 1 and sum(known.nbytes for known in self._held.values()) > self._max_bytes:
                self._held.popitem(last=False)

    def _hold(self, key: str, motion: Motion) -> KnownMotion:
        with self._lock:
            # Two requests may have read the same file: the first one's is kept, so that they share it.
            known = self._held.setdefault(key, KnownMotion(motion))
            self._held.move_to_end(key)
        self.trim()
        return known
