from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

# Several test processes, or a desktop, share the cores; many small operations gain nothing from threads.
torch.set_num_threads(1)


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
