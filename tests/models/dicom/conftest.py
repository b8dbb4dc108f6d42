"""Small studies as DICOM: a short-axis stack and long-axis cines of noise, where those of a heart would lie."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.dicom.cine_series import CineSeries
from cardiac_motion.dicom.writer import Layout, write_dicom
from pydicom.dataset import FileDataset

# The benchmarks, which make broken and mixed folders, are no part of the installed package.
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

AXIS = np.array([0.5, -0.6, -0.62]) / np.linalg.norm([0.5, -0.6, -0.62])
"""From base to apex, LPS."""
MakeCine = Callable[..., Cine]
Write = Callable[..., Path]
Compress = Callable[[Path, str, Path], FileDataset]


def _across() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """In the short axis: the patient's left, and front and head."""
    left = np.array([1.0, 0, 0]) - AXIS[0] * AXIS
    left /= np.linalg.norm(left)
    up = np.cross(AXIS, left)
    return left, up if up[2] - up[1] > 0 else -up


def _cine(
    line: float | None, *, slices: int = 1, frames: int = 8, seed: int = 0, rr: float = 0.8, shift: float = 0.0,
    size: tuple[int, int] = (20, 24),
) -> Cine:  # fmt: skip
    """A cine of noise: short-axis, or on the plane whose line through the short axis has this direction, degrees.

    ``shift`` moves it along its normal, mm.
    """
    left, up = _across()
    if line is None:
        row, column = left, -up
    else:
        row, column = np.cos(np.radians(line)) * left + np.sin(np.radians(line)) * up, AXIS
    normal = np.cross(row, column)
    lps = np.eye(4)
    lps[:3, :3] = np.stack([2.0 * row, 2.5 * column, 9.0 * normal], axis=1)
    lps[:3, 3] = shift * normal - lps[:3, :3] @ [(size[1] - 1) / 2, (size[0] - 1) / 2, (slices - 1) / 2]
    values = np.random.default_rng(seed).integers(0, 3000, (frames, slices, *size))
    return Cine(values.astype(np.float32), np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps, np.arange(frames) * rr / frames)


@pytest.fixture(scope="session")
def make_cine() -> MakeCine:
    return _cine


@pytest.fixture(scope="session")
def views() -> dict[str, Cine]:
    """Five short-axis slices, and the three long-axis views of a heart turned by 10 degrees."""
    lines = {"4ch": 20.0, "2ch": 80.0, "3ch": 140.0}
    return {"sax": _cine(None, slices=5)} | {
        name: _cine(line, seed=i + 1) for i, (name, line) in enumerate(lines.items())
    }


def _write(
    cines: dict[str, Cine], folder: Path, *, rr: tuple[float, ...] | None = None, **options: object
) -> Path:
    series = [
        CineSeries(cine, name, slice_thickness_mm=6.0, rr_seconds=rr if cine.shape[1] > 1 else None)
        for name, cine in cines.items()
    ]
    write_dicom(series, folder, seed=7, **options)  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="session")
def write_study() -> Write:
    return _write


@pytest.fixture(scope="session")
def study(views: dict[str, Cine], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The views as single-frame files, a series for each slice."""
    return _write(views, tmp_path_factory.mktemp("dicom") / "study", layout=Layout.SERIES_PER_SLICE)


def _compressed(path: Path, kind: str, scratch: Path) -> FileDataset:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, kind)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(scratch))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    found = pydicom.dcmread(scratch)
    assert found.file_meta.TransferSyntaxUID.is_compressed
    return found


@pytest.fixture(scope="session")
def compressed() -> Compress:
    """A file in a transfer syntax by GDCM's name for it, by way of a scratch file.

    Of the result only the pixels are of use: GDCM changes the geometry of enhanced images.
    """
    return _compressed
