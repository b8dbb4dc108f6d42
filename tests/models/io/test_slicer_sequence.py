"""What 3D Slicer needs to load a .seq.nrrd as a sequence with the right times, and what it writes itself.

Its reader takes the times from the key "axis 0 index values", the unit from the NRRD field "units" of the list
axis, the name of the index from "labels", and the class of node from "DataNodeClassName". Versions before 5.10
read the list axis in first place only. A file whose name ends in plain .nrrd counts as a sequence if "axis 0 index
type" stands in its first 800 characters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nrrd
import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.io import read_cine, write_cine, write_labels

MakeCine = Callable[..., Cine]


@pytest.mark.parametrize("name", ["cine.nrrd", "cine.seq.nrrd"])
def test_header(tmp_path: Path, make_cine: MakeCine, name: str) -> None:
    cine = make_cine()
    write_cine(tmp_path / name, cine)
    values, header = nrrd.read(str(tmp_path / name))
    assert header["kinds"] == ["list", "domain", "domain", "domain"]
    assert header["sizes"].tolist() == [4, 5, 6, 3]
    assert header["labels"] == ["time", "", "", ""]
    assert header["units"] == ["s", "", "", ""]
    assert header["space"] == "left-posterior-superior"
    assert header["axis 0 index type"] == "numeric"
    assert [float(value) for value in header["axis 0 index values"].split()] == cine.frame_times.tolist()
    assert header["DataNodeClassName"] == "vtkMRMLScalarVolumeNode"
    assert np.isnan(header["space directions"][0]).all()
    lps = np.diag([-1, -1, 1, 1]) @ cine.affine
    np.testing.assert_array_equal(header["space directions"][1:], lps[:3, :3].T)
    np.testing.assert_array_equal(header["space origin"], lps[:3, 3])
    np.testing.assert_array_equal(values, cine.frames.transpose(0, 3, 2, 1))


def test_labels_become_label_maps(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine()
    write_labels(tmp_path / "labels.seq.nrrd", np.zeros(cine.shape, dtype=np.uint8), cine)
    header = nrrd.read_header(str(tmp_path / "labels.seq.nrrd"))
    assert header["DataNodeClassName"] == "vtkMRMLLabelMapVolumeNode"
    assert header["type"] == "uchar"


def test_slicer_finds_the_sequence_in_a_long_plain_nrrd(tmp_path: Path, make_cine: MakeCine) -> None:
    write_cine(tmp_path / "cine.nrrd", make_cine((200, 1, 6, 5)))
    assert b"axis 0 index type:=" in (tmp_path / "cine.nrrd").read_bytes()[:800]


SLICER_5_8 = """\
NRRD0004
# Complete NRRD file format specification at:
# http://teem.sourceforge.net/nrrd/format.html
type: short
dimension: 4
space: right-anterior-superior
sizes: 3 5 6 2
space directions: none (-1.5,0,0) (0,-1.25,0) (0,0,8)
kinds: list domain domain domain
labels: "time" "" "" ""
units: "s" "" "" ""
endian: little
encoding: raw
space origin: (10,20,30)
measurement frame: (1,0,0) (0,1,0) (0,0,1)
space:=a key that is named as a field
axis 0 index type:=numeric
axis 0 index values:=0 0.04 0.09

"""

SLICER_5_10 = """\
NRRD0005
type: short
dimension: 4
space: left-posterior-superior
sizes: 5 6 2 3
space directions: (1.5,0,0) (0,1.25,0) (0,0,8) none
kinds: domain domain domain list
labels: "" "" "" "time"
units: "" "" "" "s"
endian: little
encoding: raw
space origin: (-10,-20,30)
DataNodeClassName:=vtkMRMLScalarVolumeNode
axis 3 index type:=numeric
axis 3 index values:=0 0.04 0.09

"""


@pytest.mark.parametrize(("header", "list_is_first"), [(SLICER_5_8, True), (SLICER_5_10, False)])
def test_both_layouts_of_slicer(tmp_path: Path, make_cine: MakeCine, header: str, list_is_first: bool) -> None:
    frames = make_cine((3, 2, 6, 5)).frames.astype("<i2")
    order = np.moveaxis(frames, 0, -1) if list_is_first else frames
    (tmp_path / "cine.seq.nrrd").write_bytes(header.encode() + np.ascontiguousarray(order).tobytes())
    cine = read_cine(tmp_path / "cine.seq.nrrd")
    np.testing.assert_array_equal(cine.frames, frames)
    np.testing.assert_allclose(cine.frame_times, [0, 0.04, 0.09])
    expected = np.diag([-1.5, -1.25, 8, 1])
    expected[:3, 3] = [10, 20, 30]
    np.testing.assert_allclose(cine.affine, expected)
