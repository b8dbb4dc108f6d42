from __future__ import annotations

import importlib
import os
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.slicer.bed import open_bed, why_missing

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed

LONGEST = "longest block of the main thread"
"""Name of the property of a test that `tests/conftest.py` tells at the end."""
MODULE_FOLDER = Path(__file__).resolve().parents[2] / "SlicerCardiacMotion"


@pytest.fixture(scope="session")
def qt_app() -> Any:
    """The process's QApplication."""
    reason = why_missing()
    if reason:
        pytest.skip(f"not run: {reason}")
    return importlib.import_module("tests.slicer.bed.session").qt_application()


@pytest.fixture
def bed(qt_app: Any, tmp_path: Path) -> Iterator[Bed]:
    """Slicer for one test. Errors in slots and unanswered dialogs fail the test at its end."""
    with open_bed(tmp_path) as opened:
        before = list(sys.path)
        sys.path.insert(0, str(MODULE_FOLDER))
        try:
            yield opened
        finally:
            sys.path[:] = before
    opened.check()


@pytest.fixture(autouse=True)
def main_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """The longest block of the main thread in each test with a bed: told at the end of the tests, never judged.

    A machine can stand still for longer than any limit through no fault of the module's. Where
    CARDIAC_MOTION_BLOCK_LIMIT gives seconds, as for a measurement on a quiet machine, a longer block fails its
    test.
    """
    if "bed" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("bed")
    blocks = importlib.import_module("tests.slicer.bed.blocks")
    with blocks.measured() as found, blocks.observers_watched():
        yield
    # Goes with the test's report, also to another process.
    request.node.user_properties.append((LONGEST, [found.longest, found.what]))
    limit = float(os.environ.get("CARDIAC_MOTION_BLOCK_LIMIT", "inf"))
    assert found.longest < limit, f"the main thread was blocked for {found.longest:.3f} s by: {found.what}"


@pytest.fixture
def scene(bed: Bed) -> Any:
    """A fresh vtkMRMLScene with what Slicer puts there at its start."""
    return bed.scene


@pytest.fixture
def widget_of(bed: Bed) -> Callable[[types.ModuleType], Any]:
    """Given an imported scripted module, its panel: set up, shown, entered. Left and unloaded at the end."""
    return bed.widget


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where pictures go: the folder that CARDIAC_MOTION_PICTURES names, to be looked at, or a temporary one."""
    folder = Path(os.environ.get("CARDIAC_MOTION_PICTURES") or tmp_path / "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
