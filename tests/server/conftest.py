"""A small study, and a real server in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.io import write_cine, write_labels
from cardiac_motion.phantom import PhantomOptions, make_study
from CardiacMotionLib.client import Client

from monailabel_app.local_server import local_server

# The benchmarks are no part of the installed package; they are imported from the root of the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

QUICK = {"iterations": 4, "levels": 2}
"""Options of the model with which a motion takes a moment; it is held against the package's, not the truth."""


@dataclass(frozen=True, eq=False)
class Study:
    """A phantom on disk."""

    cine: Cine
    labels: npt.NDArray[np.uint8]
    image: Path
    label: Path
    """4D, all frames."""
    ed: Path
    """3D, frame 0."""


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Five frames of three slices of a phantom."""
    options = PhantomOptions(frames=5, slices=3, matrix=(96, 96), pixel_spacing=2.2, motion_truth=False)
    made = make_study(11, options)
    folder = tmp_path_factory.mktemp("study")
    paths = [folder / name for name in ("cine.nii.gz", "labels.nii.gz", "ed.nii.gz")]
    write_cine(paths[0], made.cine)
    write_labels(paths[1], made.labels, made.cine)
    write_labels(paths[2], made.labels[0], made.cine)
    return Study(made.cine, made.labels, *paths)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The studies folder of `address`."""
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def address(studies: Path) -> Iterator[str]:
    """Where a real server answers."""
    with local_server(studies, options=["--threads", "1"]) as where:
        yield where


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    """Our client, connected to it."""
    with Client(address) as connected:
        yield connected
