from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

# Several test processes, or a desktop, share the cores; many small operations gain nothing from threads.
torch.set_num_threads(1)

_LONGEST = "longest block of the main thread"
"""Name of a property of tests of the Slicer module, which may have run in other processes."""


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real cines, which a fresh machine does not have; CARDIAC_MOTION_DATA names another one."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CARDIAC_MOTION_DATA") or default)
    if not folder.is_dir():
        pytest.skip(f"not run: no real data in {folder}; CARDIAC_MOTION_DATA names their folder")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache of motions."""
    monkeypatch.setenv("CARDIAC_MOTION_CACHE", str(tmp_path_factory.mktemp("cache")))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The longest blocks of the main thread; all of them as JSON where CARDIAC_MOTION_BLOCKS names a file."""
    blocks = {
        report.nodeid: (seconds, what)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, (seconds, what) in getattr(report, "user_properties", ())
        if name == _LONGEST
    }
    found = sorted(blocks.items(), key=lambda each: each[1][0], reverse=True)
    if not found:
        return
    name, (longest, what) = found[0]
    text = f"{_LONGEST} in {len(found)} tests: {longest:.3f} s ({what}) in {name}"
    terminalreporter.write_line(text)
    if os.environ.get("CARDIAC_MOTION_BLOCKS"):
        rows = [{"test": name, "seconds": round(seconds, 4), "what": what} for name, (seconds, what) in found]
        Path(os.environ["CARDIAC_MOTION_BLOCKS"]).write_text(json.dumps(rows, indent=1), encoding="utf-8")
