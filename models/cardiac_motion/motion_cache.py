"""Motions that were estimated before, on disk, bounded, and safe when several processes use it at once.

An entry is a ``.npz`` file, named after its key. Displacements are kept as float32, without loss, so that a
motion from the cache gives the same labels and strain as one estimated anew. float16 would halve the file but
is off by up to 0.004 mm at 8 to 16 mm, which is 0.5 % of strain between neighbouring pixels of 1.5 mm. What takes
no room is left out instead: the part of the grid where nothing moves, and z where the motion is in-plane.

Files appear whole (written under another name, then renamed), and every operation allows for files that another
process has just replaced or removed. Nothing is ever locked.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import struct
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.atomic import atomic_path
from cardiac_motion.errors import InputError
from cardiac_motion.io.image_file import check_voxel_count
from cardiac_motion.motion import FloatField, Motion

DEFAULT_MAX_BYTES = 4 * 2**30
"""Room for about 60 studies of 25 frames of 10 slices, cropped to 128 x 128 around the heart."""

_FORMAT_VERSION = 1
_ABANDONED_SECONDS = 3600.0
_FIELDS = ("to_reference", "from_reference")
_ARRAYS = ("about", "affine", "frame_times", *_FIELDS)
_DAMAGE = (
    zipfile.BadZipFile, ArithmeticError, AttributeError, EOFError, LookupError, RuntimeError, TypeError,
    ValueError, struct.error,
)  # fmt: skip
"""What a damaged file may lead to; InputError is a ValueError, nesting too deep a RuntimeError."""
_NPY = re.compile(
    rb"\x93NUMPY[\x01-\x03]\0.{2,4}?\{'descr': '(<f[48]|<U\d{1,9})', 'fortran_order': (False|True), "
    rb"'shape': \(((?:\d{1,9}, ?)*\d{0,9})\), \} *\n",
    re.DOTALL,
)
"""Head of an array as numpy writes those of a motion; numpy reads any, by a parser of Python."""

_log = logging.getLogger(__name__)


def cache_key(
    *,
    image_hash: str,
    model: str,
    weights_checksum: str | None,
    code_version: str,
    reference: int,
    settings: dict[str, Any],
) -> str:
    """SHA-256, in hexadecimal, over everything that a motion depends on.

    Args:
        image_hash: `Cine.content_hash`.
        model: name of the model.
        weights_checksum: of the model's weights; None for a model without weights.
        code_version: of the model's code.
        reference: the reference frame.
        settings: the model's options; whatever JSON can hold. Their order does not matter.
    """
    parts = [_FORMAT_VERSION, image_hash, model, weights_checksum, code_version, reference, settings]
    try:
        text = json.dumps(parts, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"settings must be what JSON can hold: {error}") from error
    return hashlib.sha256(text.encode()).hexdigest()


def default_cache_folder() -> Path:
    """The folder named by CARDIAC_MOTION_CACHE, else the user's cache folder of this platform."""
    named = os.environ.get("CARDIAC_MOTION_CACHE")
    if named:
        return Path(named)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "cardiac-motion" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "cardiac-motion"
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "cardiac-motion"


class MotionCache:
    """Motions by key, in a folder that stays within a number of bytes; the least recently used go first.

    Threads and processes may share the folder. A file that is damaged counts as absent and is removed. A cache
    that cannot be written is no reason to lose a motion: that is logged, and nothing is kept.

    Args:
        folder: made when first needed; by default `default_cache_folder`.
        max_bytes: of all entries together.
    """

    def __init__(self, folder: Path | str | None = None, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        if max_bytes < 0:
            raise InputError(f"max_bytes must not be negative, got {max_bytes}")
        self.folder = default_cache_folder() if folder is None else Path(folder)
        self.max_bytes = max_bytes

    def get(self, key: str) -> Motion | None:
        """The motion kept under a key, or None."""
        path = self._path(key)
        try:
            motion = _read(path, key)
        except FileNotFoundError:
            return None
        except (OSError, MemoryError) as error:
            # No permission, no memory, a share that is away: nothing of that says that the file is bad.
            _log.warning("a motion in the cache could not be read: %s", _kind(error))
            return None
        except _DAMAGE as error:
            _log.warning("a damaged file in the cache of motions is removed: %s", _kind(error))
            with suppress(OSError):
                path.unlink()
            return None
        # The time of change stands for the last use, since many systems do not keep the time of access.
        with suppress(OSError):
            os.utime(path)
        return motion

    def put(self, key: str, motion: Motion) -> bool:
        """Keep a motion under a key, and remove the least recently used beyond `max_bytes`.

        Returns:
            Whether it was kept: not if it is larger than the whole cache, or if the disk cannot be written.
        """
        path = self._path(key)
        entry = _entry(key, motion)
        if sum(array.nbytes for array in entry.values()) > self.max_bytes:
            return False
        try:
            # Images of patients can be guessed at from their motion: the folder is the user's alone.
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, **entry)
        except (InputError, OSError) as error:
            _log.warning("a motion could not be kept in the cache: %s", _kind(error))
            return False
        self._evict()
        return True

    def get_or_estimate(self, key: str, estimate: Callable[[], Motion]) -> Motion:
        """The motion kept under a key; where there is none, the one that `estimate` gives, which is then kept."""
        motion = self.get(key)
        if motion is None:
            motion = estimate()
            self.put(key, motion)
        return motion

    def _path(self, key: str) -> Path:
        if not (len(key) == 64 and set(key) <= set("0123456789abcdef")):
            raise InputError(f"a key is a SHA-256 in hexadecimal, as cache_key makes it, got {key!r}")
        return self.folder / f"{key}.npz"

    def _evict(self) -> None:
        entries: list[tuple[int, int, Path]] = []
        with suppress(OSError):
            for path in self.folder.glob("*.npz"):
                with suppress(OSError):
                    status = path.stat()
                    if path.name.startswith("."):
                        # What a process that was killed while writing has left.
                        if time.time() - status.st_mtime > _ABANDONED_SECONDS:
                            path.unlink()
                    else:
                        entries.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.max_bytes:
                return
            with suppress(OSError):
                path.unlink(missing_ok=True)
                total -= size


