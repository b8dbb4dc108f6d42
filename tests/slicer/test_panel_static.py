"""What can be told about the module without running it; and that every .ui file loads."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.slicer.bed.session import Bed

MODULE = Path(__file__).parents[2] / "SlicerCardiacMotion"
SCRIPTS = [path for path in sorted(MODULE.rglob("*.py")) if "Testing" not in path.parts]
UI_FILES = sorted((MODULE / "Resources" / "UI").glob("*.ui"))
BUNDLED = {
    "numpy",
    "scipy",
    "SimpleITK",
    "requests",
    "urllib3",
    "vtk",
    "qt",
    "ctk",
    "slicer",
    "SampleData",
    "CardiacMotionLib",
}
DECLARATIONS = (
    ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign,
)  # fmt: skip


def name_of(path: Path) -> str:
    return path.relative_to(MODULE).as_posix()


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_only_what_slicer_bundles_is_imported(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module or ""]
        else:
            continue
        for name in names:
            top = name.partition(".")[0]
            assert top in BUNDLED or top in sys.stdlib_module_names, f"line {node.lineno}: {name}"


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_nothing_runs_at_import(path: Path) -> None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        assert is_text or is_for_types or isinstance(node, DECLARATIONS), f"line {node.lineno}"


def test_the_entry_is_thin() -> None:
    assert len((MODULE / "CardiacMotion.py").read_text(encoding="utf-8").splitlines()) < 200


def test_every_parameter_of_a_ui_file_exists(bed: Bed) -> None:
    parameters: Any = importlib.import_module("CardiacMotionLib.parameters").Parameters
    named = {
        element.findtext("string")
        for path in UI_FILES
        for element in ET.parse(path).iter("property")
        if element.get("name") == "SlicerParameterName"
    }
    assert {"fromThisFrame", "onlyRange", "firstFrame", "lastFrame", "live", "note"} <= named
    assert named <= set(parameters.allParameters)


@pytest.mark.parametrize("path", UI_FILES, ids=name_of)
def test_every_ui_file_loads_and_every_name_in_it_is_used(bed: Bed, path: Path) -> None:
    widget = bed.slicer.util.loadUI(str(path))
    assert type(widget).__name__ == "qMRMLWidget"
    names = [element.get("name") for element in ET.parse(path).iter("widget")]
    assert len(names) == len(set(names))
    # Titles alone and their like need no code.
    used = "\n".join(script.read_text(encoding="utf-8") for script in SCRIPTS)
    buttons = [name for name in names if name and re.search(r"Button$|Combo$|Selector$", name)]
    names_of_sections = ("case", "contour", "segmentSection", "propagateSection", "look", "learn")
    sections = {f"{each}Button" for each in names_of_sections}
    assert [name for name in buttons if name not in sections and f"ui.{name}" not in used] == []


def test_the_icon_can_be_seen(bed: Bed) -> None:
    icons = MODULE / "Resources" / "Icons"
    drawn = bed.qt.QImage(str(icons / "CardiacMotion.png"))
    assert (drawn.width(), drawn.height()) == (128, 128)
    assert not bed.qt.QIcon(str(icons / "CardiacMotion.svg")).isNull()
    entry = bed.module(importlib.import_module("CardiacMotion"))
    assert entry.title == "Cardiac Motion"
    assert entry.categories == ["Cardiac"]
    assert entry.helpText and entry.acknowledgementText and entry.icon is not None  # noqa: PT018
