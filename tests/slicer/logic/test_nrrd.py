"""NRRD cines read without Slicer are what Slicer's own storage node reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.slicer.logic.conftest import AFFINES, Small, make_small

pytest.importorskip("slicer", reason="not run: slicer-core is not installed")

from CardiacMotionLib.cine import make_cine
from CardiacMotionLib.cine_loading import cine_from_file, cine_from_storage, read_cine
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.nrrd import read_nrrd
from CardiacMotionLib.nrrd_header import OtherKind
from CardiacMotionLib.uploads import write_sequence

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed

UNEVEN = np.array([0.0, 0.03, 0.07, 0.1, 0.12])
DTYPES = ("u1", "i2", "u2", "i4", "u4", "f4", "f8")


def written_by_slicer(bed: Bed, sequence: Any, path: Path, *, compressed: bool = True) -> Path:
    storage = bed.scene.AddNewNodeByClass("vtkMRMLVolumeSequenceStorageNode")
    storage.SetFileName(str(path))
    storage.SetUseCompression(compressed)
    assert storage.WriteData(sequence)
    bed.scene.RemoveNode(storage)
    return path


def is_as_slicer_reads_it(path: Path) -> Any:
    ours, slicers = read_nrrd(path), cine_from_storage(path)
    assert ours.values.shape == slicers.shape
    for t in range(slicers.n_frames):
        assert ours.values.dtype == slicers.array(t).dtype
        np.testing.assert_array_equal(ours.values[t], slicers.array(t))
    np.testing.assert_allclose(ours.affine, slicers.affine, atol=1e-9)
    np.testing.assert_allclose(ours.times, slicers.times, atol=1e-12)
    return ours


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize("compressed", [True, False])
def test_what_slicer_writes(bed: Bed, tmp_path: Path, affine: str, slices: int, compressed: bool) -> None:
    small = make_small(affine, slices=slices)
    cine = make_cine("c", small.values, small.affine, UNEVEN)
    path = written_by_slicer(bed, cine.sequence, tmp_path / "c.seq.nrrd", compressed=compressed)
    image = is_as_slicer_reads_it(path)
    np.testing.assert_array_equal(image.values, small.values)
    np.testing.assert_allclose(image.affine, small.affine, atol=1e-9)
    np.testing.assert_allclose(image.times, UNEVEN)
    assert image.timing_note is None
    assert bed.mrml.messages() == []


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compressed", [True, False])
def test_every_type(bed: Bed, tmp_path: Path, small: Small, dtype: str, compressed: bool) -> None:
    values = (small.values % 120).astype(dtype)
    cine = make_cine("c", values, small.affine, small.times)
    path = written_by_slicer(bed, cine.sequence, tmp_path / "c.nrrd", compressed=compressed)
    np.testing.assert_array_equal(is_as_slicer_reads_it(path).values, values)


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_index_values_in_other_units_and_texts(bed: Bed, tmp_path: Path, small: Small, unit: str) -> None:
    cine = make_cine("c", small.values, small.affine, small.times)
    other = bed.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "other")
    other.SetIndexUnit(unit)
    for t, time in enumerate(UNEVEN):
        text = repr(float(time * {"s": 1, "ms": 1e3, "us": 1e6}[unit] + 3))
        other.SetDataNodeAtValue(cine.sequence.GetNthDataNode(t), text)
    path = written_by_slicer(bed, other, tmp_path / "c.seq.nrrd")
    np.testing.assert_allclose(is_as_slicer_reads_it(path).times, UNEVEN, atol=1e-9)
    words = bed.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "words")
    words.SetIndexTypeFromString("text")
    for t in range(5):
        words.SetDataNodeAtValue(cine.sequence.GetNthDataNode(t), f"phase {t} 50%")
    path = written_by_slicer(bed, words, tmp_path / "w.seq.nrrd")
    image = is_as_slicer_reads_it(path)
    assert "does not say when" in (image.timing_note or "")
    assert cine_from_file(path).timing_note == image.timing_note


HEADER = """\
NRRD0005
# as Slicer wrote it before 5.10
type: {type}
dimension: 4
space: {space}
sizes: 5 20 24 4
space directions: none (-1.4,0,0) (0,-1.3,0.1) (0,0.1,8)
kinds: list domain domain domain
labels: "time" "" "" ""
endian: {endian}
encoding: {encoding}
space origin: (20,7,3)
measurement frame: (1,0,0) (0,1,0) (0,0,1)
axis 0 index type:=numeric
axis 0 index values:=0 0.03 0.07 0.1 0.12
space:=a key that is named as a field

