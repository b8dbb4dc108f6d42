"""Probabilities of the classes of a segmentation, as NIfTI with the classes along dimension 5."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.io.nifti import write_nifti
from cardiac_motion.io.single_file import is_nifti
from cardiac_motion.io.timing import uniform_step

PROBABILITY_STEPS = 255
"""From 0 to 1, in which probabilities are stored: a byte each keeps the file small."""


def check_probabilities_ending(path: Path) -> None:
    """Raise InputError unless the name is one of a NIfTI file, the only format of ours with a fifth dimension."""
    if not is_nifti(path):
        raise InputError(f"cannot write probabilities to {path}: expected a name that ends in .nii or .nii.gz")


def write_probabilities(path: Path | str, steps: npt.NDArray[np.uint8], cine: Cine) -> None:
    """Write probabilities on the cine's own grid and frame times, whole or not at all.

    The file has sizes (X, Y, Z, T, K), and a slope that makes readers give values from 0 to 1.

    Args:
        path: ends in ``.nii`` or ``.nii.gz``.
        steps: (K, T, Z, Y, X), probabilities of K classes times `PROBABILITY_STEPS`.
        cine: the cine they were made for.

    Raises:
        InputError: another ending, another shape than the cine's, or the file cannot be written.
    """
    path = Path(path)
    check_probabilities_ending(path)
    if steps.ndim != 5 or steps.shape[1:] != cine.shape:
        raise InputError(
            f"cannot write {path}: expected probabilities (K, T, Z, Y, X) with (T, Z, Y, X) = {cine.shape}, got "
            f"{steps.shape}"
        )
    seconds = uniform_step(cine.frame_times)[0]
    with atomic_path(path) as temporary:
        write_nifti(temporary, steps, cine.affine, frame_seconds=seconds, slope=1 / PROBABILITY_STEPS)
