"""Hosts the motion models."""

from __future__ import annotations

from monailabel.interfaces.tasks.train import TrainTask

from monailabel_app.lib.configs.base import AppTaskConfig
from monailabel_app.lib.infers.base import CineTask
from monailabel_app.lib.infers.motion import MotionTask


class Motion(AppTaskConfig):
    """The infer task `motion`."""

    def infer(self) -> CineTask:
        """The task, on the motions that the whole server shares."""
        return MotionTask(self.shared.motions)

    def trainer(self) -> TrainTask | None:
        """None: the model that is hosted so far needs no training."""
        return None
