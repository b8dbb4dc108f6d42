"""Signals as PythonQt shows them."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore

from tests.slicer.bed.blocks import inside


def accepted_arguments(function: Callable[..., Any]) -> int | None:
    """How many values of a signal PythonQt hands to a callable; None: all of them.

    PythonQt counts the positional arguments in the code object, those with a default too.
    """
    bound = inspect.ismethod(function)
    code = getattr(function.__func__ if inspect.ismethod(function) else function, "__code__", None)
    if code is None or code.co_flags & inspect.CO_VARARGS:
        return None
    return int(code.co_argcount) - int(bound)


def split_arguments(arguments: str) -> list[str]:
    """``a<b,c>, d`` as ``["a<b,c>", "d"]``."""
    parts, depth, current = [], 0, ""
    for letter in arguments:
        depth += (letter == "<") - (letter == ">")
        if letter == "," and not depth:
            parts.append(current)
            current = ""
        else:
            current += letter
    return [part.strip() for part in (*parts, current) if part.strip()]


def normalized(signature: str) -> str:
    """``clicked( bool )`` becomes ``clicked(bool)``."""
    name, _, rest = signature.partition("(")
    return f"{name.strip()}({','.join(split_arguments(rest.rstrip().removesuffix(')')))})"


@functools.cache
def signals_of(cls: type) -> dict[str, tuple[str, ...]]:
    """Signatures of a class's signals, by name, the fullest first."""
    meta = cls.staticMetaObject  # type: ignore[attr-defined]
    found: dict[str, tuple[str, ...]] = {}
    for i in range(meta.methodCount()):
        method = meta.method(i)
        if method.methodType() == QtCore.QMetaMethod.MethodType.Signal:
            name = bytes(method.name().data()).decode()
            found[name] = (*found.get(name, ()), bytes(method.methodSignature().data()).decode())
    return found


def _receiver(function: Callable[..., Any], arity: int, adopt: Callable[[Any], Any]) -> Callable[..., Any]:
    """A callable of exactly `arity` arguments; PySide6 would hand fewer to one that takes any number."""
    accepted = accepted_arguments(function)
    keep = arity if accepted is None else min(arity, accepted)

    def call(*values: Any) -> None:
        with inside(getattr(function, "__qualname__", "a slot")):
            function(*[adopt(value) for value in values[:keep]])

    shapes: tuple[Callable[..., Any], ...] = (
        lambda: call(),  # noqa: PLW0108
        lambda a: call(a),  # noqa: PLW0108
        lambda a, b: call(a, b),  # noqa: PLW0108
        lambda a, b, c: call(a, b, c),  # noqa: PLW0108
        lambda a, b, c, d: call(a, b, c, d),  # noqa: PLW0108
    )
    return shapes[arity]


class Signal:
    """A bound signal: connect, disconnect; calling it emits. It has no ``emit``, as PythonQt's has none."""

    def __init__(self, bound: Any, signature: str, connections: list[Any], adopt: Callable[[Any], Any]) -> None:
        self._bound, self._signature, self._connections, self._adopt = bound, signature, connections, adopt
        self._arity = len(split_arguments(signature[signature.index("(") + 1 : -1]))

    def connect(self, function: Callable[..., Any]) -> bool:
        """Calls `function` on every emission, with as many values as it takes."""
        if not callable(function):
            raise TypeError(f"connect expects a callable, not {function!r}")
        receiver = _receiver(function, self._arity, self._adopt)
        self._connections.append((self._signature, function, receiver))
        self._bound.connect(receiver)
        return True

    def disconnect(self, function: Callable[..., Any]) -> bool:
        """Undoes one connect; False where there was none."""
        for entry in self._connections:
            if entry[0] == self._signature and entry[1] == function:
                self._connections.remove(entry)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self._bound.disconnect(entry[2])
                return True
        return False

    def __call__(self, *values: Any) -> None:
        self._bound.emit(*values)
