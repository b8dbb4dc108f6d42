"""The real server is killed in the middle of an upload and of a propagation, and comes back."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.panel_bed import AFFINE, cine_values, connect, draw, load, message, open_panel, settle
from tests.slicer.panel_faults import DRAWN, listen, snapshot

pytest.importorskip("monailabel_app.local_server", reason="not run: the server's part is not installed")

LARGE = (24, 3, 40, 36)
"""Frames, slices, rows and columns of the cine; `PADDED` bytes are sent for it."""
PADDED = 24 * 2**20


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def serving(bed: Bed, folder: Path, port: int) -> Iterator[Any]:
    """A server at this port, in a process of its own; to be killed at will."""
    local: Any = importlib.import_module("CardiacMotionLib.local_server")
    running = local.LocalServer(
        [sys.executable, "-m", "cardiac_motion.cli"],
        folder / "studies",
        environment=os.environ,
        log=folder / "log",
        token=None,
        options=["--threads", "1", "--port", str(port)],
    )
    running.start()
    try:
        bed.pump(lambda: running.poll().state is not local.ServerState.STARTING, seconds=60, what="the server")
        assert running.address.endswith(f":{port}")
        yield running
    finally:
        running.stop_and_wait()


def padded_cine(path: Path) -> Path:
    """A cine whose file is large: its voxels begin far behind its header, as NIfTI allows."""
    nifti: Any = importlib.import_module("CardiacMotionLib.nifti")
    nifti.write_nifti(path, cine_values(LARGE), AFFINE, frame_seconds=0.04)
    content = bytearray(path.read_bytes())
    offset = 352 + PADDED
    content[108:112] = np.float32(offset).tobytes()
    path.write_bytes(bytes(content[:352]) + bytes(PADDED) + bytes(content[352:]))
    return path


def test_the_server_is_killed_in_the_middle_of_an_upload_and_of_a_propagation(bed: Bed, tmp_path: Path) -> None:
    port, widget = free_port(), open_panel(bed)
    session, said = widget.logic.session, listen(widget)
    button = widget.panel.section("Propagate").ui.propagateButton

    def is_told_once(before: dict[str, Any]) -> None:
        with bed.heartbeat() as heart:
            bed.pump(lambda: not session.tasks.is_busy, seconds=60, what="the end of it")
        settle(bed, widget)
        assert len(said) == 1
        assert f"127.0.0.1:{port}" in said[0]
        assert message(widget) == said[0]
        assert snapshot(bed, widget) == before
        assert heart.gaps
        said.clear()

    with serving(bed, tmp_path, port) as server:
        connect(bed, widget, server.address)
        workspace = load(bed, widget, padded_cine(tmp_path / "large.nii"))
        draw(bed, widget, DRAWN)
        before = snapshot(bed, widget)
        sent: list[float] = []
        session.cases.progress.connect(lambda progress: sent.append(progress[0]))
        # A server that stands still takes what the system holds for it, and no more: the upload is in the middle.
        os.kill(server.pid, signal.SIGSTOP)
        button.click()
        bed.pump(lambda: bool(sent) and sent[-1] > 0, what="the upload")
        assert sent[-1] < 1
        os.kill(server.pid, signal.SIGKILL)
        is_told_once(before)
        assert workspace.case is None
    studies = tmp_path / "studies"
    assert list(studies.glob("large*")) == []

    with serving(bed, tmp_path, port) as server:
        started: list[object] = []
        session.propagation.progress.connect(started.append)
        button.click()
        bed.pump(lambda: bool(started), seconds=60, what="the job")
        assert workspace.case is not None
        os.kill(server.pid, signal.SIGKILL)
        is_told_once(before)
    assert (studies / "large.nii").stat().st_size == (tmp_path / "large.nii").stat().st_size

    with serving(bed, tmp_path, port):
        button.click()
        bed.pump(lambda: not session.tasks.is_busy, seconds=60, what="the labels")
        settle(bed, widget)
    assert said == []
    assert workspace.states.key_frames == (DRAWN,)
    assert len(workspace.states.propagated) == LARGE[0] - 1
