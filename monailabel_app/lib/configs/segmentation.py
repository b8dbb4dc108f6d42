"""Hosts the segmentation models whose weights are there, and `fused`."""

from __future__ import annotations

from cardiac_motion.pipeline_segmentation import FUSED, segmentation_names
from monailabel.interfaces.tasks.train import TrainTask

from monailabel_app.lib.configs.base import AppTaskConfig
from monailabel_app.lib.infers.base import CineTask
from monailabel_app.lib.infers.segmentation import FusedTask, SegmentationTask


class Segmentation(AppTaskConfig):
    """One infer task for each model, under the model's name."""

    def infer(self) -> dict[str, CineTask]:
        """The tasks by name; none without weights."""
        return {
            name: FusedTask(self.shared.motions) if name == FUSED else SegmentationTask(name)
            for name in segmentation_names()
        }

    def trainer(self) -> TrainTask | None:
        """None: fine-tuning is not hosted yet."""
        return None
