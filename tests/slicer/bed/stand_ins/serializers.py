"""Values to the text parameters and node references of a vtkMRMLScriptedModuleNode, and back."""

from __future__ import annotations

import enum
import importlib
import pathlib
import typing
from collections.abc import Callable, Iterator, MutableMapping, MutableSequence
from typing import Any

from tests.slicer.bed.stand_ins.annotations import IsInstance, NotNone, Validator, split

slicer: Any = importlib.import_module("slicer")


class Serializer:
    """Base: how one type is kept under a name in a parameter node."""

    validators: tuple[Validator, ...] = ()

    def default(self) -> Any:
        raise NotImplementedError

    def is_in(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(name))

    def write(self, node: Any, name: str, value: Any) -> None:
        raise NotImplementedError

    def read(self, node: Any, name: str) -> Any:
        raise NotImplementedError

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)

    def validate(self, value: Any) -> None:
        for validator in self.validators:
            validator.validate(value)

    def checked_write(self, node: Any, name: str, value: Any) -> None:
        self.validate(value)
        self.write(node, name, value)


class Text(Serializer):
    """int, float, str, bool, a path or an enum: one text parameter."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self.validators = (NotNone(), IsInstance((int, float) if kind is float else kind))

    def default(self) -> Any:
        return next(iter(self._kind)) if issubclass(self._kind, enum.Enum) else self._kind()

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, value.name if isinstance(value, enum.Enum) else str(value))

    def read(self, node: Any, name: str) -> Any:
        text = node.GetParameter(name)
        if self._kind is bool:
            return text == "True"
        return self._kind[text] if issubclass(self._kind, enum.Enum) else self._kind(text)


class NodeReference(Serializer):
    """A MRML node, or None; kept as a reference, so that it follows the node through saving and loading."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.validators = (IsInstance(kind),)

    def default(self) -> Any:
        return None

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node: Any, name: str) -> Any:
        return node.GetNodeReference(name)

    def remove(self, node: Any, name: str) -> None:
        super().remove(node, name)
        node.RemoveNodeReferenceIDs(name)


class NoValue(Serializer):
    """None alone; a part of Optional."""

    def validate(self, value: Any) -> None:
        if value is not None:
            raise TypeError(f"expected None, got {value!r}")

    def write(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, "True")

    def read(self, node: Any, name: str) -> Any:
        return None


class Items(Serializer):
    """list[...]: the length, and one entry per item."""

    validators = (NotNone(),)

    def __init__(self, item: Serializer) -> None:
        self._item = item

    def default(self) -> Any:
        return []

    def is_in(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(f"{name}_len"))

    def write(self, node: Any, name: str, value: Any) -> None:
        values = list(value)
        for each in values:
            self._item.validate(each)
        with slicer.util.NodeModify(node):
            self.remove(node, name)
            for i, each in enumerate(values):
                self._item.write(node, f"{name}_{i}", each)
            node.SetParameter(f"{name}_len", str(len(values)))

    def read(self, node: Any, name: str) -> Any:
        length = int(node.GetParameter(f"{name}_len") or 0)
        return ObservedList(node, self, name, [self._item.read(node, f"{name}_{i}") for i in range(length)])

    def remove(self, node: Any, name: str) -> None:
        for i in range(int(node.GetParameter(f"{name}_len") or 0)):
            self._item.remove(node, f"{name}_{i}")
        node.UnsetParameter(f"{name}_len")


class Fixed(Serializer):
    """tuple[...]: one entry per item, as many as the type has."""

    validators = (NotNone(),)

    def __init__(self, items: list[Serializer]) -> None:
        self._items = items

    def default(self) -> Any:
        return tuple(item.default() for item in self._items)

    def is_in(self, node: Any, name: str) -> bool:
        return self._items[0].is_in(node, f"{name}_0")

    def write(self, node: Any, name: str, value: Any) -> None:
        values = tuple(value)
        if len(values) != len(self._items):
            raise ValueError(f"expected {len(self._items)} values, got {len(values)}")
        with slicer.util.NodeModify(node):
            for i, (item, each) in enumerate(zip(self._items, values, strict=True)):
                item.checked_write(node, f"{name}_{i}", each)

    def read(self, node: Any, name: str) -> Any:
        return tuple(item.read(node, f"{name}_{i}") for i, item in enumerate(self._items))

    def remove(self, node: Any, name: str) -> None:
        for i, item in enumerate(self._items):
            item.remove(node, f"{name}_{i}")


class Mapping(Serializer):
    """dict[...]: a list of pairs."""

    validators = (NotNone(),)

    def __init__(self, key: Serializer, value: Serializer) -> None:
        self._pairs = Items(Fixed([key, value]))

    def default(self) -> Any:
        return {}

    def is_in(self, node: Any, name: str) -> bool:
        return self._pairs.is_in(node, name)

    def write(self, node: Any, name: str, value: Any) -> None:
        self._pairs.write(node, name, value.items())

    def read(self, node: Any, name: str) -> Any:
        return ObservedDict(node, self, name, dict(self._pairs.read(node, name)))

    def remove(self, node: Any, name: str) -> None:
        self._pairs.remove(node, name)


