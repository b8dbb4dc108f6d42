"""``Signal`` and ``Property`` for the stand-ins' class bodies, where the doubles turn them into something else."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore

Signal: Any = QtCore.Signal
Property: Any = QtCore.Property


def stored(kind: Any, name: str, default: Any, *, changed: str = "") -> Any:
    """A Qt property that holds a value, and calls the signal or method named where the value becomes another."""
    slot = f"_stand_in_{name}"

    def read(self: Any) -> Any:
        return self.__dict__.get(slot, default)

    def write(self: Any, value: Any) -> None:
        if read(self) == value:
            return
        self.__dict__[slot] = value
        if changed:
            getattr(self, changed)(value)

    return Property(kind, read, write)
