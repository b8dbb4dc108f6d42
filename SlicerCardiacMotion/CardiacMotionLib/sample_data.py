"""A synthetic case that comes with the extension, in Slicer's Sample Data module; nothing is fetched for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from CardiacMotionLib.cine import Cine
from CardiacMotionLib.cine_loading import cine_from_file
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.messages import sentence
from CardiacMotionLib.nifti import read_nifti
from CardiacMotionLib.segmentation_sequence import Segmentations
from CardiacMotionLib.session import Session
from CardiacMotionLib.structures import BY_NAME, VENTRICLES
from CardiacMotionLib.workspace import Workspace

CATEGORY = "Cardiac Motion"
NAME = "CardiacMotionPhantom"

_END_DIASTOLE = 0


def register(resources: Path, session: Callable[[], Session]) -> bool:
    """Offer the case in the Sample Data module; False where this Slicer was built without that module.

    Args:
        resources: folder of the module's resources.
        session: gives that of the module's panel, which is made where there is none yet.
    """
    try:
        # A module of Slicer, there once it has started.
        from SampleData import SampleDataLogic  # type: ignore[import-not-found]  # noqa: PLC0415
    except ImportError:
        return False
    path = _file(resources)
    SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=NAME,
        # Used only by scripts that ask for the sample by its name: the file of the extension all the same.
        uris=path.absolute().as_uri(),
        fileNames=path.name,
        nodeNames=NAME,
        loadFileType="SequenceFile",
        thumbnailFileName=str(resources / "Icons" / f"{NAME}.png"),
        customDownloader=lambda _source: _load(resources, session),
    )
    return True


def _load(resources: Path, session: Callable[[], Session]) -> list[Any]:
    """As a button of the Sample Data module does it, which tells errors to nobody."""
    try:
        return [load(resources, session()).sequence]
    except (InputError, OSError) as error:
        slicer.util.errorDisplay(
            _("The synthetic case could not be loaded: {error}").format(error=sentence(error))
        )
        return []


def load(resources: Path, session: Session) -> Cine:
    """Put the case into the scene, with RV, MYO and LV drawn at end-diastole.

    It is worked on at once, unless another case is: then it waits in the scene.

    Raises:
        InputError: its files are not there, or damaged; the scene is as it was.
    """
    drawn = _labels(resources)
    cine = cine_from_file(_file(resources))
    if session.workspace is None:
        session.open(cine).take_as_drawn({_END_DIASTOLE: drawn})
    else:
        beside = Workspace(cine, Segmentations.of(cine))
        beside.take_as_drawn({_END_DIASTOLE: drawn})
        beside.close()
    return cine


def _file(resources: Path) -> Path:
    return resources / "SampleData" / f"{NAME}.nii.gz"


def _labels(resources: Path) -> np.ndarray:
    """(Z, Y, X) uint8 of end-diastole, without the atria, which the slices hold only in part."""
    path = resources / "SampleData" / f"{NAME}_labels.nii.gz"
    labels = read_nifti(path).values[_END_DIASTOLE]
    if labels.dtype != np.uint8:
        raise InputError(f"{path}: expected labels uint8, got {labels.dtype}")
    kept = np.isin(labels, [BY_NAME[name].value for name in VENTRICLES])
    return np.where(kept, labels, 0).astype(np.uint8)
