"""How long the window of Slicer is blocked at a time at full size, and how soon other frames follow an edit.

    python -m benchmarks.slicer_window [--frames 25] [--slices 10] [--size 256] [--repeats 3]

The whole panel on the test bed (real MRML, Qt off the screen; not 3D Slicer itself) against a real server on this
machine. The longest block of the main thread of each piece of work, as `tests/slicer/bed/blocks.py` measures it:
the time in which other programs had the cores is left out, and given beside it. What Slicer's application does is
not in it, but for the rows that say so: no view is drawn, apart from the slice views where that is said, which a
graphics card draws faster than the processor does here.

An edit is followed when the last of the other frames has its labels, the motion being known. The time since its
end is by the clock: other programs' time is in it, and the quarter of a second that the module waits for further
strokes.
"""

from __future__ import annotations

import argparse
import importlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.io import write_cine
from cardiac_motion.phantom import REPORT_SEEDS, PhantomOptions, PhantomStudy, make_study

from benchmarks.propagation import corrected
from monailabel_app.local_server import local_server

_SECONDS = 600.0
_FRAME_MS = 40
_MODULE = Path(__file__).resolve().parents[1] / "SlicerCardiacMotion"


class Window:
    """A panel at work, and the longest blocks of it.

    Args:
        bed: a running test bed.
        study: what is worked on.
        folder: for files.

    Attributes:
        found: (seconds, with other programs' time) of each run, by what was done.
        followed: seconds from the end of each edit until the other frames had followed.
    """

    def __init__(self, bed: Any, study: PhantomStudy, folder: Path) -> None:
        self.bed, self.study, self.folder = bed, study, folder
        self.found: dict[str, list[tuple[float, float]]] = {}
        self.followed: list[float] = []
        self._edited_at = 0.0
        self._blocks: Any = importlib.import_module("tests.slicer.bed.blocks")
        self._panels: Any = importlib.import_module("tests.slicer.panel_bed")
        self.labels = np.where(study.labels <= 3, study.labels, 0).astype(np.uint8)
        self.failures: list[BaseException] = []
        made: list[Any] = []
        with self.measuring("panel made, once"):
            self.later(lambda: made.append(self._panels.begin_panel(bed)))
            bed.pump(lambda: (made and self._panels.is_made(made[0])) or bed.errors, _SECONDS)
        bed.check()
        self.widget = made[0]
        self.panel, self.session = self.widget.panel, self.widget.logic.session
        self.opening = self.panel.section("Case").opening
        fetch = self.panel.section("Look").fetch
        for part in (self.session.propagation, self.session.link, self.session.cases, self.opening, fetch):
            part.failed.connect(self.failures.append)

    @contextmanager
    def measuring(self, what: str) -> Iterator[None]:
        """Keep the longest block of what happens inside."""
        with self._blocks.measured() as blocks:
            yield
        self.found.setdefault(what, []).append((blocks.longest, blocks.longest_wall))

    def later(self, call: Callable[[], Any]) -> None:
        """Have the event loop call it, so that it counts."""
        self.bed.qt.QTimer.singleShot(0, call)

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait, and until the panel shows how things stand.

        Raises:
            BaseException: whatever went wrong meanwhile.
        """
        self.bed.pump(lambda: condition() or self.failures or self.bed.errors, _SECONDS)
        for error in (*self.failures, *self.bed.errors):
            raise error
        self.bed.pump(lambda: not self.session.tasks.is_busy, _SECONDS)
        self._panels.settle(self.bed, self.widget)

    def open(self, what: str, start: Callable[[], None]) -> Any:
        """Open a cine; gives its workspace."""
        before = self.session.workspace
        with self.measuring(what):
            self.later(start)
            self.until(lambda: self.session.workspace not in {None, before})
        return self.session.workspace

    def click(self, what: str, section: str, button: str, until: Callable[[], Any]) -> None:
        """Press a button, and wait."""
        with self.measuring(what):
            self.later(getattr(self.panel.section(section).ui, button).click)
            self.until(until)

    def files(self) -> None:
        """Cines from everywhere; the last one stays."""
        with self.measuring("server connected"):
            self.later(lambda: self.session.link.connect(self.target))
            self.until(lambda: self.session.link.offer is not None)
        for what, name in ((".nii.gz loaded", "cine.nii.gz"), (".seq.nrrd loaded", "cine.seq.nrrd")):
            path = self.folder / name
            write_cine(path, self.study.cine)
            workspace = self.open(what, lambda path=path: self.opening.file(path))  # type: ignore[misc]
        self.upload("uploaded, as the file it came from", workspace, "as-file")
        node = self._multi_volume()
        workspace = self.open("MultiVolume converted", lambda: self.opening.node(node))
        self.bed.scene.RemoveNode(node)
        self.upload("uploaded, written anew", workspace, "written")

    def upload(self, what: str, workspace: Any, image_id: str) -> None:
        """Send the cine to the server."""
        workspace.case = None
        with self.measuring(what):
            self.later(lambda: self.session.cases.upload(workspace, image_id, lambda _case: None))
            self.until(lambda: workspace.case is not None)

    def contours(self) -> None:
        """Propagation, live edits, volumes."""
        workspace, es = self.session.workspace, self.study.es_frame
        with self.measuring("contours of all frames taken in: volumes, curves, tables"):
            workspace.take_as_drawn(dict(enumerate(self.labels)))
            self.until(lambda: self.panel.measures.function is not None)
        for frame in set(range(workspace.cine.n_frames)) - {0, es}:
            workspace.release(frame)
        finished: list[float] = []
        self.session.propagation.finished.connect(lambda _params: finished.append(time.perf_counter()))
        self.click("propagation asked for, result arrives", "Propagate", "propagateButton", lambda: finished)
        live = self.panel.section("Propagate").ui.liveBox
        live.click()
        workspace.cine.frame = es
        for number in range(3):
            drawn, done = corrected(self.labels[es], number), len(finished)
            with self.measuring("live edit, the other frames follow"):
                self.later(lambda drawn=drawn: self._draw(drawn))  # type: ignore[misc]
                self.until(lambda done=done: len(finished) > done)  # type: ignore[misc]
            self.followed.append(finished[-1] - self._edited_at)
        live.click()

    def _draw(self, labels: Any) -> None:
        workspace = self.session.workspace
        for value, name in ((2, "MYO"), (3, "LV")):
            part = (labels == value).astype(np.uint8)
            proxy, volume = workspace.segmentations.proxy, workspace.cine.proxy
            self.bed.slicer.util.updateSegmentBinaryLabelmapFromArray(part, proxy, name, volume)
        self._edited_at = time.perf_counter()

    def looks(self) -> None:
        """Playing, with contours, with surfaces, with motion."""
        self.play("frames played, contours in 2D")
        with ExitStack() as views:
            # Made outside: opening a window is no part of playing.
            layout = self.bed.app.layoutManager()
            drawn = [views.enter_context(layout.picture(name)) for name in ("Red", "Green", "Yellow")]
            self.play("the same, three slice views drawn by the processor", [view.pixels for view in drawn])
        segmentations = self.session.workspace.segmentations
        surfaces: Any = importlib.import_module("CardiacMotionLib.segments").SURFACE
        count, sequence = self.session.workspace.cine.n_frames, segmentations.sequence
        items = [sequence.GetNthDataNode(t).GetSegmentation() for t in range(count)]
        with self.measuring("surfaces of all frames made"):
            self.later(lambda: segmentations.show_3d(True))
            self.until(lambda: all(item.ContainsRepresentation(surfaces) for item in items))
        self.play("frames played, surfaces in 3D")
        segmentations.show_3d(False)
        display: Any = importlib.import_module("CardiacMotionLib.motion_display").MotionDisplay
        cine = self.session.workspace.cine
        self.click("motion fetched and shown", "Look", "motionButton", lambda: display.find(cine))
        self.play("frames played, motion as arrows")

    def play(self, what: str, draw: Sequence[Callable[[], Any]] = ()) -> None:
        """Two cycles, as Slicer's timer does it."""
        browser = self.session.workspace.cine.browser
        left = 2 * self.session.workspace.cine.n_frames
        timer = self.bed.qt.QTimer()

        def step() -> None:
            nonlocal left
            browser.SelectNextItem(1)
            for view in draw:
                view()
            left -= 1
            if left == 0:
                timer.stop()

        timer.connect("timeout()", step)
        with self.measuring(what):
            browser.SetPlaybackActive(True)
            timer.start(_FRAME_MS)
            self.until(lambda: left == 0)
            browser.SetPlaybackActive(False)
            self.until(lambda: True)

    def ends(self) -> None:
        """Submit, save, load."""
        sent: list[Any] = []
        with self.measuring("labels submitted"):
            self.later(lambda: self.session.cases.submit(self.session.workspace, sent.append))
            self.until(lambda: sent)
        path = self.folder / "scene.mrb"
        with self.measuring(".mrb saved: Slicer's own"):
            self.later(lambda: self.bed.slicer.util.saveScene(str(path)))
            self.until(path.is_file)
        self.bed.scene.Clear(0)
        self.until(lambda: self.session.workspace is None)
        with self.measuring(".mrb loaded: Slicer's own, and the module's part of it"):
            self.later(lambda: self.bed.slicer.util.loadScene(str(path)))
            self.until(lambda: self.session.workspace is not None)
        browser = self.session.workspace.cine.browser
        self.session.close_case()
        self.until(lambda: True)
        with self.measuring("the module's part of it"):
            self.later(lambda: self.opening.node(browser))
            self.until(lambda: self.session.workspace is not None)

    def _multi_volume(self) -> Any:
        mrml: Any = importlib.import_module("CardiacMotionLib.mrml")
        vtk: Any = importlib.import_module("vtk")
        cine = self.study.cine
        node = self.bed.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "multi")
        voxels = np.moveaxis(cine.frames, 0, 3).astype(np.int16)
        node.SetAndObserveImageData(mrml.fill_image(vtk.vtkImageData(), voxels))
        node.SetIJKToRASMatrix(mrml.to_matrix(cine.affine))
        times = ",".join(f"{1000 * time:.2f}" for time in cine.frame_times)
        node.SetAttribute("MultiVolume.FrameLabels", times)
        return node

    @property
    def target(self) -> Any:
        """The server."""
        return self._target

    def at(self, address: str) -> Window:
        """Work with this server."""
        self._target = importlib.import_module("CardiacMotionLib.server_link").Target(address)
        return self


