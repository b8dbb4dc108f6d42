"""Stand-ins for the Python parts of Slicer that slicer-core lacks, or Slicer's own where a copy of it is at hand.

The environment variable CARDIAC_MOTION_SLICER_SOURCE names a Slicer source tree or an installation; its
ScriptedLoadableModule, parameterNodeWrapper and i18n are then used in place of the stand-ins.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from pathlib import Path
from typing import Any

VARIABLE = "CARDIAC_MOTION_SLICER_SOURCE"
NAMES = ("ScriptedLoadableModule", "parameterNodeWrapper", "i18n")


class PipRefusedError(RuntimeError):
    """The module asked for a package to be installed."""


def _refuse(requirements: Any, **_: Any) -> None:
    raise PipRefusedError(f"this module installs nothing, but asked for {requirements}")


def _packaging() -> types.ModuleType:
    module = types.ModuleType("slicer.packaging")
    module.__dict__.update(pip_install=_refuse, pip_uninstall=_refuse)
    return module


def _i18n() -> types.ModuleType:
    module = types.ModuleType("slicer.i18n")
    module.__dict__.update(tr=lambda text: text, translate=lambda context, text: text)
    return module


def _scripted_module() -> types.ModuleType:
    exported = importlib.import_module(f"{__name__}.scripted_module").EXPORTED
    module = types.ModuleType("slicer.ScriptedLoadableModule")
    module.__dict__.update({cls.__name__: cls for cls in exported}, __all__=[cls.__name__ for cls in exported])
    return module


def _parameter_node_wrapper() -> types.ModuleType:
    exported = {
        name: getattr(importlib.import_module(f"{__name__}.{source}"), name)
        for source, names in (
            (
                "annotations",
                "Default Decimals SingleStep Validator NotNone IsInstance WithinRange Minimum Maximum",
            ),
            ("annotations", "Choice Exclude"),
            ("gui_connectors", "GuiConnector createGuiConnector parameterNodeGuiConnector"),
            ("parameter_pack", "parameterPack isParameterPack"),
            ("wrapper", "parameterNodeWrapper isParameterNodeWrapper SlicerParameterNamePropertyName"),
        )
        for name in names.split()
    }
    module = types.ModuleType("slicer.parameterNodeWrapper")
    module.__dict__.update(exported, __all__=list(exported))
    return module


def python_folder(root: Path) -> Path:
    """The folder ``slicer`` of a Slicer source tree or installation."""
    for inside in ("Base/Python/slicer", "bin/Python/slicer", "lib/Python/slicer"):
        folder = root / inside
        if (folder / "ScriptedLoadableModule.py").is_file():
            return folder
    raise FileNotFoundError(f"{VARIABLE}={root}: no ScriptedLoadableModule.py of a Slicer below it")


def _real(name: str, folder: Path) -> types.ModuleType:
    """One of Slicer's own modules. `sys.modules` must hold qt and ctk already."""
    package = folder / name / "__init__.py"
    path = package if package.is_file() else folder / f"{name}.py"
    places = [str(folder / name)] if path == package else None
    spec = importlib.util.spec_from_file_location(f"slicer.{name}", path, submodule_search_locations=places)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"slicer.{name}"] = module
    spec.loader.exec_module(module)
    return module


_made: dict[str, types.ModuleType] = {}


def modules() -> dict[str, types.ModuleType]:
    """``slicer.<name>`` for each of `NAMES` and ``slicer.packaging``, made once per process."""
    if not _made:
        source = os.environ.get(VARIABLE)
        if source:
            folder = python_folder(Path(source))
            _made.update({f"slicer.{name}": _real(name, folder) for name in reversed(NAMES)})
        else:
            _made["slicer.i18n"] = _i18n()
            _made["slicer.ScriptedLoadableModule"] = _scripted_module()
            _made["slicer.parameterNodeWrapper"] = _parameter_node_wrapper()
        _made["slicer.packaging"] = _packaging()
    return dict(_made)
