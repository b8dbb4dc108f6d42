"""A run on disk: everything that its further steps depend on, in one file that is always whole."""

from __future__ import annotations

import json
import pickle
import tempfile
import textwrap
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cardiac_motion.atomic import atomic_path
from cardiac_motion.errors import InputError
from cardiac_motion.training.options import FitOptions

NAME = "checkpoint.pt"
_FORMAT = 2


@dataclass
class Course:
    """How far a run has come and what has been found on the way.

    Attributes:
        step: updates made.
        losses: of each of them.
        validations: the step of each and its figures.
        best_step: of the weights with the best score; -1 before the first validation.
        best: those weights, on the CPU.
        stale: validations since then.
        seconds: of training.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list)
    validations: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    best_step: int = -1
    best: dict[str, Tensor] = field(default_factory=dict)
    stale: int = 0
    seconds: float = 0.0

    @property
    def best_scores(self) -> dict[str, float]:
        """Figures of the best weights."""
        return next((dict(scores) for step, scores in self.validations if step == self.best_step), {})


@dataclass(frozen=True)
class Checkpoint:
    """What a run resumes from.

    No state of a random generator is in it: every step seeds them anew from the run's seed and its own number.

    Attributes:
        task: name of the model.
        settings: of the task.
        options: of the run.
        course: so far.
        network: its weights after the last step.
        optimiser: its state.
        scaler: state of the scaling of gradients, empty without mixed precision.
    """

    task: str
    settings: Mapping[str, Any]
    options: FitOptions
    course: Course
    network: Mapping[str, Any]
    optimiser: Mapping[str, Any]
    scaler: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Put it in the place of the last one.

        Raises:
            InputError: it cannot be written; the last one is still there.
        """
        content = {
            "format": _FORMAT,
            "task": self.task,
            "settings": json.dumps(dict(self.settings), sort_keys=True),
            "options": asdict(self.options),
            "course": {f.name: getattr(self.course, f.name) for f in fields(self.course)},
            "network": dict(self.network),
            "optimiser": dict(self.optimiser),
            "scaler": dict(self.scaler),
        }
        path = folder / NAME
        with atomic_path(path) as temporary:
            try:
                torch.save(content, temporary)
            except RuntimeError as error:  # torch's writer says so of a full disk
                raise InputError(f"cannot write {path}: {error}") from error

    @classmethod
    def read(cls, folder: Path) -> Checkpoint:
        """The checkpoint of a folder, on the CPU.

        Raises:
            InputError: there is none, or it is damaged or of another version.
        """
        path = folder / NAME
        if path.is_file() and not zipfile.is_zipfile(path):
            # torch would take it for a file of its older format, which nothing here writes.
            raise InputError(f"the checkpoint {path} cannot be read: it is not whole")
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError as error:
            raise InputError(f"expected a run to resume in {folder}, there is no {NAME}") from error
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise InputError(
                f"expected a checkpoint in {path}, it cannot be read: {_first_line(error)}"
            ) from error
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            found = content.get("format") if isinstance(content, dict) else None
            raise InputError(f"expected a checkpoint of format {_FORMAT} in {path}, got format {found}")
        try:
            return cls(
                task=content["task"],
                settings=json.loads(content["settings"]),
                options=FitOptions(**content["options"]),
                course=Course(**content["course"]),
                network=content["network"],
                optimiser=content["optimiser"],
                scaler=content["scaler"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"the checkpoint {path} is not one of this version: {_first_line(error)}") from error

    def check_fits(self, task: str, settings: Mapping[str, Any], options: FitOptions) -> None:
        """Refuse to resume another run.

        Raises:
            InputError: another model, task or other options.
        """
        if self.task != task:
            raise InputError(f"expected a run of {task} to resume, got one of {self.task}")
        now = json.loads(json.dumps(dict(settings)))
        different = sorted(k for k in {*now, *self.settings} if now.get(k) != self.settings.get(k))
        if different:
            name = different[0]
            was, given = (textwrap.shorten(json.dumps(of.get(name)), 120) for of in (self.settings, now))
            raise InputError(
                f"expected the settings that the run was started with, {', '.join(different)} differ: {name} was "
                f"{was}, now it is {given}"
            )
        options.check_same(self.options)


def prepare_folder(folder: Path, *, resume: bool) -> None:
    """Make the folder of a run, and see that it can be written.

    Raises:
        InputError: it cannot be made or written, or holds a run already.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"expected a folder for the run, got the file {folder}")
    if (folder / NAME).exists() and not resume:
        raise InputError(f"{folder} holds a run already: resume it, or choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"cannot make or write the folder {folder}: {error.strerror or error}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
