"""Motion folders and the cache of motions, compared with ITK and with numpy."""

from __future__ import annotations

import io
import json
import logging
import random
import struct
import tempfile
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import nrrd as pynrrd
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - the customary name
from cardiac_motion.errors import InputError
from cardiac_motion.io.motion_folder import read_motion, write_motion
from cardiac_motion.motion import Motion
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.phantom.write import true_motion

from benchmarks.dicom_folders import Files, read_files
from benchmarks.fuzz import nrrd
from benchmarks.fuzz.damage import damaged
from benchmarks.fuzz.folders import files_moved
from benchmarks.fuzz.hearts import heart
from benchmarks.fuzz.json_damage import damaged_json
from benchmarks.fuzz.target import CannotTellError, Mutant, Sample

Array = npt.NDArray[Any]

WITH_CINE, ALONE = "with cine", "alone"
_KEY = "0" * 63 + "1"
_ENTRY = f"{_KEY}.npz"
_CLOSE_MM, _GRID_MM = 1e-3, 0.1

logging.getLogger("cardiac_motion.motion_cache").addHandler(logging.NullHandler())


@cache
def _motion(view: str = "") -> Motion:
    return true_motion(heart().long_axis[view] if view else heart())


class MotionTarget:
    """Folders of vector images with their ``motion.json``."""

    name = "motion"

    def samples(self) -> list[Sample]:
        """Of a stack, and of a single slice; one of them with one direction only."""
        stack, single = _folder(_motion()), _folder(_motion("4ch"))
        half = {name: content for name, content in single.items() if not name.startswith("from_")}
        return [Sample(stack, WITH_CINE), Sample(stack, ALONE), Sample(single, ALONE), Sample(half, ALONE)]

    def mutate(self, samples: Sequence[Sample], luck: random.Random) -> Mutant:
        """Another ``motion.json``, damaged fields, or other files."""
        sample = luck.choice(samples)
        files: Files = dict(sample.files)
        chance = luck.random()
        if chance < 0.03:
            what = "untouched"
        elif chance < 0.35:
            files["motion.json"], what = damaged_json(files["motion.json"], luck)
        elif chance < 0.45:
            what = files_moved(files, luck)
        else:
            fields = [name for name in sorted(files) if name.endswith(".nrrd")]
            seed = luck.randrange(10**9)
            what = ""
            for name in luck.choice(([luck.choice(fields)], [luck.choice(fields)], fields)):
                files[name], what = nrrd.mutated(files[name], random.Random(seed))
        return Mutant(files, what, sample.kind)

    def read(self, folder: Path, kind: str) -> Motion:
        """With the cine that it belongs to, or without."""
        return read_motion(folder, heart().cine if kind == WITH_CINE else None)

    def judge(self, folder: Path, kind: str, result: Motion) -> str | None:  # noqa: ARG002 - one form for all
        """Vectors along the axes as ITK has them in world coordinates; the rest as JSON has it."""
        about = json.loads((folder / "motion.json").read_text(encoding="utf-8"))
        if result.reference != about["reference"] or result.frame_times.tolist() != about["frame_times"]:
            return "its reference or times are others than in motion.json"
        for name in ("to_reference", "from_reference"):
            for frame, field in enumerate(getattr(result, name)):
                path = folder / f"{name}_{frame:03d}.nrrd"
                if path.is_file():
                    wrong = _wrong_field(path, field, result)
                    if wrong:
                        return f"{path.name}: {wrong}"
        return None


def _folder(motion: Motion) -> Files:
    with tempfile.TemporaryDirectory() as place:
        write_motion(Path(place) / "motion", motion)
        return read_files(Path(place) / "motion")


def _vectors(path: Path) -> tuple[Array, Array, Array]:
    """Vectors (Z, Y, X, 3), directions with the voxel size, and origin, all LPS: as ITK has them, else pynrrd."""
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        try:
            values, header = pynrrd.read(str(path), index_order="C")
            origin, directions = header["space origin"], np.asarray(header["space directions"], float)[1:].T
        except (pynrrd.NRRDError, ValueError, OSError, EOFError, LookupError, TypeError) as other:
            raise CannotTellError(f"ITK: {str(error).splitlines()[-1][-150:]}; pynrrd: {other}") from error
        return np.asarray(values, np.float64), directions, np.asarray(origin, float)
    directions = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    return sitk.GetArrayFromImage(image).astype(np.float64), directions, np.array(image.GetOrigin())


def _wrong_field(path: Path, field: Array, motion: Motion) -> str | None:
    vectors, directions, origin = _vectors(path)
    unit = directions / np.linalg.norm(directions, axis=0)
    along = np.moveaxis(np.linalg.solve(unit, vectors[..., None])[..., 0][..., ::-1], -1, 0)
    if along.shape[1] != field.shape[1]:
        # A single slice lies between two copies of itself.
        along, origin = along[:, 1:2], origin + directions[:, 2]
    if along.shape != field.shape:
        return f"sizes {field.shape}, ITK has {along.shape}"
    ours = motion.affine[:3, 3] * [-1, -1, 1]
    if np.abs(origin - ours).max() > _GRID_MM:
        return f"its grid begins at {ours.tolist()}, in ITK at {origin.tolist()}"
    off = float(np.abs(along - field).max())
    return f"up to {off:.3g} mm away from what ITK reads" if not off <= _CLOSE_MM else None


