"""The real folder, where it is at hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from cardiac_motion.io import read_cine

from benchmarks.dicom_import import check_real


def test_real_folder(real_data: Path) -> None:
    folder, truth = real_data / "cine_dicom", real_data / "cine_sax.nii.gz"
    if not (folder.is_dir() and truth.is_file()):
        pytest.skip(f"not run: no cine_dicom with cine_sax.nii.gz in {real_data}")
    assert check_real(folder, read_cine(truth), repeats=1).wrong == ()
