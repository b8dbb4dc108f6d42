"""CardiacMotion: contours on all frames of a cine, from one. What it does is in CardiacMotionLib."""

from __future__ import annotations

from collections.abc import Callable
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
        # Other modules, Sample Data among them, are there only once Slicer has started.
        slicer.app.connect("startupCompleted()", self._offer_sample_data)

    def _offer_sample_data(self) -> None:
        from CardiacMotionLib.sample_data import register  # noqa: PLC0415

        resources = Path(self.parent.path).parent / "Resources"
        register(resources, lambda: slicer.util.getModuleWidget("CardiacMotion").logic.session)


class CardiacMotionWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel in Slicer: made, entered, left, closed with the scene, and taken away."""

    def __init__(self, parent: Any = None) -> None:
        self.logic: CardiacMotionLogic | None = None
        self._panel: Panel | None = None
        VTKObservationMixin.__init__(self)
        ScriptedLoadableModuleWidget.__init__(self, parent)

    @property
    def panel(self) -> Panel | None:
        """The whole panel; what is not made yet is made now. None before `setup` and after `cleanup`."""
        if self._panel is not None:
            self._panel.make_all()
        return self._panel

    def setup(self) -> None:
        """Begin the panel; its sections follow one by one as the window is idle."""
        # Not at the top: it reads a good many files, and Slicer starts without them.
        from CardiacMotionLib.panel import Panel  # noqa: PLC0415

        ScriptedLoadableModuleWidget.setup(self)
        self.logic = CardiacMotionLogic()
        frame = slicer.util.loadUI(self.resourcePath("UI/CardiacMotion.ui"))
        self.layout.addWidget(frame)
        frame.setMRMLScene(slicer.mrmlScene)
        logic = self.logic
        self._panel = Panel(
            frame, self.resourcePath, logic.session, logic.parameters, logic.start_timer, logic.single_shot
        )
        for event, call in (
            (slicer.mrmlScene.StartCloseEvent, self._scene_closes),
            (slicer.mrmlScene.EndCloseEvent, self._scene_closed),
            (slicer.mrmlScene.EndImportEvent, self._scene_loaded),
        ):
            self.addObserver(slicer.mrmlScene, event, call)

    def enter(self) -> None:
        """The user looks at the module."""
        if self._panel is not None:
            self._panel.enter()

    def exit(self) -> None:
        """The user looks at another one; what is under way goes on."""
        if self._panel is not None:
            self._panel.leave()

    def cleanup(self) -> None:
        """Slicer ends, or the module is loaded anew."""
        self.removeObservers()
        panel, self._panel = self._panel, None
        if panel is not None:
            panel.close()
        if self.logic is not None:
            self.logic.close()

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
    """The session, with Slicer's timers.

    Attributes:
        session: what the module is doing; it knows no Qt.
    """

    session: Session

    def __init__(self) -> None:
        from CardiacMotionLib.session import Session  # noqa: PLC0415

        ScriptedLoadableModuleLogic.__init__(self)
        self._is_closed = False
        self._timers = qt.QObject()  # owns the timers: they live until they are stopped, or the logic goes
        self.session = Session(self.start_timer, self.single_shot)

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
        self.session.close()


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
