"""`cardiac-motion evaluate` and `cardiac-motion merge-folds`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cardiac_motion.cli.console import answer, note, parse_settings, progress_bar
from cardiac_motion.cli.outputs import check_output_folder
from cardiac_motion.datasets import read_split
from cardiac_motion.errors import InputError
from cardiac_motion.evaluation import EvaluationReport, evaluate_folder
from cardiac_motion.evaluation.aligned import AlignedMotion
from cardiac_motion.evaluation.segmentation import SegmentationReport, evaluate_segmentation, merge_folds
from cardiac_motion.evaluation.segmentation.fused import FusedSegmentation, Segmenter
from cardiac_motion.evaluation.selection import Selection
from cardiac_motion.model import Model
from cardiac_motion.pipeline_segmentation import FUSED, segmentation_names
from cardiac_motion.registration.base import with_options
from cardiac_motion.registration.registry import DEFAULT_MOTION_MODEL, motion_model
from cardiac_motion.segmentation.registry import segmentation_model, segmentation_model_of


def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder of a data set, told by its files: ACDC, M&Ms, Sunnybrook, ukbb_cardiac, studies of a "
            "server; or of cines with labels (NAME, NAME_labels), of folders of studies (cine, labels) or of "
            "pairs (NAME_ED and NAME_ES, each with _gt or _endo)."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for tables and figures.")],
    model: Annotated[list[str] | None, typer.Option(help="Motion model; may be repeated.")] = None,
    segmentation: Annotated[
        list[str] | None,
        typer.Option(
            help="Evaluate segmentation instead: a model's name, or NAME=FILE for weights of one's own, under a "
            "name for the tables; may be repeated."
        ),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Option as NAME=VALUE, of every model that is evaluated.")
    ] = None,
    align: Annotated[
        bool,
        typer.Option(
            "--align",
            help="Also score every motion model with the slices aligned before, as NAME-aligned, and whether that "
            "differs.",
        ),
    ] = False,
    split: Annotated[
        Path | None, typer.Option(help="Only some patients, by a file of `cardiac-motion split`.")
    ] = None,
    fold: Annotated[int | None, typer.Option(help="Of a split into folds: the one held out, from 0.")] = None,
    part: Annotated[str | None, typer.Option(help="Of another split: the part; test by default.")] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave out cases that cannot be read, and list them.")
    ] = False,
    figures: Annotated[bool, typer.Option("--figures", help="Also draw the figures.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score motion models, the unregistered labels beside them, or segmentation models, on labelled cines."""
    if model and segmentation:
        raise InputError("expected either --model (motion) or --segmentation, got both")
    if align and segmentation:
        raise InputError("--align is for motion models, got it with --segmentation")
    changes = parse_settings(option or [])
    selection = Selection(read_split(split) if split is not None else None, fold, part, keep_going)
    found: EvaluationReport | SegmentationReport
    if segmentation:
        segmenting = _segmentation_models(segmentation)
        with progress_bar() as report:
            found = evaluate_segmentation(
                data,
                models=segmenting,
                output=output,
                figures=figures,
                options=_options(segmenting, changes),
                selection=selection,
                progress=report,
            )
    else:
        models = {name: motion_model(name) for name in model or [DEFAULT_MOTION_MODEL]}
        if align:
            models = {
                name: each
                for native in models.values()
                for name, each in ((native.name, native), (f"{native.name}-aligned", AlignedMotion(native)))
            }
        with progress_bar() as report:
            found = evaluate_folder(
                data,
                models=models,
                output=output,
                figures=figures,
                options=_options(models, changes),
                selection=selection,
                progress=report,
            )
        for text in dict.fromkeys(s for m in models.values() if isinstance(m, AlignedMotion) for s in m.unaligned):
            note(text)
    _answer(found, output, as_json=as_json)


def merge_folds_command(
    folders: Annotated[
        list[Path],
        typer.Argument(help="What `evaluate --segmentation … --split … --fold N` wrote, a folder for each fold."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the tables over all patients.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Put the folds of an evaluation of segmentation together: mean and standard deviation over all patients."""
    check_output_folder(output)
    _answer(merge_folds(folders, output), output, as_json=as_json)


def _answer(found: EvaluationReport | SegmentationReport, output: Path, *, as_json: bool) -> None:
    answer(
        {**found.to_json(), "written": str(output)},
        f"{found.markdown(figures=False)}\nwritten to {output}",
        as_json=as_json,
    )


def _options(models: Mapping[str, Model], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Of every model, the same ones changed."""
    return {name: with_options(each.default_options, changes) for name, each in models.items()}


def _segmentation_models(given: list[str]) -> dict[str, Segmenter]:
    """Models by the name that they have in the tables, from NAME or NAME=FILE; of `fused` it is the network's."""
    models: dict[str, Segmenter] = {}
    for each in given:
        name, equals, file = (part.strip() for part in each.partition("="))
        if not name or (equals and not file):
            raise InputError(f"expected --segmentation NAME or NAME=FILE, got {each!r}")
        if name in models:
            raise InputError(f"expected every segmentation under a name of its own, got {name} twice")
        if not equals and name not in segmentation_names():
            there = ", ".join(segmentation_names()) or "none"
            raise InputError(
                f"expected a segmentation model that has weights ({there}), or NAME=FILE, got {name!r}"
            )
        if name == FUSED:
            models[name] = FusedSegmentation(Path(file) if equals else None)
        else:
            models[name] = segmentation_model_of(Path(file)) if equals else segmentation_model(name)
    return models
