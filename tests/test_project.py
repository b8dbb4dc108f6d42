"""The project's own files: floors of the package, versions, size of files."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "models" / "cardiac_motion"

FLOORS = (
    {"labels", "errors", "atomic", "json_input", "listing", "model", "progress"},
    {"cine", "fields", "losses", "metrics", "motion", "io", "dicom"},
    {"phantom", "networks", "working_grid", "datasets", "slice_alignment", "aligned"},
    {"propagation", "motion_cache", "weights", "shift_files", "analysis"},
    {"registration", "training", "segmentation", "fusion"},
    {"evaluation", "pipeline", "pipeline_alignment", "pipeline_segmentation"},
    {"demo"},
    {"cli", "train"},
)
"""From the ground up; a file imports from its own floor and from those below."""


def _floor(module: str) -> int:
    return next(i for i, floor in enumerate(FLOORS) if module in floor)


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("cardiac_motion.")}


def test_every_file_imports_from_its_own_floor_or_below() -> None:
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts == ("__init__",):
            continue
        wrong += [
            f"{'/'.join(parts)} imports {name}" for name in _imports(path) if _floor(name) > _floor(parts[0])
        ]
    assert wrong == []


def test_the_science_knows_neither_the_server_nor_slicer() -> None:
    for path in PACKAGE.rglob("*.py"):
        found = re.findall(
            r"^\s*(?:import|from)\s+(monailabel|monailabel_app|slicer|qt|vtk)\b", path.read_text(), re.MULTILINE
        )
        assert not found, f"{path.name} imports {found}"


def test_every_dependency_has_its_version_in_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted += extra
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    names = {re.split(r"[<>=!~;\[ ]", each)[0].lower().replace("_", "-") for each in wanted}
    assert names <= pinned
    assert not any("torchvision" in line for line in lines)


def test_files_stay_small() -> None:
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for folder in ("models", "benchmarks", "tests", "SlicerCardiacMotion", "monailabel_app")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert long == {}
