"""The extension's CMake files against the disk: Slicer packages only what is listed."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _listed(name: str) -> set[str]:
    text = (ROOT / "SlicerCardiacMotion" / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.search(rf"set\({name}([^)]*)\)", text)
    assert found is not None
    return set(found.group(1).split())


def test_every_script_and_resource_of_the_module_is_listed_and_there() -> None:
    folder = ROOT / "SlicerCardiacMotion"
    scripts = {p.relative_to(folder).as_posix() for p in folder.rglob("*.py") if "Testing" not in p.parts}
    resources = {p.relative_to(folder).as_posix() for p in (folder / "Resources").rglob("*") if p.is_file()}
    assert _listed("MODULE_PYTHON_SCRIPTS") == scripts
    assert _listed("MODULE_PYTHON_RESOURCES") == resources


def test_the_extension_adds_the_folder_of_the_module() -> None:
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    for folder in re.findall(r"add_subdirectory\((\S+)\)", text):
        assert (ROOT / folder / "CMakeLists.txt").is_file()
    assert "add_subdirectory(SlicerCardiacMotion)" in text
