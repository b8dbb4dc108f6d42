"""QSettings in memory."""

from __future__ import annotations

from typing import Any

_stores: dict[str, dict[str, Any]] = {}


def clear() -> None:
    """Forgets every setting."""
    _stores.clear()


def as_after_restart() -> None:
    """Turns values into what an .ini file gives back: text. ``False`` becomes the (true) string ``"false"``."""
    for store in _stores.values():
        for key, value in store.items():
            store[key] = _as_text(value)


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return [_as_text(each) for each in value] if isinstance(value, list | tuple) else value


class QSettings:
    """The application's settings, or with a file name those of that file."""

    IniFormat, NativeFormat, NoError = 1, 0, 0

    def __init__(self, *where: Any) -> None:
        self._values = _stores.setdefault(str(where[0]) if where else "", {})
        self._groups: list[str] = []

    def _key(self, key: str) -> str:
        return "/".join((*self._groups, key))

    def value(self, key: str, default: Any = None) -> Any:
        return self._values.get(self._key(key), default)

    def setValue(self, key: str, value: Any) -> None:
        self._values[self._key(key)] = value

    def contains(self, key: str) -> bool:
        return self._key(key) in self._values

    def remove(self, key: str) -> None:
        """Removes a value, or a group with all that is in it."""
        full = self._key(key)
        for each in [name for name in self._values if name == full or name.startswith(f"{full}/")]:
            del self._values[each]

    def beginGroup(self, name: str) -> None:
        self._groups.append(name)

    def endGroup(self) -> None:
        self._groups.pop()

    def group(self) -> str:
        return "/".join(self._groups)

    def allKeys(self) -> list[str]:
        prefix = self._key("")
        return sorted(key.removeprefix(prefix) for key in self._values if key.startswith(prefix))

    def childKeys(self) -> list[str]:
        return [key for key in self.allKeys() if "/" not in key]

    def childGroups(self) -> list[str]:
        return sorted({key.split("/")[0] for key in self.allKeys() if "/" in key})

    def clear(self) -> None:
        self._values.clear()

    def sync(self) -> None:
        """Nothing is written."""

    def status(self) -> int:
        return self.NoError
