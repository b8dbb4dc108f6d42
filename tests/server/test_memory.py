"""Motions held in memory: shared, bounded, and on disk when they have been dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cardiac_motion.motion import Motion
from cardiac_motion.motion_cache import MotionCache

from monailabel_app.lib.memory import KnownMotions


def motion(seed: int) -> Motion:
    field = np.random.default_rng(seed).normal(size=(3, 3, 1, 8, 8)).astype(np.float32)
    field[0] = 0
    return Motion.from_to_reference(
        field,
        reference=0,
        affine=np.eye(4),
        frame_times=np.arange(3.0),
        model="m",
        version="1",
        image_hash=str(seed),
    )


def test_what_was_used_last_stays_and_the_rest_comes_from_disk(tmp_path: Path) -> None:
    keys = [f"{number:064x}" for number in range(3)]
    size = 3 * (motion(0).to_reference.nbytes)
    motions = KnownMotions(MotionCache(tmp_path), max_bytes=2 * size)
    assert motions.get(keys[0]) is None
    held = [motions.put(key, motion(number)) for number, key in enumerate(keys[:2])]
    assert motions.get(keys[0]) is held[0]
    motions.put(keys[2], motion(2))
    assert motions.get(keys[0]) is held[0]
    again = motions.get(keys[1])
    assert again is not None
    assert again is not held[1]
    assert (again.motion.to_reference == held[1].motion.to_reference).all()


def test_a_motion_larger_than_the_memory_is_held_while_it_is_the_last(tmp_path: Path) -> None:
    motions = KnownMotions(MotionCache(tmp_path), max_bytes=1)
    one, other = f"{1:064x}", f"{2:064x}"
    first = motions.put(one, motion(1))
    assert motions.get(one) is first
    motions.put(other, motion(2))
    assert motions.get(one) is not first
