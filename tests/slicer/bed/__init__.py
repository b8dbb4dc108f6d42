"""A test bed for the Slicer extension: real MRML, and a double of Slicer's widgets; see tests/slicer/README.md.

Importing this package changes nothing. `open_bed` puts ``slicer``, ``qt`` and ``ctk`` there, and takes them away.
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed

NEEDED = {"vtk": "vtk", "slicer": "slicer-core", "PySide6.QtUiTools": "PySide6_Essentials"}
"""What is imported, and the package that brings it."""


def why_missing() -> str | None:
    """The reason why the bed cannot be used here, or None."""
    for module, package in NEEDED.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            return f"{package} cannot be imported: {error}"
    return None


def open_bed(folder: Path) -> AbstractContextManager[Bed]:
    """A `Bed` that keeps its temporary files in `folder`; everything global is as before when it ends."""
    from tests.slicer.bed.session import open_bed as opened  # noqa: PLC0415 - PySide6 may be missing

    return opened(folder)


__all__ = ["open_bed", "why_missing"]
