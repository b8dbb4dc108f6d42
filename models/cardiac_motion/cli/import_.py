"""`cardiac-motion import`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cardiac_motion import __version__
from cardiac_motion.cli.console import answer, progress_bar
from cardiac_motion.cli.outputs import Output, check_outputs, staged
from cardiac_motion.dicom.importer import DicomImport, ImportedCine, import_dicom
from cardiac_motion.dicom.views import View
from cardiac_motion.io import write_cine

SUMMARY = "import.json"
_STEMS = (*(view.value for view in View), "rvot")


def import_(
    dicom: Annotated[Path, typer.Argument(help="Folder of DICOM files, in any order and depth.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")],
    all_stacks: Annotated[
        bool, typer.Option("--all", help="Of views that were acquired several times all, not the newest alone.")
    ] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave what is broken and list it, rather than stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Sort a folder of DICOM into 4D images, one per view."""
    names = (SUMMARY, *(f"{stem}{end}.nii.gz" for stem in _STEMS for end in ("", "_2")))
    outputs = {"cines": Output(output, is_folder=True, names=names)}
    check_outputs(outputs, [("DICOM folder", dicom)])
    with progress_bar() as report:
        found = import_dicom(dicom, all_stacks=all_stacks, keep_going=keep_going, progress=report)
        report(1.0, "writing")
        with staged(outputs) as paths:
            for cine in found.cines:
                write_cine(paths["cines"] / f"{cine.name}.nii.gz", cine.cine)
            text = json.dumps(summary_of(found), indent=1, allow_nan=False)
            (paths["cines"] / SUMMARY).write_text(text + "\n", encoding="utf-8")
    result = summary_of(found, with_files=True) | {"written": str(output)}
    answer(result, "\n".join([*_lines(found), f"written to {output}"]), as_json=as_json)


def summary_of(found: DicomImport, *, with_files: bool = False) -> dict[str, Any]:
    """What was imported and left, as plain values.

    Names of files often hold the patient's, so that what is kept beside the images has only their number.
    """
    return {
        "version": __version__,
        "cines": [_cine(each) for each in found.cines],
        "left": [
            {
                "reason": each.reason,
                "is_error": each.is_error,
                "series": list(each.series),
                "n_files": len(each.files),
                **({"files": list(each.files)} if with_files else {}),
            }
            for each in found.left
        ],
    }


def _cine(each: ImportedCine) -> dict[str, Any]:
    return {
        "name": each.name,
        "view": each.view.value,
        "shape": list(each.cine.shape),
        "spacing_mm": [round(value, 6) for value in each.cine.spacing],
        "frame_times_s": [round(float(value), 6) for value in each.cine.frame_times],
        "rr_seconds": [round(value, 6) for value in each.rr_seconds],
        "series": list(each.series),
        "notes": list(each.notes),
        "is_newest": each.is_newest,
    }


def _lines(found: DicomImport) -> list[str]:
    lines = []
    for each in found.cines:
        frames, slices = each.cine.shape[:2]
        rr = " to ".join(f"{value:.3f}" for value in sorted({min(each.rr_seconds), max(each.rr_seconds)}))
        numbers = ", ".join(map(str, each.series))
        slices_text = "1 slice" if slices == 1 else f"{slices} slices"
        lines.append(f"{each.name}: {slices_text} of {frames} frames, heart cycle {rr} s, series {numbers}")
        lines += [f"  {note}" for note in each.notes]
    lines += [f"left: {each}" for each in found.left]
    return lines