class CacheTarget:
    """Files of the cache of motions."""

    name = "motion cache"

    def samples(self) -> list[Sample]:
        """Of a stack, and of a single slice."""
        return [Sample({_ENTRY: _entry(_motion(view))}, "") for view in ("", "4ch")]

    def mutate(self, samples: Sequence[Sample], luck: random.Random) -> Mutant:
        """A damaged file, or a whole one of other content."""
        content = luck.choice(samples).files[_ENTRY]
        chance = luck.random()
        if chance < 0.03:
            what = "untouched"
        elif chance < 0.35:
            content, what = damaged(content, luck, head=200)
        elif chance < 0.5:
            # The directory of a zip file lies at its end.
            start = content.rfind(b"PK\x01\x02", 0, content.find(b"PK\x05\x06") - 250)
            tail, what = damaged(content[start:], luck, head=400)
            content, what = content[:start] + tail, f"directory: {what}"
        else:
            content, what = _repacked(content, luck)
        return Mutant({_ENTRY: content}, what, "")

    def read(self, folder: Path, kind: str) -> Motion:  # noqa: ARG002 - there is one
        """The motion kept there; none is a refusal."""
        found = MotionCache(folder).get(_KEY)
        if found is None:
            raise InputError("not kept")
        return found

    def judge(self, folder: Path, kind: str, result: Motion) -> str | None:  # noqa: ARG002 - there is one
        """As numpy has its arrays."""
        with np.load(folder / _ENTRY, allow_pickle=False) as entry:
            about = json.loads(str(entry["about"][()]))
            for name in ("to_reference", "from_reference"):
                part = np.asarray(entry[name], np.float64)
                whole = np.zeros((about["shape"][0], 3, *about["shape"][1:]))
                z, y, x = about["start"]
                depth, height, width = part.shape[2:]
                whole[:, -part.shape[1] :, z : z + depth, y : y + height, x : x + width] = part
                if not np.array_equal(whole.astype(np.float32), getattr(result, name)):
                    return f"{name} is not what is in the file"
            same = result.reference == about["reference"] and np.array_equal(result.affine, entry["affine"])
        return None if same else "its reference or affine is another one"


def _entry(motion: Motion) -> bytes:
    with tempfile.TemporaryDirectory() as place:
        MotionCache(place).put(_KEY, motion)
        return (Path(place) / _ENTRY).read_bytes()


def _repacked(content: bytes, luck: random.Random) -> tuple[bytes, str]:
    """A whole zip file, one of its members damaged, gone, of another type, or a bomb."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = luck.choice(sorted(members))
    kind = luck.randrange(6)
    method = luck.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2))
    if kind == 0:
        members[name], what = damaged(members[name], luck, head=128)
    elif kind == 1:
        del members[name]
        what = "gone"
    elif kind == 2:
        array = np.load(io.BytesIO(members[name]))
        members[name], what = _as_npy(_other_array(array, luck)), "another array"
    elif kind == 3:
        about, what = damaged_json(str(np.load(io.BytesIO(members["about.npy"]))[()]).encode(), luck)
        name, members["about.npy"] = "about.npy", _as_npy(np.array(about.decode("utf-8", "replace")))
    elif kind == 4:
        promise = luck.choice(("(4, 3, 9999, 9999, 9999)", "(2147483648,)", "(-1, 3)", "(" + "1, " * 70 + ")"))
        text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {promise}, }}"
        members[name], what = _npy_header(text) + bytes(100), f"promises {promise}"
    else:
        text = luck.choice(
            ("{" * 3000, "[" * 90_000, "x", "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }")
        )
        members[name], what = _npy_header(text) + bytes(100), f"header {text[:20]}"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for each, data in members.items():
            archive.writestr(zipfile.ZipInfo(each), data, method)
    return buffer.getvalue(), f"{name}: {what}"


def _as_npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _npy_header(text: str) -> bytes:
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text) + 1) + text.encode() + b"\n"


def _other_array(array: Array, luck: random.Random) -> Array:
    """Another type, shape or order, or values that are no numbers."""
    changed = array.copy()
    if array.dtype.kind == "f":
        changed.flat[luck.randrange(array.size)] = luck.choice((np.nan, np.inf, 1e30, 5.0))
    is_number = array.dtype.kind == "f"
    others = [
        array.astype(luck.choice(("f2", "f8", "c8", "U8", "O", "S4"))) if is_number else array,
        changed,
        array.reshape(-1),
        np.asfortranarray(array),
        np.zeros(luck.choice(((), (0,), (4, 3, 0, 2, 2), (4, 4), (1, 1, 1, 1, 1, 1)))),
        np.array([{"a": 1}, None], dtype=object),
    ]
    if array.ndim:
        others += [array[:-1], np.concatenate([array, array]), array.swapaxes(0, -1)]
    return luck.choice(others)
