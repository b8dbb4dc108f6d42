"""CardiacMotion: contours on all frames of a cine, from one. What it does is in CardiacMotionLib."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

if TYPE_CHECKING:
    from CardiacMotionLib.panel import Panel
    from CardiacMotionLib.panel_making import PanelMaking
    from CardiacMotionLib.parameters import Parameters
    from CardiacMotionLib.session import Session


class CardiacMotion(ScriptedLoadableModule):
    """What Slicer shows of the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Cardiac Motion")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        parent.dependencies = ["Sequences", "Segmentations", "SegmentEditor", "Plots", "Tables"]
        parent.contributors = ["CardiacMotion contributors"]
        parent.helpText = _(
            "Contours on every frame of a cine cardiac MR, from one contoured frame. Connect to a server of "
            "CardiacMotion or start one on this computer, open a cine, draw RV, MYO and LV on one frame, and "
            "press Propagate. Correct a frame, and the others follow. Volumes, ejection fractions and the motion "
            "itself are shown as you work; labels go back to the server when you submit them.<p>Nothing is sent "
            "anywhere before you connect to a server. For research; not a medical device."
        )
        parent.acknowledgementText = _(
            "Motion is estimated by the server of CardiacMotion. The extension is built on 3D Slicer's Sequences, "
            "Segmentations, Segment Editor and Plots."
        )
        slicer.app.connect("startupCompleted()", self._offer_sample_data)  # Sample Data is there only then

    def _offer_sample_data(self) -> None:
        from CardiacMotionLib.sample_data import register  # noqa: PLC0415

        resources = Path(self.parent.path).parent / "Resources"
        register(resources, lambda: slicer.util.getModuleWidget("CardiacMotion").logic.session)


class CardiacMotionWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel in Slicer: made, entered, left, closed with the scene, and taken away."""

    def __init__(self, parent: Any = None) -> None:
        self.logic: CardiacMotionLogic | None = None
        self._making: PanelMaking | None = None
        VTKObservationMixin.__init__(self)
        ScriptedLoadableModuleWidget.__init__(self, parent)

    @property
    def panel(self) -> Panel | None:
        """The whole panel; what is not made yet is made now. None before `setup` and after `cleanup`."""
        return None if self._making is None else self._making.whole()

    def setup(self) -> None:
        """Begin the panel, which follows bit by bit as the window is idle: it reads a good many files."""
        from CardiacMotionLib.panel_making import PanelMaking  # noqa: PLC0415

        ScriptedLoadableModuleWidget.setup(self)
        self.logic = CardiacMotionLogic()
        self._making = PanelMaking(partial(self._begin, self.logic), self.logic.single_shot)
        for event, call in (
            (slicer.mrmlScene.StartCloseEvent, self._scene_closes),
            (slicer.mrmlScene.EndCloseEvent, self._scene_closed),
            (slicer.mrmlScene.EndImportEvent, self._scene_loaded),
        ):
            self.addObserver(slicer.mrmlScene, event, call)

    def enter(self) -> None:
        """The user looks at the module."""
        if self._making is not None:
            self._making.enter()

    def exit(self) -> None:
        """The user looks at another one; what is under way goes on."""
        if self._making is not None:
            self._making.leave()

    def cleanup(self) -> None:
        """Slicer ends, or the module is loaded anew."""
        self.removeObservers()
        if self._making is not None:
            self._making.close()
            self._making = None
        if self.logic is not None:
            self.logic.close()

    def _begin(self, logic: CardiacMotionLogic) -> Panel:
        from CardiacMotionLib.panel import Panel  # noqa: PLC0415

        frame = slicer.util.loadUI(self.resourcePath("UI/CardiacMotion.ui"))
        self.layout.addWidget(frame)
        frame.setMRMLScene(slicer.mrmlScene)
        timers = logic.start_timer, logic.single_shot
        return Panel(frame, self.resourcePath, logic.session, logic.parameters, *timers)

    def _scene_closes(self, _scene: Any, _event: Any) -> None:
        if self.panel is not None:
            self.panel.scene_closes()

    def _scene_closed(self, _scene: Any, _event: Any) -> None:
        if self.panel is not None:
            self.panel.scene_closed()

    def _scene_loaded(self, _scene: Any, _event: Any) -> None:
        if self.panel is not None:
            self.panel.scene_loaded()


class CardiacMotionLogic(ScriptedLoadableModuleLogic):
    """The session, with Slicer's timers."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._is_closed = False
        self._timers = qt.QObject()  # owns the timers: they live until they are stopped, or the logic goes
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """What the module is doing; it knows no Qt. Made when it is first asked for."""
        from CardiacMotionLib.session import Session  # noqa: PLC0415

        if self._session is None:
            self._session = Session(self.start_timer, self.single_shot)
        return self._session

    def parameters(self) -> Parameters:
        """The typed parameter node of the scene."""
        from CardiacMotionLib.parameters import Parameters  # noqa: PLC0415

        wrapped: Any = Parameters  # what the wrapper makes of it takes a node
        return wrapped(self.getParameterNode())

    def start_timer(self, call: Callable[[], None], milliseconds: int) -> Callable[[], None]:
        """Call something every so many milliseconds; gives what ends that, also if called twice."""
        timer = qt.QTimer(self._timers)
        timer.setInterval(milliseconds)
        timer.connect("timeout()", call)
        timer.start()
        is_over = False

        def stop() -> None:
            nonlocal is_over
            if is_over:
                return  # a second time there may be no timer any more
            is_over = True
            timer.stop()
            timer.disconnect("timeout()", call)
            timer.deleteLater()

        return stop

    def single_shot(self, milliseconds: int, call: Callable[[], None]) -> None:
        """Call something once, later, unless the module has gone by then."""

        def later() -> None:
            if not self._is_closed:
                call()

        qt.QTimer.singleShot(milliseconds, later)

    def close(self) -> None:
        """Stop everything, for good."""
        self._is_closed = True
        if self._session is not None:
            self._session.close()


class CardiacMotionTest(ScriptedLoadableModuleTest):
    """What Slicer's "Reload and Test" runs; see Testing/Python/CardiacMotionSelfTest.py."""

    def runTest(self) -> None:  # noqa: N802 - unittest's
        """Run the self-test, where the sources are at hand."""
        import runpy  # noqa: PLC0415

        path = Path(__file__).parent / "Testing" / "Python" / "CardiacMotionSelfTest.py"
        if not path.is_file():
            self.delayDisplay(f"{path} is not there: the self-test is no part of the installed extension")
            return
        runpy.run_path(str(path))["run"]()
        self.delayDisplay("The self-test passed")
