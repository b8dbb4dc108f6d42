"""What Slicer's Extensions Index asks of an extension of tier 1, as far as that can be told before publication."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "SlicerCardiacMotion"
REQUIRED = {"$schema", "category", "scm_url"}
KNOWN = REQUIRED | {
    "build_dependencies",
    "build_subdirectory",
    "dicom_support_rule",
    "enabled",
    "scm_revision",
    "scm_type",
    "tier",
}
SCHEMA = r"https://raw\.githubusercontent\.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1\.0\.\d\.json#"


def settings() -> dict[str, str]:
    """The variables of the top-level CMakeLists.txt."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    return dict(re.findall(r'^set\((EXTENSION_\w+) "([^"]*)"\)', text, re.MULTILINE))


def size(png: Path) -> tuple[int, int]:
    content = png.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def test_the_entry_has_what_the_schema_asks_for() -> None:
    project = re.search(r"^project\((\w+)\)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert project is not None
    name = project.group(1)
    assert not name.startswith("Slicer")
    entry = json.loads((ROOT / f"{name}.json").read_text(encoding="utf-8"))
    assert set(entry) >= REQUIRED
    assert set(entry) <= KNOWN
    assert re.fullmatch(SCHEMA, entry["$schema"])
    assert entry["tier"] in range(1, 6)
    assert entry["scm_revision"]
    said = settings()
    assert entry["category"] == said["EXTENSION_CATEGORY"]
    depends = [] if said["EXTENSION_DEPENDS"] == "NA" else said["EXTENSION_DEPENDS"].split()
    assert entry["build_dependencies"] == depends
    assert (ROOT / entry["build_subdirectory"] / "CMakeLists.txt").is_file()
    # Either nothing is known of a repository yet, or everything is.
    addresses = [said[f"EXTENSION_{each}"] for each in ("HOMEPAGE", "ICONURL", "SCREENSHOTURLS")]
    for address in (entry["scm_url"], *addresses):
        assert bool(address) == bool(entry["scm_url"])
        assert not address or all(re.match(r"https://\w", each) for each in address.split())


def test_cmake_says_all_of_it() -> None:
    said = settings()
    named = {"HOMEPAGE", "CATEGORY", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"}
    assert set(said) == {f"EXTENSION_{each}" for each in named}
    assert all(said[f"EXTENSION_{each}"] for each in ("CATEGORY", "CONTRIBUTORS", "DESCRIPTION", "DEPENDS"))
    assert said["EXTENSION_DESCRIPTION"].count(".") <= 2


def test_the_pictures_that_the_addresses_must_lead_to_are_there() -> None:
    publishing = (EXTENSION / "README.md").read_text(encoding="utf-8").partition("## Publishing")[2]
    named = {
        variable: re.search(rf"`EXTENSION_{variable}` \| `([^`]+)`", publishing)
        for variable in ("ICONURL", "SCREENSHOTURLS")
    }
    icon, screenshot = (ROOT / found.group(1) if found else ROOT / "none" for found in named.values())
    assert size(icon) == (128, 128)
    assert min(size(screenshot)) >= 400


def test_the_page_of_the_extension_has_what_a_reader_looks_for() -> None:
    text = (EXTENSION / "README.md").read_text(encoding="utf-8")
    title, *sections = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    assert title.startswith("CardiacMotion")
    assert {"Modules", "Tutorial", "Publications", "Licence", "Publishing"} <= set(sections)
    for link in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
        assert (EXTENSION / link).is_file()
    for module in re.findall(r"^add_subdirectory\((\w+)\)", (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE):
        made = re.search(
            r"set\(MODULE_NAME (\w+)\)", (ROOT / module / "CMakeLists.txt").read_text(encoding="utf-8")
        )
        assert made is not None
        modules = text.partition("## Modules")[2].partition("## ")[0]
        assert made.group(1) in modules.replace(" ", "")
    assert re.search(r"^1\. ", text.partition("## Tutorial")[2], re.MULTILINE)
    assert "Apache-2.0" in text


@pytest.mark.parametrize("word", ["Apache License", "Version 2.0", "Grant of Patent License"])
def test_the_licence_is_there(word: str) -> None:
    assert word in (ROOT / "LICENSE.txt").read_text(encoding="utf-8")