def measure(address: str, study: PhantomStudy, folder: Path) -> Window:
    """Everything once."""
    open_bed = importlib.import_module("tests.slicer.bed").open_bed
    with open_bed(folder) as bed, pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(_MODULE))
        window = Window(bed, study, folder).at(address)
        for part in (window.files, window.contours, window.looks, window.ends):
            part()
        return window


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the phantom, start the server, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--size", type=int, default=256, help="pixels along each side of a slice")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    size = (options.size, options.size)
    wanted = PhantomOptions(
        frames=options.frames, slices=options.slices, matrix=size, pixel_spacing=1.4, motion_truth=False
    )
    study = make_study(REPORT_SEEDS[0], wanted)
    found: dict[str, list[tuple[float, float]]] = {}
    followed: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        studies = Path(name) / "studies"
        studies.mkdir()
        with local_server(studies) as address:
            for number in range(options.repeats):
                folder = Path(name) / f"run{number}"
                folder.mkdir()
                window = measure(address, study, folder)
                followed += window.followed
                for what, blocks in window.found.items():
                    found.setdefault(what, []).extend(blocks)
    print("| longest block of the main thread, ms | median | largest | with other programs' time | n |")
    print("|---|---|---|---|---|")
    for what, blocks in found.items():
        own, wall = 1000 * np.array(blocks).T
        print(f"| {what} | {np.median(own):.0f} | {own.max():.0f} | {wall.max():.0f} | {len(own)} |")
    print("\n| with the whole panel, s | median | largest | n |\n|---|---|---|---|")
    print(f"| other frames follow an edit | {np.median(followed):.2f} | {max(followed):.2f} | {len(followed)} |")


if __name__ == "__main__":
    main()
