"""How a cine comes to be worked on: from a file, from the server, from the scene. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

from CardiacMotionLib import scene_state
from CardiacMotionLib.cases import Downloaded
from CardiacMotionLib.cine import Cine
from CardiacMotionLib.cine_loading import (
    build_from_components,
    build_from_file,
    cine_from_node,
    is_multi_volume,
    read_cine,
)
from CardiacMotionLib.session import Session
from CardiacMotionLib.signals import Signal
from CardiacMotionLib.suggestion import keep_suggestion

R = TypeVar("R")

_KEY = "open"


class Opening:
    """Opens cines for a session. Main thread only.

    Attributes:
        failed: emitted with what went wrong; the scene is as it was.
        nothing_left: emitted when every case of the server has a label.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.failed: Signal[BaseException] = Signal()
        self.nothing_left: Signal[None] = Signal()

    @property
    def is_busy(self) -> bool:
        """Whether a file is being read, or a cine put into the scene."""
        return self._session.tasks.newest(_KEY) is not None

    def cancel(self) -> None:
        """Want no more of what is under way."""
        task = self._session.tasks.newest(_KEY)
        if task is not None:
            task.cancel()

    def node(self, node: Any) -> None:
        """Work on what is in the scene: a browser, sequence, proxy or MultiVolume.

        A MultiVolume is converted bit by bit; `failed` tells what goes wrong with that.

        Raises:
            InputError: it is no cine.
        """
        if node is not None and is_multi_volume(node):
            self._start(lambda: None, lambda _: build_from_components(node), None)
        else:
            self._session.open(cine_from_node(node))

    def file(self, path: Path, found: Downloaded | None = None) -> None:
        """Load a file, and work on it; `failed` tells what goes wrong with that.

        Args:
            path: of the file.
            found: the case that it is, if it came from the server.
        """
        self._start(lambda: read_cine(path), lambda image: build_from_file(path, image), found)

    def _start(
        self, read: Callable[[], R], build: Callable[[R], Generator[None, None, Cine]], found: Downloaded | None
    ) -> None:
        """Read in a thread, then build in the scene and open."""

        def done(result: R) -> Generator[None, None, None]:
            cine = yield from build(result)
            self._open(cine, found)

        self._session.tasks.start(_KEY, lambda _task: read(), on_done=done, on_error=self.failed.emit)

    def next_case(self, strategy: str, folder: Path) -> None:
        """Fetch the next case of the server, and work on it.

        One that is in the scene already is gone on with.

        Raises:
            InputError: there is no connection.
        """
        self._session.cases.next_case(strategy, folder, self._downloaded)

    def _downloaded(self, found: Downloaded | None) -> None:
        if found is None:
            self.nothing_left.emit(None)
            return
        for browser in scene_state.cine_browsers():
            if scene_state.get_json(browser, "Case") == vars(found.case):
                cine = Cine.find(browser)
                keep_suggestion(cine, found.suggestion)
                self._session.open(cine)
                return
        self.file(found.path, found)

    def _open(self, cine: Cine, found: Downloaded | None) -> None:
        if found is not None:
            keep_suggestion(cine, found.suggestion)
        workspace = self._session.open(cine)
        if found is not None:
            workspace.case = found.case
