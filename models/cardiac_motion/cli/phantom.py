"""`cardiac-motion phantom`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cardiac_motion.cli.console import answer, progress_bar
from cardiac_motion.cli.outputs import Output, check_outputs, folders_made
from cardiac_motion.errors import InputError
from cardiac_motion.phantom import AppearanceOptions, PhantomOptions, make_study
from cardiac_motion.phantom.write import DicomKind, with_whole_voxels, write_study


def names_of(*, truth: bool, dicom: bool) -> tuple[str, ...]:
    """What is in the folder of a study, numbers left out."""
    names = ["cine.nii.gz", "labels.nii.gz"]
    if truth or dicom:
        names += ["ch.nii.gz", "ch_labels.nii.gz"]
    if truth:
        names += ["motion", "ch_motion", "volumes.json", "parameters.json"]
        names += [f"strain_{kind}.nii.gz" for kind in ("radial", "circumferential", "longitudinal")]
    return (*names, "dicom") if dicom else tuple(names)


def phantom(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same heart.")] = 0,
    truth: Annotated[
        bool, typer.Option("--truth", help="Also write motion, strain, volumes and long-axis cines.")
    ] = False,
    dicom: Annotated[
        bool, typer.Option("--dicom", help="Also write all cines, the long-axis ones too, as DICOM series.")
    ] = False,
    enhanced: Annotated[
        bool, typer.Option("--enhanced", help="With --dicom: Enhanced MR, a series in one file.")
    ] = False,
    frames: Annotated[int, typer.Option(help="Frames over one cycle.")] = 25,
    slices: Annotated[int | None, typer.Option(help="Short-axis slices; drawn from the seed by default.")] = None,
    matrix: Annotated[
        int | None, typer.Option(help="Pixels along both sides of a slice; drawn by default.")
    ] = None,
    pixel_spacing: Annotated[float | None, typer.Option(help="In the plane, mm; drawn by default.")] = None,
    ejection_fraction: Annotated[
        float | None, typer.Option(help="Of the left ventricle, 0.15 to 0.75; drawn by default.")
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="No artefacts and no noise.")] = False,
    whole: Annotated[
        bool, typer.Option("--whole", help="Voxels are whole numbers, as scanners write them: small files.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a synthetic beating heart: the cine, the labels of all frames, and on wish the whole truth."""
    if enhanced and not dicom:
        raise InputError("--enhanced says how to write DICOM: expected --dicom with it")
    check_outputs({"study": Output(output, is_folder=True, names=names_of(truth=truth, dicom=dicom))}, [])
    options = PhantomOptions(
        frames=frames,
        slices=slices,
        matrix=None if matrix is None else (matrix, matrix),
        pixel_spacing=pixel_spacing,
        ejection_fraction=ejection_fraction,
        long_axis_views=truth or dicom,
        motion_truth=truth,
        appearance=AppearanceOptions.clean() if clean else AppearanceOptions(),
    )
    kind = DicomKind.ENHANCED_MR if enhanced else DicomKind.MR
    with progress_bar() as report:
        study = make_study(seed, options, progress=report)
        if whole:
            study = with_whole_voxels(study)
        report(1.0, "writing")
        with folders_made([output]):
            write_study(study, output, truth=truth, dicom=kind if dicom else None)
    # Slices count their pixels times their distance, which is not quite the volume of the heart itself.
    volumes = study.volumes_ml["LV"]["slices"]
    counted = 100 * (1 - volumes[study.es_frame] / volumes[0]) if volumes[0] > 0 else None
    result = {
        "seed": seed,
        "shape": list(study.cine.shape),
        "es_frame": study.es_frame,
        "ejection_fraction": round(100 * study.ejection_fraction, 2),
        "ejection_fraction_of_labels": None if counted is None else round(counted, 2),
        "written": str(output),
    }
    answer(
        result,
        f"phantom {seed}: (T, Z, Y, X) = {study.cine.shape}, ES at frame {study.es_frame}, "
        f"LV EF {100 * study.ejection_fraction:.1f} %"
        + ("" if counted is None else f" ({counted:.1f} % by the labels of the slices)")
        + f", written to {output}",
        as_json=as_json,
    )
