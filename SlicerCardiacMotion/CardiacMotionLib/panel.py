"""The panel: its sections, one below the other, and the line below one of them for messages and progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import slicer
import vtk

from CardiacMotionLib import scene_state
from CardiacMotionLib.background import Timer
from CardiacMotionLib.cine import Cine
from CardiacMotionLib.measures import Measures
from CardiacMotionLib.messages import sentence
from CardiacMotionLib.parameters import start_with
from CardiacMotionLib.sections import section_classes
from CardiacMotionLib.sections.section import Section
from CardiacMotionLib.session import Session
from CardiacMotionLib.workspace import Workspace

_ERROR_STYLE = "QLabel { color: #b00020; font-weight: bold; }"


class Panel:
    """Main thread only.

    It is made section by section, the window drawn in between, and shown when it is whole; `make_all` hurries.

    Args:
        widget: of `CardiacMotion.ui`.
        resource: gives the path of a file of the module's resources.
        session: what the module is doing.
        parameters: gives the scene's `Parameters`, wrapped by Slicer.
        start_timer: see `background.Timer`.
        single_shot: calls something after so many milliseconds on the main thread.

    Attributes:
        ui: named widgets of the frame.
        sections: from top to bottom.
    """

    def __init__(
        self,
        widget: Any,
        resource: Callable[[str], str],
        session: Session,
        parameters: Callable[[], Any],
        start_timer: Timer,
        single_shot: Callable[[int, Callable[[], None]], None],
    ) -> None:
        self.resource, self.session, self.start_timer = resource, session, start_timer
        self.measures: Measures | None = None
        self.ui: Any = slicer.util.childWidgetVariables(widget)
        self._layout = widget.layout()
        self._get_parameters, self._single_shot = parameters, single_shot
        self.parameters: Any = parameters()
        self._connected: list[int] = []
        self._observed: tuple[Any, int] | None = None
        self._frame = -1
        self._is_waiting = self._is_closed = False
        self._owner: Section | None = None
        self._cancel: Callable[[], None] = lambda: None
        self._keeps_views = self._is_entered = False
        self._disconnect: list[Callable[[], None]] = []
        self._parameter_observer: tuple[Any, int] | None = None
        self.sections: list[Section] = []
        self._widget = widget
        self._widget.hide()
        self._making: Iterator[None] | None = self._make()
        self._single_shot(0, self._make_some)

    @property
    def is_made(self) -> bool:
        """Whether all of it is there."""
        return self._making is None

    def make_all(self) -> None:
        """Make what is not there yet."""
        while self._making is not None:
            self._make_next(self._making)

    def _make_some(self) -> None:
        if self._making is not None:
            self._make_next(self._making)
            self._single_shot(0, self._make_some)

    def _make_next(self, making: Iterator[None]) -> None:
        try:
            next(making)
        except StopIteration:
            self._making = None
        except BaseException:
            # Of half a panel nothing could be relied upon.
            self.close()
            raise

    def _make(self) -> Iterator[None]:
        classes = section_classes()
        yield
        for index, make in enumerate(classes):
            section = make(self)
            self.sections.append(section)
            self._layout.insertWidget(index, section.widget)
            yield
        self.ui.statusFrame.hide()
        self.ui.dismissButton.connect("clicked()", lambda: self.say("", self._owner or self.sections[0]))
        self.ui.cancelButton.connect("clicked()", self._cancel_clicked)
        self._disconnect = self._listen()
        self._bind_parameters()
        workspace = self.session.workspace
        if workspace is None:
            # The scene may have been there before the module was first looked at.
            self._go_on()
        else:
            # Opened meanwhile, as by a script.
            self._workspace_changed(workspace)
        if self._is_entered:
            for section in self.sections:
                section.enter()
        self._making = None
        self.update()
        self._widget.show()

    def section(self, name: str) -> Section:
        """The section whose .ui file has this name.

        Raises:
            KeyError: there is none.
        """
        return {each.UI: each for each in self.sections}[name]

    @property
    def owner(self) -> Section | None:
        """See `sections.section.Panel`."""
        return self._owner

    def say(self, text: str, section: Section, *, is_error: bool = False) -> None:
        """See `sections.section.Panel`."""
        self._move_below(section)
        label = self.ui.messageLabel
        label.text, label.styleSheet = text, _ERROR_STYLE if is_error else ""
        self._show_status()

    def show_progress(self, section: Section, cancel: Callable[[], None]) -> None:
        """See `sections.section.Panel`."""
        self.say("", section)
        self._cancel = cancel
        self.set_progress((0.0, ""))

    def set_progress(self, progress: tuple[float, str]) -> None:
        """See `sections.section.Panel`."""
        fraction, message = progress
        bar = self.ui.progressBar
        bar.value = round(1000 * min(max(fraction, 0.0), 1.0))
        bar.format = f"{message} %p%".strip()
        self._show_status()

    @contextmanager
    def telling(self, section: Section) -> Iterator[None]:
        """See `sections.section.Panel`."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader is told
            self.say(sentence(error), section, is_error=True)

    def update_soon(self) -> None:
        """See `sections.section.Panel`."""
        if not self._is_waiting and not self._is_closed:
            self._is_waiting = True
            self._single_shot(0, self._update_now)

    def update(self) -> None:
        """Show how things stand."""
        if self._is_closed or not self.is_made:
            return
        for section in self.sections:
            section.widget.setVisible(section.is_wanted())
            section.update()
        self._show_status()

    def enter(self) -> None:
        """The module is looked at now."""
        self._is_entered = True
        if not self.is_made:
            return
        for section in self.sections:
            section.enter()
        self.update()

    def leave(self) -> None:
        """The module is not looked at any more."""
        self._is_entered = False
        if not self.is_made:
            return
        for section in self.sections:
            section.leave()

    def scene_closes(self) -> None:
        """Let go of the scene's nodes while they are there; what is under way is cancelled."""
        self.session.live.is_on = False
        self.session.cases.cancel()
        self._unbind_parameters()
        self.session.close_case()
        for section in self.sections:
            section.scene_closes()

    def scene_closed(self) -> None:
        """Begin anew in the empty scene."""
        self._bind_parameters()
        self.ui.messageLabel.text = ""
        self.update_soon()

    def scene_loaded(self) -> None:
        """Go on with the cine that came with the scene."""
        self._bind_parameters()
        self._go_on()
        self.update_soon()

    def _go_on(self) -> None:
        browser, workspace = self.parameters.browser, self.session.workspace
        is_open = workspace is not None and workspace.cine.browser is browser
        if browser is not None and not is_open and scene_state.is_cine(browser):
            self._keeps_views = True  # they came with the scene as they were
            try:
                with self.telling(self.sections[0]):
                    self.session.open(Cine.find(browser))
            finally:
                self._keeps_views = False

    def close(self) -> None:
        """The panel goes away, and with it the server on this machine."""
        self._is_closed = True
        self._making = None
        for disconnect in self._disconnect:
            disconnect()
        self._watch(None)
        self._unbind_parameters()
        for section in self.sections:
            section.close()
        if self.measures is not None:
            self.measures.close()

    def _listen(self) -> list[Callable[[], None]]:
        session = self.session
        return [
            session.workspace_changed.connect(self._workspace_changed),
            session.link.changed.connect(lambda _offer: self.update_soon()),
            session.cases.progress.connect(self.set_progress),
            session.cases.done.connect(lambda _value: self.update_soon()),
            session.cases.failed.connect(self._tell_where_asked),
            session.segmenting.failed.connect(self._tell_where_asked),
        ]

    def _tell_where_asked(self, error: BaseException) -> None:
        # Cases are sent for several sections, and several have frames segmented.
        (self._owner or self.sections[0]).fail(error)

    def _workspace_changed(self, workspace: Workspace | None) -> None:
        if self.measures is not None:
            self.measures.close()
            self.measures = None
        self._watch(workspace)
        if workspace is not None:
            start_with(self.parameters, workspace.cine.browser, workspace.cine.n_frames)
            workspace.states_changed.connect(lambda _states: self.update_soon())
            workspace.labels_changed.connect(lambda _frames: self.update_soon())
            self.measures = Measures(workspace, self._single_shot)
            self.measures.set_frames(self.parameters.endDiastole, self.parameters.endSystole)
            self.measures.changed.connect(lambda _function: self.update_soon())
            if not self._keeps_views:
                slicer.util.setSliceViewerLayers(background=workspace.cine.proxy, fit=True)
        self.update_soon()

    def _watch(self, workspace: Workspace | None) -> None:
        """Follow the frame that is shown."""
        if self._observed is not None:
            browser, tag = self._observed
            browser.RemoveObserver(tag)
            self._observed = None
        if workspace is not None:
            browser = workspace.cine.browser
            self._frame = workspace.cine.frame
            self._observed = browser, browser.AddObserver(vtk.vtkCommand.ModifiedEvent, self._browser_changed)

    def _browser_changed(self, browser: Any, _event: str) -> None:
        frame = browser.GetSelectedItemNumber()
        if frame == self._frame or frame < 0 or not self.session.workspace:
            return
        self._frame = frame
        if self.measures is not None:
            self.measures.show_frame(frame)
        self.update_soon()

    def _bind_parameters(self) -> None:
        """Take the scene's parameter node, and connect the widgets that show a parameter."""
        self._unbind_parameters()
        self.parameters = self._get_parameters()
        self._connected = [self.parameters.connectGui(section.ui) for section in self.sections]
        node = self.parameters.parameterNode
        self._parameter_observer = node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._parameters_changed)

    def _unbind_parameters(self) -> None:
        for tag in self._connected:
            self.parameters.disconnectGui(tag)
        self._connected = []
        if self._parameter_observer is not None:
            node, tag = self._parameter_observer
            node.RemoveObserver(tag)
            self._parameter_observer = None

    def _parameters_changed(self, _node: Any, _event: str) -> None:
        if self.measures is not None:
            self.measures.set_frames(self.parameters.endDiastole, self.parameters.endSystole)
        self.update_soon()

    def _update_now(self) -> None:
        self._is_waiting = False
        self.update()

    def _move_below(self, section: Section) -> None:
        if self._owner is not section:
            self._owner = section
            self._layout.removeWidget(self.ui.statusFrame)
            self._layout.insertWidget(self._layout.indexOf(section.widget) + 1, self.ui.statusFrame)

    def _show_status(self) -> None:
        """The bar only for what was asked for: one that comes and goes with every edit would only unsettle."""
        working = any(section.is_busy for section in self.sections) and not self._is_only_live
        for each in (self.ui.progressBar, self.ui.cancelButton):
            each.setVisible(working)
        said = bool(self.ui.messageLabel.text)
        for each in (self.ui.messageLabel, self.ui.dismissButton):
            each.setVisible(said)
        self.ui.statusFrame.setVisible(said or working)

    @property
    def _is_only_live(self) -> bool:
        return self.session.propagation.is_running and self.session.is_following

    def _cancel_clicked(self) -> None:
        self._cancel()
        self.update_soon()
