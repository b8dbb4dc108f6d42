"""``parameterPack``: several parameters under one name."""

# ruff: noqa: N815 - names are Slicer's
from __future__ import annotations

import typing
from typing import Any, ClassVar

from tests.slicer.bed.stand_ins.annotations import Default, NotNone, first, split
from tests.slicer.bed.stand_ins.serializers import KNOWN, Serializer, serializer_for, slicer


def isParameterPack(kind: Any) -> bool:
    return bool(getattr(kind, "_is_parameterPack", False))


def members_of(cls: type) -> dict[str, tuple[Any, Serializer, Default]]:
    """Type, serializer and default of each annotated name of a class."""
    found = {}
    for name, annotated in typing.get_type_hints(cls, include_extras=True).items():
        serializer = serializer_for(annotated)
        if name in cls.__dict__:
            default = Default(cls.__dict__[name])
        else:
            default = first(split(annotated)[1], Default) or Default(generator=serializer.default)
        found[name] = (annotated, serializer, default)
    return found


def parameterPack(cls: Any = None) -> Any:
    """Class decorator."""
    return _process if cls is None else _process(cls)


def _process(cls: Any) -> Any:
    members = members_of(cls)
    if not members:
        raise ValueError("a parameterPack needs members")
    for name, (_, serializer, default) in members.items():
        try:
            serializer.validate(default.value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"the default of {name} is not valid: {error}") from error
        setattr(cls, name, _member(name, serializer))
    cls._own_init = cls.__dict__.get("__init__")
    for name in ("__init__", "__eq__", "__repr__"):
        setattr(cls, name, vars(_Pack)[name])
    cls.__hash__ = None
    cls.allParameters, cls._is_parameterPack, cls._make = members, True, _Pack._make
    cls.getValue, cls.setValue = _get, _set
    cls.dataType = staticmethod(lambda name: data_type(cls, name))
    return cls


class _Pack:
    """The methods that every pack gets."""

    allParameters: ClassVar[dict[str, Any]]
    _own_init: ClassVar[Any]

    def __init__(self, *values: Any, **named: Any) -> None:
        if self._own_init is None:
            self._make(*values, **named)
        else:
            self._make()
            self._own_init(*values, **named)

    def _make(self, *values: Any, **named: Any) -> None:
        given = dict(zip(self.allParameters, values, strict=False))
        unknown, twice = set(named) - set(self.allParameters), set(named) & set(given)
        if unknown or twice or len(values) > len(self.allParameters):
            raise TypeError(f"{type(self).__name__}: unknown {sorted(unknown)}, given twice {sorted(twice)}")
        given |= named
        for name, (_, _, default) in self.allParameters.items():
            setattr(self, name, given.get(name, default.value))

    def __eq__(self, other: object) -> bool:
        names = self.allParameters
        return type(self) is type(other) and all(getattr(self, name) == getattr(other, name) for name in names)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.allParameters)
        return f"{type(self).__name__}({values})"


def _member(name: str, serializer: Serializer) -> property:
    hidden = f"_parameterPack_{name}"

    def write(self: Any, value: Any) -> None:
        serializer.validate(value)
        self.__dict__[hidden] = value
        saving = self.__dict__.get("_save")
        if saving is not None:
            saving()

    return property(lambda self: self.__dict__[hidden], write)


def data_type(cls: Any, name: str) -> Any:
    """The type of a member, of a member's member with dots."""
    top, _, rest = name.partition(".")
    if top not in cls.allParameters:
        raise ValueError(f"{cls.__name__} has no parameter {top!r}, but {sorted(cls.allParameters)}")
    annotated = cls.allParameters[top][0]
    if not rest:
        return annotated
    inner = split(annotated)[0]
    if not isParameterPack(inner):
        raise ValueError(f"{top} is no parameterPack, so it has no {rest}")
    return data_type(inner, rest)


def _get(self: Any, name: str) -> Any:
    data_type(type(self), name)
    top, _, rest = name.partition(".")
    return _get(getattr(self, top), rest) if rest else getattr(self, top)


def _set(self: Any, name: str, value: Any) -> None:
    data_type(type(self), name)
    top, _, rest = name.partition(".")
    if rest:
        _set(getattr(self, top), rest, value)
    else:
        setattr(self, top, value)


class PackSerializer(Serializer):
    """Each member under ``name.member``; what is read writes itself back on every change."""

    validators = (NotNone(),)

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def default(self) -> Any:
        return self._kind()

    def validate(self, value: Any) -> None:
        super().validate(value)
        if not isinstance(value, self._kind):
            raise TypeError(f"expected {self._kind.__name__}, got {value!r}")

    def is_in(self, node: Any, name: str) -> bool:
        member, (_, serializer, _) = next(iter(self._kind.allParameters.items()))
        return bool(serializer.is_in(node, f"{name}.{member}"))

    def write(self, node: Any, name: str, value: Any) -> None:
        with slicer.util.NodeModify(node):
            for member, (_, serializer, _) in self._kind.allParameters.items():
                serializer.write(node, f"{name}.{member}", getattr(value, member))

    def read(self, node: Any, name: str) -> Any:
        pack = self._kind.__new__(self._kind)
        values = {
            member: serializer.read(node, f"{name}.{member}")
            for member, (_, serializer, _) in self._kind.allParameters.items()
        }
        self._kind._make(pack, **values)
        pack.__dict__["_save"] = lambda: self.write(node, name, pack)
        return pack

    def remove(self, node: Any, name: str) -> None:
        for member, (_, serializer, _) in self._kind.allParameters.items():
            serializer.remove(node, f"{name}.{member}")


KNOWN.append((isParameterPack, PackSerializer))
