"""The table of a run, and the files of its faults."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.dicom_folders import Files, read_files, write_files
from benchmarks.fuzz.outcome import FAULTS, Kind, Outcome
from benchmarks.fuzz.target import Mutant, Sample, Target

_COLUMNS = (
    "format", "files", "results", "of them compared", "refusals", "crashes", "hangs", "foreign exceptions",
    "noise", "wrong images", "longest s", "largest MB",
)  # fmt: skip


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown: one line for each format, and one for all."""
    names = sorted({outcome.job.target for outcome in outcomes})
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|" + " --- |" * len(_COLUMNS)]
    lines += [_line(name, [each for each in outcomes if each.job.target == name]) for name in names]
    return "\n".join([*lines, _line("all", outcomes)])


def _line(name: str, outcomes: Sequence[Outcome]) -> str:
    count = Counter(each.kind for each in outcomes)
    kinds = (Kind.REFUSAL, Kind.CRASH, Kind.HANG, Kind.FOREIGN, Kind.NOISE, Kind.WRONG)
    cells: list[object] = [name, len(outcomes), count[Kind.RESULT], sum(each.checked for each in outcomes)]
    cells += [count[kind] for kind in kinds]
    cells.append(f"{max((each.seconds for each in outcomes), default=0):.2f}")
    cells.append(f"{max((each.megabytes for each in outcomes), default=0):.0f}")
    return "| " + " | ".join(map(str, cells)) + " |"


def faults(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those that should not be."""
    return [outcome for outcome in outcomes if outcome.kind in FAULTS]


class KeptTarget:
    """The files of a fault as they were kept, in the place of mutants of its target."""

    def __init__(self, target: Target, folder: Path) -> None:
        about = json.loads((folder / "outcome.json").read_text(encoding="utf-8"))
        self.name = target.name
        self._target = target
        self._mutant = Mutant(read_files(folder / "files"), about["what"], about["reader"])

    def samples(self) -> list[Sample]:
        """None that have to be read."""
        return []

    def mutate(self, samples: Sequence[Sample], luck: random.Random) -> Mutant:  # noqa: ARG002 - the same each time
        """The kept files."""
        return self._mutant

    def read(self, folder: Path, kind: str) -> Any:
        """As the target."""
        return self._target.read(folder, kind)

    def judge(self, folder: Path, kind: str, result: Any) -> str | None:
        """As the target."""
        return self._target.judge(folder, kind, result)


def keep(outcome: Outcome, files: Files, folder: Path) -> Path:
    """Write the files of a fault and what came of them; where they are."""
    place = folder / str(outcome.job).replace(":", "-")
    write_files(files, place / "files")
    about = {**asdict(outcome), "job": str(outcome.job)}
    (place / "outcome.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return place