def _kind(error: Exception) -> str:
    """What a log may hold of an error: its text may name the folder, and that a patient."""
    return type(error.__cause__ or error).__name__


def _entry(key: str, motion: Motion) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file."""
    box = _moving_box(motion)
    first = 1 if motion.is_in_plane else 0
    about = {
        "key": key,
        "shape": motion.shape,
        "start": [part.start for part in box],
        "reference": motion.reference,
        "model": motion.model,
        "version": motion.version,
        "image_hash": motion.image_hash,
        "settings": motion.settings,
        "inverse_residual_mm": motion.inverse_residual_mm,
    }
    fields = {name: getattr(motion, name)[(slice(None), slice(first, None), *box)] for name in _FIELDS}
    return {
        "about": np.array(json.dumps(about)),
        "affine": motion.affine,
        "frame_times": motion.frame_times,
        **fields,
    }


def _moving_box(motion: Motion) -> tuple[slice, slice, slice]:
    """The smallest part of the grid beyond which nothing moves in any frame."""
    moving = np.zeros(motion.shape[1:], dtype=bool)
    for fields in (motion.to_reference, motion.from_reference):
        for frame in fields:
            for component in frame:
                moving |= component != 0
    box = []
    for axes in ((1, 2), (0, 2), (0, 1)):
        places = np.flatnonzero(moving.any(axis=axes))
        box.append(slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0))
    return box[0], box[1], box[2]


def _read(path: Path, key: str) -> Motion:
    entry = _arrays(path)
    about = json.loads(str(entry["about"][()]))
    if about["key"] != key:
        raise InputError(f"the file is of the key {about['key']}")
    shape = tuple(about["shape"])
    check_voxel_count((3, *shape))
    whole = [_in_whole(entry[name], shape, about["start"]) for name in _FIELDS]
    return Motion(
        whole[0],
        whole[1],
        affine=entry["affine"],
        frame_times=entry["frame_times"],
        **{
            name: about[name]
            for name in ("reference", "model", "version", "image_hash", "settings", "inverse_residual_mm")
        },
    )


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file; memory grows with what it holds, whatever it promises."""
    found = {}
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        for name in _ARRAYS:
            member = archive.getinfo(f"{name}.npy")
            if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                raise InputError(f"expected {name} as it is, got it compressed")
            found[name] = _array(archive.read(member))  # which compares its checksum
            if (found[name].dtype.kind == "U") != (name == "about"):
                raise InputError(f"expected other values in {name}, got {found[name].dtype}")
    return found


def _array(content: bytes) -> npt.NDArray[Any]:
    head = _NPY.match(content)
    if head is None:
        raise InputError("expected an array of numbers or text")
    dtype = np.dtype(head[1].decode())
    shape = tuple(int(size) for size in head[3].replace(b",", b" ").split())
    if math.prod(shape) * dtype.itemsize != len(content) - head.end():
        raise InputError(f"expected an array of {shape} {dtype}, got {len(content) - head.end()} bytes")
    return np.frombuffer(content, dtype, offset=head.end()).reshape(
        shape, order="F" if head[2] == b"True" else "C"
    )


def _in_whole(part: FloatField, shape: tuple[int, ...], start: list[int]) -> FloatField:
    """The kept part of a field, put back among zeros: (T, 3, Z, Y, X)."""
    t, *grid = shape
    whole = np.zeros((t, 3, *grid), dtype=np.float32)
    box = tuple(slice(a, a + n) for a, n in zip(start, part.shape[2:], strict=True))
    if part.ndim != 5 or any(
        a < 0 or a + n > size for a, n, size in zip(start, part.shape[2:], grid, strict=True)
    ):
        raise InputError(f"expected a part of {shape}, got {part.shape} at {start}")
    whole[(slice(None), slice(3 - part.shape[1], None), *box)] = part
    return whole
