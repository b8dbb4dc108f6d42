"""Options of a server's models: what can be chosen, as their JSON schema says, and what was. Knows no Qt."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from CardiacMotionLib.client import OfferedModel

Value = str | int | float | bool | None
Chosen = Mapping[str, Value]
"""Values by name of an option; those that are as the model has them are left out."""

LARGEST = 2**63 - 1
"""Of whole numbers."""

_HELP = re.compile(r" {4}(\w+): (.*)")
_MORE = " " * 8


class Kind(Enum):
    """What a value is."""

    YES_NO = "boolean"
    WHOLE = "integer"
    NUMBER = "number"
    CHOICE = "enum"


@dataclass(frozen=True)
class Option:
    """One that can be chosen.

    Attributes:
        name: as the server takes it.
        kind: of its values.
        default: the model's own value; None where the model finds one by itself.
        choices: of `Kind.CHOICE`, in the server's order; None among them where the model may find one by itself.
        least: of a number.
        most: of a number.
        is_free: whether it can be left to the model, which is None.
        help: a sentence or two; "" without.
    """

    name: str
    kind: Kind
    default: Value
    choices: tuple[Value, ...] = ()
    least: float = -math.inf
    most: float = math.inf
    is_free: bool = False
    help: str = ""

    @property
    def title(self) -> str:
        """The name as a reader reads it."""
        words = self.name.replace("_", " ").strip()
        return words[:1].upper() + words[1:]

    def takes(self, value: object) -> bool:
        """Whether it can have this value."""
        if value is None:
            return self.is_free or self.default is None
        if self.kind is Kind.CHOICE:
            # True and 1 are not the same here.
            return any(type(value) is type(each) and value == each for each in self.choices)
        if self.kind is Kind.YES_NO:
            return isinstance(value, bool)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.kind is Kind.WHOLE and not isinstance(value, int):
            return False
        return math.isfinite(value) and self.least <= value <= self.most


def options_of(schema: Mapping[str, Any]) -> tuple[Option, ...]:
    """What a model's JSON schema offers, in its order.

    An option of a kind that is not known here is left out: the model then has its own value.
    """
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return ()
    told = _helps(schema.get("description"))
    found = (_option(str(name), entry, told.get(str(name), "")) for name, entry in properties.items())
    return tuple(option for option in found if option is not None)


def chosen_among(options: Iterable[Option], values: Mapping[str, object]) -> dict[str, Value]:
    """Of these values those that the options can have and do not have anyway."""
    by_name = {option.name: option for option in options}
    found: dict[str, Value] = {}
    for name, value in values.items():
        option = by_name.get(name)
        if option is not None and option.takes(value) and not _same(value, option.default):
            found[name] = value  # type: ignore[assignment]  # `takes` has looked at it
    return found


def chosen_of(
    models: Iterable[OfferedModel], name: str, text: str, chosen_for: str | None = None
) -> dict[str, Value]:
    """What one of these models is to be given; nothing for one that is not there.

    Args:
        models: of the server.
        name: of the model.
        text: that `write_chosen` wrote.
        chosen_for: model whose options the reader sees, where this one takes them from it.
    """
    found = next((model for model in models if model.name == name), None)
    kept = read_chosen(text).get(name if chosen_for is None else chosen_for, {})
    return {} if found is None else chosen_among(options_of(found.options), kept)


def as_text(value: Value) -> str:
    """As a reader reads it, and may type it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def from_text(option: Option, text: str) -> tuple[bool, Value]:
    """Whether what was typed can be a number of this option, and the number; without any text, the default."""
    text = text.strip()
    if not text:
        return True, option.default
    try:
        value = int(text) if option.kind is Kind.WHOLE else float(text)
    except ValueError:
        return False, None
    return (True, value) if option.takes(value) else (False, None)


def read_chosen(text: str) -> dict[str, dict[str, Any]]:
    """Values by model and name, as `write_chosen` wrote them; nothing where it was something else."""
    try:
        content = json.loads(text) if text else {}
    except ValueError:
        return {}
    if not isinstance(content, dict):
        return {}
    return {model: values for model, values in content.items() if isinstance(values, dict)}


def write_chosen(text: str, model: str, values: Chosen) -> str:
    """The text with these values for a model; those of others stay, also of a server that is not there now."""
    content: dict[str, Any] = {**read_chosen(text), model: dict(values)}
    kept = {name: each for name, each in sorted(content.items()) if each}
    return json.dumps(kept) if kept else ""


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _option(name: str, entry: object, told: str) -> Option | None:
    """The option, or None if its kind is not known."""
    if not isinstance(entry, Mapping) or "default" not in entry:
        return None
    kinds = entry.get("anyOf")
    branches = [each for each in kinds if isinstance(each, Mapping)] if isinstance(kinds, list) else [entry]
    is_free = any(each.get("type") == "null" for each in branches)
    branches = [each for each in branches if each.get("type") != "null"]
    if len(branches) != 1:
        return None
    branch, default = branches[0], entry["default"]
    described = entry.get("description")
    told = described if isinstance(described, str) else told
    option: Option | None
    if isinstance(branch.get("enum"), list):
        values = [each for each in branch["enum"] if isinstance(each, str | int | float)]
        choices = (None, *values) if is_free else tuple(values)
        option = Option(name, Kind.CHOICE, default, choices, is_free=is_free, help=told)
    else:
        try:
            kind = Kind(branch.get("type"))
        except ValueError:
            return None
        if kind is Kind.YES_NO and is_free:
            option = Option(name, Kind.CHOICE, default, (None, False, True), is_free=True, help=told)
        else:
            least, most = _bounds(branch, kind)
            option = Option(name, kind, default, (), least, most, is_free, told)
    return option if option.takes(default) else None


def _bounds(branch: Mapping[str, Any], kind: Kind) -> tuple[float, float]:
    """The least and the largest number."""
    largest = LARGEST if kind is Kind.WHOLE else math.inf
    least, most = -largest, largest
    step = 1 if kind is Kind.WHOLE else 0
    for name, beyond in (("minimum", 0), ("exclusiveMinimum", step)):
        value = branch.get(name)
        if isinstance(value, int | float):
            least = max(least, value + beyond)
    for name, beyond in (("maximum", 0), ("exclusiveMaximum", step)):
        value = branch.get(name)
        if isinstance(value, int | float):
            most = min(most, value - beyond)
    return least, most


def _helps(description: object) -> dict[str, str]:
    """What a description says of each attribute, as Python's docstrings list them."""
    if not isinstance(description, str):
        return {}
    found: dict[str, str] = {}
    name = ""
    for line in description.partition("Attributes:\n")[2].splitlines():
        match = _HELP.fullmatch(line)
        if match:
            name = match[1]
            found[name] = match[2].strip()
        elif name and line.startswith(_MORE):
            found[name] = f"{found[name]} {line.strip()}"
        else:
            name = ""
    return found
