"""A phantom study on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.dicom.cine_series import CineSeries
from cardiac_motion.dicom.writer import write_dicom
from cardiac_motion.errors import InputError
from cardiac_motion.io import write_cine, write_labels
from cardiac_motion.io.motion_folder import write_motion
from cardiac_motion.motion import Motion
from cardiac_motion.phantom.study import PhantomStudy, PhantomView

VERSION = "1"
"""Of the phantom's motion: raised when the same seed gives another one."""


class DicomKind(StrEnum):
    """Which DICOM images a study is written as."""

    MR = "MR"
    ENHANCED_MR = "Enhanced MR"


def true_motion(view: PhantomView) -> Motion:
    """The true motion of a view relative to frame 0.

    Raises:
        InputError: the study was made without it.
    """
    if view.motion is None:
        raise InputError("expected a phantom study with the truth of its motion, got one made without it")
    return Motion(
        *view.motion,
        reference=0,
        affine=view.cine.affine,
        frame_times=view.cine.frame_times,
        model="phantom",
        version=VERSION,
        image_hash=view.cine.content_hash,
    )


def with_whole_voxels(study: PhantomStudy) -> PhantomStudy:
    """The study with its cines rounded to whole numbers, as scanners write them."""

    def rounded(cine: Cine) -> Cine:
        return replace(cine, frames=np.rint(cine.frames))

    views = {name: replace(view, cine=rounded(view.cine)) for name, view in study.long_axis.items()}
    return replace(study, cine=rounded(study.cine), long_axis=views)


def dicom_series(study: PhantomStudy) -> list[CineSeries]:
    """The short-axis cine of a study and its long-axis cines, as `write_dicom` takes them."""
    views: dict[str, PhantomView] = {"sax": study, **study.long_axis}
    return [CineSeries(view.cine, name, view.slice_thickness_mm) for name, view in views.items()]


def write_study(
    study: PhantomStudy, folder: Path | str, *, truth: bool = False, dicom: DicomKind | None = None
) -> None:
    """Write a study into a folder, whole or not at all.

    Always ``cine.nii.gz``, ``labels.nii.gz``, and for each long-axis view that the study has ``2ch.nii.gz``,
    ``2ch_labels.nii.gz`` and so on. With the truth also ``motion/`` (``2ch_motion/`` ...), the strains
    ``strain_radial.nii.gz``, ``strain_circumferential.nii.gz`` and ``strain_longitudinal.nii.gz`` (Green-Lagrange,
    in frame 0's geometry, 0 outside the myocardium), ``volumes.json`` and ``parameters.json``. On wish the same
    cines once more as DICOM, in ``dicom/``, a series for each slice.

    Raises:
        InputError: the folder cannot be written, or the truth was asked for and the study has none.
    """
    views: dict[str, PhantomView] = {"": study, **{f"{name}_": view for name, view in study.long_axis.items()}}
    motions = {prefix: true_motion(view) for prefix, view in views.items()} if truth else {}
    with atomic_path(folder, is_folder=True) as temporary:
        for prefix, view in views.items():
            write_cine(temporary / f"{prefix.removesuffix('_') or 'cine'}.nii.gz", view.cine)
            write_labels(temporary / f"{prefix}labels.nii.gz", view.labels, view.cine)
        if dicom is not None:
            series = dicom_series(study)
            write_dicom(
                series, temporary / "dicom", seed=study.phantom.seed, enhanced=dicom is DicomKind.ENHANCED_MR
            )
        if not truth:
            return
        for prefix, motion in motions.items():
            write_motion(temporary / f"{prefix}motion", motion)
        _write_strain(study, temporary)
        _write_json(temporary / "volumes.json", _volumes(study))
        _write_json(temporary / "parameters.json", study.parameters)


def _write_strain(study: PhantomStudy, folder: Path) -> None:
    if study.strain is None:
        raise InputError("expected a phantom study with strain, got one made without it")
    for name in ("radial", "circumferential", "longitudinal"):
        values = np.nan_to_num(getattr(study.strain, name))
        image = Cine(values, study.cine.affine, study.cine.frame_times, name=f"{name} strain")
        write_cine(folder / f"strain_{name}.nii.gz", image)


def _volumes(study: PhantomStudy) -> dict[str, Any]:
    return {
        "unit": "ml",
        "es_frame": study.es_frame,
        "ejection_fraction": study.ejection_fraction,
        "frame_times_s": study.cine.frame_times.tolist(),
        "slice_shifts_mm": study.slice_shifts_mm.tolist(),
        "phases": study.phases.tolist(),
        "strain": study.strain.curves() if study.strain is not None else None,
        "volumes": {
            structure: {kind: values.tolist() for kind, values in curves.items()}
            for structure, curves in study.volumes_ml.items()
        },
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