"""


def older(path: Path, values: np.ndarray[Any, Any], **fields: str) -> Path:
    named = {"type": "short", "space": "right-anterior-superior", "endian": "little", "encoding": "raw"} | fields
    order = "<" if named["endian"] == "little" else ">"
    data = np.ascontiguousarray(np.moveaxis(values, 0, -1)).astype(values.dtype.newbyteorder(order)).tobytes()
    if named["encoding"] == "ascii":
        data = " ".join(str(value) for value in np.moveaxis(values, 0, -1).ravel()).encode()
    path.write_bytes(HEADER.format(**named).encode() + data)
    return path


@pytest.mark.parametrize("space", ["right-anterior-superior", "LPS", "left-anterior-superior"])
@pytest.mark.parametrize("endian", ["little", "big"])
def test_frames_on_the_first_axis(bed: Bed, tmp_path: Path, small: Small, space: str, endian: str) -> None:
    path = older(tmp_path / "c.seq.nrrd", small.values, space=space, endian=endian)
    image = is_as_slicer_reads_it(path)
    np.testing.assert_array_equal(image.values, small.values)
    np.testing.assert_allclose(image.times, UNEVEN)


def test_what_the_module_sends_is_read_back(bed: Bed, tmp_path: Path, small: Small) -> None:
    write_sequence(tmp_path / "c.seq.nrrd", small.values, small.affine, UNEVEN)
    np.testing.assert_array_equal(is_as_slicer_reads_it(tmp_path / "c.seq.nrrd").values, small.values)


def _in_header(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old, new, 1)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda data: data[:-40],
    "data are damaged": lambda data: data[:-8] + bytes(4) + data[-4:],
    "holds more": lambda data: data + b"more",
    "ends within its header": lambda data: data[:100],
    "does not begin with NRRD": lambda data: b"P5 " + data,
    "far more than there are": _in_header(b"sizes: 20 24 4 5", b"sizes: 20 24 4000 5"),
    "more than the": _in_header(b"sizes: 20 24 4 5", b"sizes: 20000 24000 40 5"),
    "the sizes": _in_header(b"sizes: 20 24 4 5", b"sizes: 20 24 4"),
    "does not say how many": _in_header(b"sizes: 20", b"sizes: 20.5"),
    "one frame": _in_header(b"sizes: 20 24 4 5", b"sizes: 20 24 20 1"),
}


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("reason", DAMAGE)
def test_damage_is_one_message_and_slicers_reader_is_not_asked(
    bed: Bed, tmp_path: Path, small: Small, compressed: bool, reason: str
) -> None:
    cine = make_cine("c", small.values, small.affine, UNEVEN)
    path = written_by_slicer(bed, cine.sequence, tmp_path / "c.seq.nrrd", compressed=compressed)
    if not compressed and reason == "data are damaged":
        pytest.skip("not run: nothing shows that raw voxels were changed")
    whole = path.read_bytes()
    path.write_bytes(DAMAGE[reason](whole))
    assert path.read_bytes() != whole
    if compressed and reason in {"far more than there are", "holds more"}:
        reason = "truncated|holds|damaged"
    with pytest.raises(InputError, match=reason) as caught:
        read_cine(path)
    assert not isinstance(caught.value, OtherKind)
    assert str(path) in str(caught.value)
    with pytest.raises(InputError, match="NaN"):
        read_cine(older(path, np.full(small.values.shape, np.nan, np.float32), type="float"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"encoding: raw", b"encoding: bzip2"),
        (b"encoding: raw", b"encoding: raw\nline skip: 1"),
        (b"encoding: raw", b"encoding: raw\ndata file: c.raw"),
        (b"kinds: list", b"kinds: vector"),
        (b"type: short", b"type: block"),
        (b"endian: little", b"endian: neither"),
        (b"space: right-anterior-superior", b"space: scanner-xyz"),
        (b"space directions: none", b"spacings: 1 1 1 1\nspace dims: none"),
        (b"axis 0 index type", b"DataNodeClassName:=vtkMRMLLabelMapVolumeNode\naxis 0 index type"),
    ],
)
def test_other_kinds_are_left_to_slicers_reader(tmp_path: Path, small: Small, old: bytes, new: bytes) -> None:
    path = older(tmp_path / "c.seq.nrrd", small.values)
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(OtherKind, match=r"c\.seq\.nrrd"):
        read_nrrd(path)
    assert read_cine(path) is None


def test_slicers_reader_is_asked_where_ours_cannot(bed: Bed, tmp_path: Path, small: Small) -> None:
    path = older(tmp_path / "text.seq.nrrd", small.values, encoding="ascii")
    cine = cine_from_file(path)
    for t in range(5):
        np.testing.assert_array_equal(cine.array(t), small.values[t])
    np.testing.assert_allclose(cine.times, UNEVEN)
