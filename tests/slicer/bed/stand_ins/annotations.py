"""What may stand in ``Annotated[...]`` of a parameter: defaults, validators, hints for widgets."""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_NOTHING = object()


class Default:
    """A value, or a function that makes one for each new parameter node."""

    def __init__(self, value: Any = _NOTHING, *, generator: Callable[[], Any] | None = None) -> None:
        if (value is _NOTHING) == (generator is None):
            raise ValueError("Default takes a value or a generator")
        self._value, self._generator = value, generator

    @property
    def value(self) -> Any:
        return self._generator() if self._generator is not None else self._value


@dataclass
class Decimals:
    """Digits after the point in a spin box."""

    value: int


@dataclass
class SingleStep:
    """The step of a spin box or a slider."""

    value: float


class Validator:
    """Base of the validators; `validate` raises where a value does not fit."""

    def validate(self, value: Any) -> None:
        raise NotImplementedError


class NotNone(Validator):
    """Not None."""

    def validate(self, value: Any) -> None:
        if value is None:
            raise ValueError("expected a value, got None")


@dataclass
class IsInstance(Validator):
    """Of a class; None passes."""

    kind: Any

    def validate(self, value: Any) -> None:
        if value is not None and not isinstance(value, self.kind):
            raise TypeError(f"expected {self.kind}, got {value!r}")


@dataclass
class WithinRange(Validator):
    """Between two bounds, both included."""

    minimum: Any
    maximum: Any

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"expected {self.minimum} to {self.maximum}, got {value}")


@dataclass
class Minimum(Validator):
    """At least."""

    minimum: Any

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"expected at least {self.minimum}, got {value}")


@dataclass
class Maximum(Validator):
    """At most."""

    maximum: Any

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"expected at most {self.maximum}, got {value}")


@dataclass
class Choice(Validator):
    """One of."""

    choices: Any

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"expected one of {self.choices}, got {value!r}")


@dataclass
class Exclude(Validator):
    """None of."""

    excluded: Any

    def validate(self, value: Any) -> None:
        if value in self.excluded:
            raise ValueError(f"{value!r} is excluded")


def split(annotated: Any) -> tuple[Any, list[Any]]:
    """``Annotated[t, a, b]`` as ``(t, [a, b])``; any other type with an empty list."""
    if typing.get_origin(annotated) is typing.Annotated:
        kind, *annotations = typing.get_args(annotated)
        return kind, annotations
    return annotated, []


def first(annotations: list[Any], kind: type) -> Any:
    """The first annotation of a class, or None."""
    return next((each for each in annotations if isinstance(each, kind)), None)
