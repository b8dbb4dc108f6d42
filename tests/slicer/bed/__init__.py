"""A test bed for the Slicer extension: real MRML, and a double of Slicer's widgets; see tests/slicer/README.md.

Importing this package changes nothing. `open_bed` puts ``slicer``, ``qt`` and ``ctk`` there, and takes them away.
"""

from __future__ import annotations

import importlib.util
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed

NEEDED = ("vtk", "slicer", "PySide6")


def why_missing() -> str | None:
    """The reason why the bed cannot be used here, or None."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    packages = {"vtk": "vtk", "slicer": "slicer-core", "PySide6": "PySide6_Essentials"}
    return f"not installed: {', '.join(packages[name] for name in missing)}" if missing else None


def open_bed(folder: Path) -> AbstractContextManager[Bed]:
    """A `Bed` that keeps its temporary files in `folder`; everything global is as before when it ends."""
    from tests.slicer.bed.session import open_bed as opened  # noqa: PLC0415 - PySide6 may be missing

    return opened(folder)


__all__ = ["open_bed", "why_missing"]
