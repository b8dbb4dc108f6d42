"""What a server offers, as its ``/info/`` tells; entries that this client does not know are no harm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from CardiacMotionLib.client.answers import entry
from CardiacMotionLib.client.errors import BadAnswer

API_VERSION = 1
"""Of the server's interface."""

T = TypeVar("T")


@dataclass(frozen=True)
class OfferedModel:
    """A model that the server hosts.

    Attributes:
        name: as `options` of a task take it.
        kinds: what it can do, such as "motion".
        views: "sax", "lax".
        version: of its weights, or of its code.
        default_for: the kinds that it does unless another model is named.
        options: JSON schema of its options.
    """

    name: str
    kinds: tuple[str, ...]
    views: tuple[str, ...]
    version: int | str | None
    default_for: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class OfferedLimits:
    """What the server takes at most; None where it does not say.

    Attributes:
        upload_bytes: of a request.
        voxels: of an image, over all frames.
        frames: of an image.
        jobs: that wait or run at a time.
    """

    upload_bytes: int | None
    voxels: int | None
    frames: int | None
    jobs: int | None


@dataclass(frozen=True)
class Offer:
    """What a server offers. Show what is listed, and nothing else.

    Attributes:
        api: version of the interface.
        version: of the server.
        tasks: names of infers.
        models: that the tasks can use.
        strategies: that choose the next case.
        labels: value by name of a structure.
        limits: of what is sent.
        imports: formats of files that the server makes cases of, such as "dicom".
    """

    api: int
    version: str
    tasks: tuple[str, ...]
    models: tuple[OfferedModel, ...]
    strategies: tuple[str, ...]
    labels: Mapping[str, int]
    limits: OfferedLimits
    imports: tuple[str, ...] = ()

    def models_of(self, kind: str) -> tuple[OfferedModel, ...]:
        """The models that can do something, the default one first."""
        found = [model for model in self.models if kind in model.kinds]
        return tuple(sorted(found, key=lambda model: kind not in model.default_for))


def check_api(info: Mapping[str, Any], address: str) -> dict[str, Any]:
    """Our own part of a server's description.

    Raises:
        BadAnswer: a server of another kind, or of an interface that this client does not know.
    """
    ours = info.get("cardiac_motion", {})
    api = ours.get("api") if isinstance(ours, dict) else ours
    if not isinstance(ours, dict) or api != API_VERSION or isinstance(api, bool):
        raise BadAnswer(
            f"expected a server of CardiacMotion with interface {API_VERSION} at {address}, got "
            f"{'another server' if api is None else f'interface {api!r}'}"
        )
    return ours


def parse_offer(ours: Mapping[str, Any]) -> Offer:
    """The offer, from our own part of a server's description.

    Raises:
        BadAnswer: an entry of another type than it must have. One that is missing counts as empty.
    """
    limits = entry(ours, "limits", dict) if "limits" in ours else {}
    labels = entry(ours, "labels", dict) if "labels" in ours else {}
    return Offer(
        api=entry(ours, "api", int),
        version=str(ours.get("version", "")),
        tasks=_list(ours, "tasks", str),
        models=tuple(_model(model) for model in _list(ours, "models", dict)),
        strategies=_list(ours, "strategies", str),
        labels={str(name): entry(labels, name, int) for name in labels},
        limits=OfferedLimits(
            **{
                name: None if limits.get(name) is None else entry(limits, name, int)
                for name in ("upload_bytes", "voxels", "frames", "jobs")
            }
        ),
        imports=_list(ours, "imports", str),
    )


def _model(model: Mapping[str, Any]) -> OfferedModel:
    version = model.get("version")
    return OfferedModel(
        name=entry(model, "name", str),
        kinds=_list(model, "kinds", str),
        views=_list(model, "views", str),
        version=version if isinstance(version, int | str) else None,
        default_for=_list(model, "default_for", str),
        options=entry(model, "options", dict) if "options" in model else {},
    )


def _list(answer: Mapping[str, Any], name: str, kind: type[T]) -> tuple[T, ...]:
    if name not in answer:
        return ()
    values = entry(answer, name, list)
    if not all(isinstance(value, kind) for value in values):
        raise BadAnswer(
            f"expected {name!r} as a list of {kind.__name__} in the server's answer, got {values!r:.200}"
        )
    return tuple(values)
