"""Small copies of the layouts of public data sets, made of phantoms."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import contourpy
import nibabel as nib
import numpy as np
import numpy.typing as npt
from cardiac_motion.cine import Cine
from cardiac_motion.dicom.cine_series import CineSeries
from cardiac_motion.dicom.writer import Layout, write_dicom
from cardiac_motion.io import write_cine, write_labels
from cardiac_motion.labels import Label
from cardiac_motion.phantom import PhantomStudy

Array = npt.NDArray[np.generic]

MNMS_VALUES = {Label.LV: 1, Label.MYO: 2, Label.RV: 3}
ACDC_VALUES = {Label.RV: 1, Label.MYO: 2, Label.LV: 3}
UKBB_VALUES = {Label.LV: 1, Label.MYO: 2, Label.RV: 4}
ATRIA_VALUES = {Label.LA: 1, Label.RA: 2}


def save(path: Path, array: Array, affine: Array) -> None:
    """Write (Z, Y, X) or (T, Z, Y, X) as NIfTI, with nibabel rather than the code under test."""
    image = nib.Nifti1Image(np.ascontiguousarray(array.T), affine)
    image.header.set_xyzt_units("mm", "sec")
    if array.ndim == 4:
        image.header["pixdim"][4] = 0.04
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)


def renumbered(labels: npt.NDArray[np.uint8], values: dict[Label, int]) -> npt.NDArray[np.uint8]:
    """Our labels with other values; what has none is dropped."""
    result = np.zeros_like(labels)
    for ours, theirs in values.items():
        result[labels == ours] = theirs
    return result


def write_acdc(root: Path, studies: Sequence[PhantomStudy], *, with_cine: bool = True) -> None:
    """``training/patient001`` and so on, ED at frame 1 and ES counted from 1."""
    for number, study in enumerate(studies, start=1):
        name = f"patient{number:03d}"
        folder = root / "training" / name
        cine, phases = study.cine, (0, study.es_frame)
        if with_cine:
            save(folder / f"{name}_4d.nii.gz", cine.frames, cine.affine)
        for frame in phases:
            stem = f"{name}_frame{frame + 1:02d}"
            save(folder / f"{stem}.nii.gz", cine.frames[frame], cine.affine)
            save(folder / f"{stem}_gt.nii.gz", renumbered(study.labels[frame], ACDC_VALUES), cine.affine)
        group = ("NOR", "DCM")[number % 2]
        (folder / "Info.cfg").write_text(
            f"ED: {phases[0] + 1}\nES: {phases[1] + 1}\nGroup: {group}\nHeight: 180.0\n"
            f"NbFrame: {cine.n_frames}\nWeight: 80.5\n"
        )


def write_mnms(root: Path, studies: Sequence[PhantomStudy]) -> None:
    """The first labelled for training, the others for testing; one more without labels; frames from 0."""
    rows = ["External code,VendorName,Vendor,Centre,ED,ES,Age,Pathology,Sex,Height,Weight"]
    for number, study in enumerate((*studies, studies[0])):
        code = f"A{number}S9V9"
        part = "Training/Unlabeled" if number == len(studies) else ("Testing" if number else "Training/Labeled")
        folder, cine = root / part / code, study.cine
        save(folder / f"{code}_sa.nii.gz", cine.frames, cine.affine)
        if number < len(studies):
            labels = np.zeros_like(study.labels)
            for frame in (0, study.es_frame):
                labels[frame] = renumbered(study.labels[frame], MNMS_VALUES)
            save(folder / f"{code}_sa_gt.nii.gz", labels, cine.affine)
        rows.append(f"{code},Siemens,A,{number + 1},0,{study.es_frame},40,HCM,F,N/A,70")
    (root / "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv").write_text("\n".join(rows) + "\n")


def write_ukbb(root: Path, studies: Sequence[PhantomStudy], *, with_cine: bool = True) -> None:
    """Short axis with labels at ED and ES; the first subject with two long-axis views, labelled on all frames."""
    for number, study in enumerate(studies, start=1):
        folder, cine = root / f"{1000000 + number}", study.cine
        if with_cine:
            save(folder / "sa.nii.gz", cine.frames, cine.affine)
        for phase, frame in (("ED", 0), ("ES", study.es_frame)):
            save(folder / f"sa_{phase}.nii.gz", cine.frames[frame], cine.affine)
            labels = renumbered(study.labels[frame], UKBB_VALUES)
            save(folder / f"label_sa_{phase}.nii.gz", labels, cine.affine)
        for view in ("2ch", "4ch") if with_cine else ():
            if view in study.long_axis:
                long_axis = study.long_axis[view]
                save(folder / f"la_{view}.nii.gz", long_axis.cine.frames, long_axis.cine.affine)
                labels = renumbered(long_axis.labels, ATRIA_VALUES)
                if labels.any():
                    save(folder / f"label_la_{view}.nii.gz", labels, long_axis.cine.affine)


def write_studies(root: Path, studies: Sequence[PhantomStudy], *, verified: Sequence[int]) -> None:
    """Images of a server, the first with two versions of accepted labels, of which the second counts."""
    root.mkdir(parents=True)
    for number, study in enumerate(studies):
        write_cine(root / f"heart{number}.nii.gz", study.cine)
    folder = root / ".cardiac_motion" / "labels" / "final" / "heart0"
    folder.mkdir(parents=True)
    for version, labels in ((1, np.zeros_like(studies[0].labels)), (2, studies[0].labels)):
        path = folder / f"{version:06d}.nii.gz"
        write_labels(path, labels, studies[0].cine)
        record = {
            "label": "heart0",
            "tag": "final",
            "version": version,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "info": {"verified_frames": list(verified)},
        }
        path.with_name(f"{version:06d}.json").write_text(json.dumps(record))


def write_sunnybrook(root: Path, studies: Sequence[PhantomStudy], *, start: int = 2) -> None:
    """DICOM with another series beside, contours of ED (both) and ES (inner); frames begin ``start`` after ED."""
    root.mkdir(parents=True)
    rows = ["\ufeffPatientID,OriginalID,Gender,Age,Pathology"]
    for number, study in enumerate(studies, start=1):
        patient, original = f"SCD000{number:02d}01", f"SC-HF-I-{number}"
        rows.append(f"{patient},{original},Female,{50 + number},Heart failure with infarct")
        order = np.roll(np.arange(study.cine.n_frames), -start)
        cine = Cine(np.rint(study.cine.frames[order] * 100), study.cine.affine, study.cine.frame_times)
        series = root / "SCD_IMAGES_01" / patient
        for name, shown in (("CINESAX_300", cine), ("CINELAX_301", cine)):
            temporary = root / "temporary"
            write_dicom([CineSeries(shown, name)], temporary, seed=number, layout=Layout.SLICE_MAJOR)
            (series / name).mkdir(parents=True)
            for path in temporary.rglob("*.dcm"):
                path.rename(series / name / f"IM-0003-{path.stem}.dcm")
            for path in sorted(temporary.rglob("*"), reverse=True):
                path.rmdir()
            temporary.rmdir()
        manual = root / "SCD_ManualContours" / f"SC-HF-I-{number:02d}" / "contours-manual" / "IRCCI-expert"
        manual.mkdir(parents=True)
        frames = order.tolist()
        for phase, kinds in ((0, "io"), (study.es_frame, "i")):
            for z in np.flatnonzero((study.labels[phase] == Label.LV).any(axis=(1, 2))):
                image = z * cine.n_frames + frames.index(phase) + 1
                for kind in kinds:
                    inside = study.labels[phase, z] == Label.LV
                    if kind == "o":
                        inside |= study.labels[phase, z] == Label.MYO
                    write_contour(manual / f"IM-0001-{image:04d}-{kind}contour-manual.txt", outline(inside))
    (root / "scd_patientdata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def outline(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Points (N, 2), x and y, of the longest outline of a mask (Y, X), half way between pixels."""
    lines = contourpy.contour_generator(z=np.pad(mask, 1).astype(float)).lines(0.5)
    longest: npt.NDArray[np.float64] = max((np.asarray(line) for line in lines), key=len)
    return longest[:-1] - 1


def write_contour(path: Path, points: npt.NDArray[np.float64]) -> None:
    """One point on each line."""
    path.write_text("".join(f"{x:.2f} {y:.2f}\n" for x, y in points))
