"""What every infer task of this app has in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from cardiac_motion.io.labels import LabelImage
from cardiac_motion.labels import STRUCTURES
from cardiac_motion.registration.base import Progress, silent
from monailabel.interfaces.exception import MONAILabelError, MONAILabelException
from monailabel.interfaces.tasks.infer_v2 import InferTask
from pydantic import BaseModel, ConfigDict, ValidationError

from monailabel_app.lib.datastore import Case, LocalDatastore
from monailabel_app.lib.errors import Unprocessable


class TaskParams(BaseModel):
    """Parameters that a request may set; anything else is refused.

    Attributes:
        client_id: the stock client sends one; it changes nothing.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    client_id: str | None = None


@dataclass(frozen=True)
class RunContext:
    """What a task is given besides its parameters.

    Attributes:
        case: the images.
        label: that came with the request, or None.
        datastore: for labels that are named instead.
        folder: for the files of the answer; it lives as long as the answer.
        progress: called with the fraction done; may raise `Cancelled`.
        hold_device: gives the processor or GPU to one heavy computation at a time.
        is_single_frame: the image is a 3D one that came with the request; the case repeats it.
    """

    case: Case
    label: LabelImage | None
    datastore: LocalDatastore
    folder: Path
    progress: Progress = silent
    hold_device: Callable[[], AbstractContextManager[None]] = nullcontext
    is_single_frame: bool = False


@dataclass(frozen=True)
class Outcome:
    """The answer of a task.

    Attributes:
        params: plain values, finite numbers only.
        file: within the folder of the context, or None.
    """

    params: dict[str, Any]
    file: Path | None


@dataclass(frozen=True)
class ModelEntry:
    """A model as ``/info/`` lists it.

    Attributes:
        name: in the registry.
        kinds: what it does.
        views: that it is made for.
        version: of its weights, or of its code where it has none.
        default_for: kinds that it is taken for if a request names none.
        options: JSON schema of its options.
    """

    name: str
    kinds: tuple[Literal["motion", "segmentation", "generation"], ...]
    views: tuple[str, ...]
    version: int | str
    default_for: tuple[str, ...]
    options: dict[str, Any]


class CineTask(InferTask):
    """An infer task on a case of the datastore.

    Subclasses name their parameters, and work in `run`.

    Args:
        task_type: MONAI Label's. Its own plug-in for Slicer offers tasks of a type that it knows, and takes 3D
            labels alone.
        description: for people.
        config: parameters that stock clients show and send, with their defaults.

    Attributes:
        takes_frame_files: whether a request may bring a 3D image instead of naming one of the datastore.
    """

    params_model: ClassVar[type[TaskParams]] = TaskParams
    takes_frame_files: ClassVar[bool] = False

    def __init__(self, *, task_type: str, description: str, config: dict[str, Any] | None = None) -> None:
        labels = {structure.name: int(structure) for structure in STRUCTURES}
        super().__init__(type=task_type, labels=labels, dimension=4, description=description, config=config)

    def is_valid(self) -> bool:
        """Whether it can be used; asked for by MONAI Label."""
        return True

    def models(self) -> list[ModelEntry]:
        """The models that it offers."""
        return []

    def parse(self, params: Mapping[str, Any]) -> TaskParams:
        """Parameters of a request, checked.

        Raises:
            Unprocessable: one that there is not, or a value that it cannot take.
        """
        return parse_params(self.params_model, params)

    @abstractmethod
    def run(self, context: RunContext, params: Any) -> Outcome:
        """Do the work.

        Args:
            context: images and labels.
            params: as `parse` gave them.

        Raises:
            RequestError: what cannot be done.
            InputError: labels or options that do not fit.
            Cancelled: from the progress callback.
        """

    def __call__(self, request: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """As MONAI Label calls a task.

        Args:
            request: a `RunContext` under ``context``, and parameters under ``params``.

        Returns:
            The path of the answer's file, and its parameters.

        Raises:
            MONAILabelException: a request of MONAI Label's own server, which checks nothing.
        """
        context = request.get("context")
        if not isinstance(context, RunContext):
            raise MONAILabelException(
                MONAILabelError.INVALID_INPUT,
                "this app is served by `cardiac-motion serve`, which checks requests",
            )
        outcome = self.run(context, self.parse(request.get("params", {})))
        return None if outcome.file is None else str(outcome.file), outcome.params


def parse_params(model: type[TaskParams], params: Mapping[str, Any]) -> TaskParams:
    """Parameters of a request, checked.

    Raises:
        Unprocessable: one that there is not, or a value that it cannot take.
    """
    try:
        return model.model_validate(dict(params))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        known = ", ".join(model.model_fields)
        if first["type"] == "extra_forbidden":
            message = f"there is no parameter {name!r}; there are {known}"
        else:
            message = f"parameter {name}: {first['msg']}"
        raise Unprocessable(message, code="bad_params", field=name) from None
