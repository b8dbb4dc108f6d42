"""A folder of studies and small things to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.io import LabelImage, write_cine

from monailabel_app.lib.datastore import LocalDatastore

SHAPE = (4, 2, 8, 6)
AFFINE = np.array([[-1.4, 0, 0, 90], [0, -1.4, 0, 60], [0, 0, 8, -20], [0, 0, 0, 1.0]])


def _make_cine(seed: int = 0, *, shape: tuple[int, int, int, int] = SHAPE) -> Cine:
    """Random intensities on one grid."""
    frames = np.random.default_rng(seed).integers(0, 400, size=shape).astype(np.float32)
    return Cine(frames, AFFINE, np.arange(shape[0]) * 0.03)


def _make_label(number: int = 0, *, n_frames: int = SHAPE[0], value: int = 3) -> LabelImage:
    """Labels on that grid; each number gives other ones, the same in all frames."""
    bits = [number >> bit & 1 for bit in range(np.prod(SHAPE[1:]))]
    frame = np.array(bits, dtype=np.uint8).reshape(SHAPE[1:]) * value
    return LabelImage(np.stack([frame] * n_frames), AFFINE, n_frames > 1)


@pytest.fixture(scope="session")
def make_cine() -> Callable[..., Cine]:
    return _make_cine


@pytest.fixture(scope="session")
def make_label() -> Callable[..., LabelImage]:
    return _make_label


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cines as files: a.nii.gz, a.seq.nrrd, b.nii.gz, b.nii."""
    folder = tmp_path_factory.mktemp("files")
    for name, seed in (("a.nii.gz", 0), ("a.seq.nrrd", 0), ("b.nii.gz", 1), ("b.nii", 1)):
        write_cine(folder / name, _make_cine(seed))
    return folder


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    folder = tmp_path / "studies"
    folder.mkdir()
    return folder


@pytest.fixture
def store(studies: Path) -> Iterator[LocalDatastore]:
    with LocalDatastore(studies, max_voxels=2**16, max_frames=8) as opened:
        yield opened


@pytest.fixture
def case_a(store: LocalDatastore, files: Path) -> str:
    """The id of an image in the store."""
    return store.add_image_file("a", files / "a.nii.gz").id
