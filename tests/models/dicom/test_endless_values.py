"""Values without measure, over which pydicom would sit for hours."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.dicom.cine_series import CineSeries
from cardiac_motion.dicom.importer import import_dicom
from cardiac_motion.dicom.writer import write_dicom
from cardiac_motion.errors import InputError
from pydicom.uid import DeflatedExplicitVRLittleEndian

ENDLESS = b"\x08\x00\x05\x00UT\x00\x00" + struct.pack("<I", 2**25) + bytes(2**25)
"""A specific character set of 32 MB."""
SEQUENCE = b"\x40\x00\x75\x02SQ\x00\x00\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
"""The beginning of one, of open length like its item."""


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("within", [b"", SEQUENCE], ids=["", "in a sequence"])
def test_an_endless_character_set_is_refused_at_once(
    tmp_path: Path, make_cine: Callable[..., Cine], *, within: bytes, deflated: bool
) -> None:
    write_dicom([CineSeries(make_cine(None, slices=3), "sax")], tmp_path / "in", seed=1)
    path = next((tmp_path / "in").rglob("*.dcm"))
    ds = pydicom.dcmread(path)
    if deflated:
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        ds.save_as(path)
    head = path.read_bytes()[: 144 + int(ds.file_meta.FileMetaInformationGroupLength)]
    body = within + ENDLESS
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    path.write_bytes(head + (packer.compress(body) + packer.flush() if deflated else body))
    with pytest.raises(InputError, match="character set"):
        import_dicom(tmp_path / "in")