class Either(Serializer):
    """Union and Optional: each alternative has a name of its own."""

    def __init__(self, alternatives: list[Serializer]) -> None:
        self._alternatives = alternatives

    def default(self) -> Any:
        optional = len(self._alternatives) == 2 and isinstance(self._alternatives[1], NoValue)
        return None if optional else self._alternatives[0].default()

    def is_in(self, node: Any, name: str) -> bool:
        return any(each.is_in(node, f"{name}_{i}") for i, each in enumerate(self._alternatives))

    def validate(self, value: Any) -> None:
        self._fitting(value)

    def _fitting(self, value: Any) -> int:
        problem: Exception = TypeError(f"no alternative of the type takes {value!r}")
        none = [i for i, each in enumerate(self._alternatives) if isinstance(each, NoValue)]
        if value is None and none:
            return none[0]
        for i, each in enumerate(self._alternatives):
            try:
                each.validate(value)
            except (TypeError, ValueError) as error:
                problem = error
            else:
                return i
        raise problem

    def write(self, node: Any, name: str, value: Any) -> None:
        chosen = self._fitting(value)
        with slicer.util.NodeModify(node):
            self.remove(node, name)
            self._alternatives[chosen].write(node, f"{name}_{chosen}", value)

    def read(self, node: Any, name: str) -> Any:
        for i, each in enumerate(self._alternatives):
            if each.is_in(node, f"{name}_{i}"):
                return each.read(node, f"{name}_{i}")
        return None

    def remove(self, node: Any, name: str) -> None:
        for i, each in enumerate(self._alternatives):
            if each.is_in(node, f"{name}_{i}"):
                each.remove(node, f"{name}_{i}")


class ObservedList(MutableSequence[Any]):
    """A list that writes itself back on every change; like Slicer's, it cannot be added to another list."""

    def __init__(self, node: Any, serializer: Serializer, name: str, values: list[Any]) -> None:
        self._node, self._serializer, self._name, self._values = node, serializer, name, values

    def __eq__(self, other: object) -> bool:
        return self._values == (other._values if isinstance(other, ObservedList) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ObservedList({self._values})"

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> Any:
        return self._values[index]

    def _save(self, values: list[Any]) -> None:
        self._serializer.write(self._node, self._name, values)
        self._values = self._serializer.read(self._node, self._name)._values

    def __setitem__(self, index: Any, value: Any) -> None:
        values = list(self._values)
        values[index] = value
        self._save(values)

    def __delitem__(self, index: Any) -> None:
        values = list(self._values)
        del values[index]
        self._save(values)

    def insert(self, index: int, value: Any) -> None:
        values = list(self._values)
        values.insert(index, value)
        self._save(values)

    def __add__(self, other: Any) -> Any:
        raise NotImplementedError("an ObservedList cannot be added to; += can")

    __radd__ = __mul__ = __rmul__ = __add__


class ObservedDict(MutableMapping[Any, Any]):
    """A dict that writes itself back on every change. Slicer's ``get`` and ``pop`` take no default."""

    def __init__(self, node: Any, serializer: Serializer, name: str, values: dict[Any, Any]) -> None:
        self._node, self._serializer, self._name, self._values = node, serializer, name, values

    def __eq__(self, other: object) -> bool:
        return self._values == (other._values if isinstance(other, ObservedDict) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ObservedDict({self._values})"

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __getitem__(self, key: Any) -> Any:
        return self._values[key]

    def get(self, key: Any) -> Any:  # type: ignore[override]
        return self._values.get(key)

    def pop(self, key: Any) -> Any:  # type: ignore[override]
        value = self._values[key]
        del self[key]
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        self._save({**self._values, key: value})

    def __delitem__(self, key: Any) -> None:
        values = dict(self._values)
        del values[key]
        self._save(values)

    def _save(self, values: dict[Any, Any]) -> None:
        self._serializer.write(self._node, self._name, values)
        self._values = self._serializer.read(self._node, self._name)._values


_TEXTS = (int, float, str, bool, pathlib.Path, pathlib.PurePath, pathlib.PurePosixPath, pathlib.PureWindowsPath)


def serializer_for(annotated: Any) -> Serializer:
    """The serializer of a (possibly annotated) type, with the annotation's validators after its own.

    ``X | None`` is refused: Slicer knows ``Optional[X]`` and ``Union`` alone.
    """
    kind, annotations = split(annotated)
    made = _plain(kind)
    own = [each() if isinstance(each, type) else each for each in annotations if _is_validator(each)]
    made.validators = (*made.validators, *own)
    return made


def _is_validator(annotation: Any) -> bool:
    return isinstance(annotation, Validator) or (
        isinstance(annotation, type) and issubclass(annotation, Validator)
    )


def _is_class(base: Any) -> Callable[[Any], bool]:
    return lambda kind: isinstance(kind, type) and issubclass(kind, base)


def _parts(kind: Any) -> list[Serializer]:
    return [serializer_for(part) for part in typing.get_args(kind)]


KNOWN: list[tuple[Callable[[Any], bool], Callable[[Any], Serializer]]] = [
    (lambda kind: kind in _TEXTS, Text),
    (_is_class(enum.Enum), Text),
    (lambda kind: kind is type(None), lambda _: NoValue()),
    (_is_class(slicer.vtkMRMLNode), NodeReference),
    (lambda kind: typing.get_origin(kind) is list, lambda kind: Items(*_parts(kind))),
    (lambda kind: typing.get_origin(kind) is dict, lambda kind: Mapping(*_parts(kind))),
    (lambda kind: typing.get_origin(kind) is tuple, lambda kind: Fixed(_parts(kind))),
    (lambda kind: typing.get_origin(kind) is typing.Union, lambda kind: Either(_parts(kind))),
]
"""Which types are known, and what makes their serializer."""


def _plain(kind: Any) -> Serializer:
    for fits, make in KNOWN:
        if fits(kind):
            return make(kind)
    raise TypeError(f"no serializer for the type {kind}")
