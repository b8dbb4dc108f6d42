"""Small data sets in the layouts of public ones, of one patient each."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import contourpy
import numpy as np
import numpy.typing as npt
from cardiac_motion.cine import Cine
from cardiac_motion.dicom.cine_series import CineSeries
from cardiac_motion.dicom.writer import Layout, write_dicom
from cardiac_motion.labels import Label

from benchmarks.dicom_folders import Files, read_files
from benchmarks.fuzz.hearts import heart, whole_numbers
from benchmarks.fuzz.nifti import written

Array = npt.NDArray[Any]

ACDC: Mapping[Label, int] = {Label.RV: 1, Label.MYO: 2, Label.LV: 3}
MNMS: Mapping[Label, int] = {Label.LV: 1, Label.MYO: 2, Label.RV: 3}
UKBB: Mapping[Label, int] = {Label.LV: 1, Label.MYO: 2, Label.RV: 4}
OWN: Mapping[Label, int] = {label: int(label) for label in Label if label is not Label.BACKGROUND}
ED, ES = 0, 2


def _renumbered(labels: Array, values: Mapping[Label, int]) -> Array:
    result = np.zeros_like(labels)
    for ours, theirs in values.items():
        result[labels == ours] = theirs
    return result


def _image(values: Array) -> bytes:
    return written(values, heart().cine.affine)


def acdc() -> Files:
    """``Info.cfg`` with frames from 1."""
    study, place = heart(), "patient001/patient001"
    files = {f"{place}_4d.nii": _image(study.cine.frames)}
    for frame in (ED, ES):
        files[f"{place}_frame{frame + 1:02d}.nii"] = _image(study.cine.frames[frame])
        files[f"{place}_frame{frame + 1:02d}_gt.nii"] = _image(_renumbered(study.labels[frame], ACDC))
    info = f"ED: {ED + 1}\nES: {ES + 1}\nGroup: DCM\nHeight: 180.0\nNbFrame: {study.cine.n_frames}\nWeight: 80.5\n"
    return files | {"patient001/Info.cfg": info.encode()}


def mnms() -> Files:
    """A table with frames from 0."""
    study = heart()
    labels = np.zeros_like(study.labels)
    for frame in (ED, ES):
        labels[frame] = _renumbered(study.labels[frame], MNMS)
    table = (
        "External code,VendorName,Vendor,Centre,ED,ES,Age,Pathology,Sex,Height,Weight\n"
        f"A0S9V9,Siemens,A,1,{ED},{ES},40,HCM,F,N/A,70\nA1A1A1,Philips,B,2,1,3,50,NOR,M,170,71\n"
    )
    return {
        "Training/A0S9V9/A0S9V9_sa.nii": _image(study.cine.frames),
        "Training/A0S9V9/A0S9V9_sa_gt.nii": _image(labels),
        "M&Ms_information.csv": table.encode(),
    }


def ukbb() -> Files:
    """Frames known by their voxels."""
    study = heart()
    files = {"1000001/sa.nii": _image(study.cine.frames)}
    for phase, frame in (("ED", ED), ("ES", ES)):
        files[f"1000001/sa_{phase}.nii"] = _image(study.cine.frames[frame])
        files[f"1000001/label_sa_{phase}.nii"] = _image(_renumbered(study.labels[frame], UKBB))
    return files


def studies() -> Files:
    """Images of a server, with labels and their record."""
    study = heart()
    labels = _image(study.labels)
    place = ".cardiac_motion/labels/final/heart/000002"
    record = {
        "label": "heart", "tag": "final", "version": 2, "sha256": hashlib.sha256(labels).hexdigest(),
        "info": {"verified_frames": [ED, ES]},
    }  # fmt: skip
    return {
        "heart.nii": _image(study.cine.frames),
        f"{place}.nii.gz": labels,
        f"{place}.json": json.dumps(record).encode(),
    }


def plain() -> Files:
    """Images with labels beside them."""
    study = heart()
    return {"p1_sax.nii": _image(study.cine.frames), "p1_sax_labels.nii": _image(study.labels)}


def sunnybrook() -> Files:
    """DICOM, and contours as text by the number of the image."""
    study = heart()
    files: Files = {}
    with tempfile.TemporaryDirectory() as folder:
        cine = whole_numbers(Cine(study.cine.frames * 50, study.cine.affine, study.cine.frame_times))
        write_dicom([CineSeries(cine, "CINESAX_300")], Path(folder) / "in", seed=1, layout=Layout.SLICE_MAJOR)
        for name, content in read_files(Path(folder) / "in").items():
            files[f"SCD_IMAGES_01/SCD0000101/CINESAX_300/IM-0003-{Path(name).stem}.dcm"] = content
    manual = "SCD_ManualContours/SC-HF-I-01/contours-manual/IRCCI-expert/IM-0001"
    for frame, kinds in ((ED, "io"), (ES, "i")):
        for z in np.flatnonzero((study.labels[frame] == Label.LV).any(axis=(1, 2))):
            number = int(z) * study.cine.n_frames + frame + 1
            for kind in kinds:
                inside = study.labels[frame, z] == Label.LV
                if kind == "o":
                    inside |= study.labels[frame, z] == Label.MYO
                files[f"{manual}-{number:04d}-{kind}contour-manual.txt"] = _outline(inside)
    table = "PatientID,OriginalID,Gender,Age,Pathology\nSCD0000101,SC-HF-I-1,Female,50,Heart failure\n"
    return files | {"scd_patientdata.csv": table.encode()}


def _outline(mask: Array) -> bytes:
    """Points half way between pixels, around the longest outline."""
    lines = contourpy.contour_generator(z=np.pad(mask, 1).astype(float)).lines(0.5)
    longest = max((np.asarray(line) for line in lines), key=len)[:-1] - 1
    return "".join(f"{x:.2f} {y:.2f}\n" for x, y in longest).encode()
