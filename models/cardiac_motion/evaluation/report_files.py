"""The files that a report is written to, whatever was evaluated: CSV, JSON, Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from cardiac_motion.atomic import atomic_path
from cardiac_motion.evaluation.output_folder import merged_into

REPORT_FILES = (
    "structures.csv",
    "fields.csv",
    "report.json",
    "summary.md",
    "temporal_gradient.csv",
    "ejection.csv",
    "volumes.csv",
)
"""All that any report may write; one in a folder replaces another, of whichever kind."""

FIGURE_FOLDER = "figures"
"""In the folder of the report."""

_FIGURE = re.compile(rf"{FIGURE_FOLDER}/[A-Za-z0-9._-]+\.png")


def files_of_report(folder: Path) -> tuple[str, ...]:
    """Paths, relative to a folder, of the files of the report that lies in it; none where there is no report.

    Of the figures that its ``report.json`` names, only those with names that figures can have are believed.
    """
    try:
        named = json.loads((folder / "report.json").read_text(encoding="utf-8"))["figures"]
        figures = [name for name in named if isinstance(name, str) and _FIGURE.fullmatch(name)]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return (*REPORT_FILES, *figures)


def report_folder(output: Path, *, figures: bool = False) -> AbstractContextManager[Path]:
    """A temporary folder for a report, moved into ``output`` in place of an earlier one; see `merged_into`.

    Args:
        output: a folder, made if need be.
        figures: whether the report has any.
    """
    return merged_into(
        output,
        files=REPORT_FILES,
        folders=[FIGURE_FOLDER] if figures else [],
        earlier=files_of_report(output),
    )


def write_texts(output: Path, texts: Mapping[str, str]) -> None:
    """Write texts by the name of their file into a folder that exists, each whole or not at all.

    Raises:
        InputError: a file cannot be written.
    """
    for name, text in texts.items():
        with atomic_path(output / name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")


def json_text(content: Any) -> str:
    """As it is written to ``report.json``."""
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def csv_text(rows: Iterable[dict[str, Any]]) -> str:
    """At least one row, with one heading; what is not defined is empty."""
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        empty = (name for name, value in row.items() if isinstance(value, float) and math.isnan(value))
        writer.writerow({**row, **dict.fromkeys(empty, "")})
    return text.getvalue()


def finite(value: Any) -> Any:
    """The value with None for every number that JSON does not have: NaN and infinities."""
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
