"""What the configurations of hosted models have in common.

A module of this folder with a subclass of `AppTaskConfig` is found by itself and hosted under the module's name.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass

from cardiac_motion.errors import InputError
from monailabel.interfaces.config import TaskConfig

from monailabel_app.lib.memory import KnownMotions


@dataclass(frozen=True)
class Shared:
    """What the tasks of a server share.

    Attributes:
        motions: that are known already.
    """

    motions: KnownMotions


class AppTaskConfig(TaskConfig):
    """A `TaskConfig` of MONAI Label that is given what the tasks share."""

    def __init__(self, shared: Shared) -> None:
        super().__init__()
        self.shared = shared


def find_configs() -> dict[str, type[AppTaskConfig]]:
    """All configurations by name."""
    package = importlib.import_module("monailabel_app.lib.configs")
    found = {}
    for entry in pkgutil.iter_modules(package.__path__):
        if entry.name == "base":
            continue
        module = importlib.import_module(f"{package.__name__}.{entry.name}")
        own = [
            each
            for _, each in inspect.getmembers(module, inspect.isclass)
            if issubclass(each, AppTaskConfig) and each.__module__ == module.__name__
        ]
        if len(own) != 1:
            raise TypeError(f"expected one configuration in {module.__name__}, found {len(own)}")
        found[entry.name] = own[0]
    return found


def chosen_configs(wanted: str | Iterable[str]) -> dict[str, type[AppTaskConfig]]:
    """Those that are named, "all" for all.

    Raises:
        InputError: a name that there is not.
    """
    known = find_configs()
    names = [name.strip() for name in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    if names == ["all"]:
        return known
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"there is no model {unknown[0]!r} to host; there are {', '.join(known)}, or all")
    return {name: known[name] for name in names}
