"""The MONAI Label app."""

from __future__ import annotations

import importlib.resources
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cardiac_motion
from cardiac_motion.labels import STRUCTURES
from cardiac_motion.motion_cache import MotionCache
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.strategy import Strategy

from monailabel_app.lib.activelearning.strategies import strategies
from monailabel_app.lib.configs.base import AppTaskConfig, Shared, chosen_configs
from monailabel_app.lib.datastore import LocalDatastore
from monailabel_app.lib.errors import NotFound, Unprocessable
from monailabel_app.lib.infers.base import CineTask
from monailabel_app.lib.memory import KnownMotions
from monailabel_app.lib.settings import ServerSettings

API_VERSION = 1


class CardiacMotionApp(MONAILabelApp):
    """Hosts the models of `cardiac_motion` on a folder of studies.

    Args:
        app_dir: folder of this app.
        studies: folder of images and labels.
        conf: MONAI Label's; ``models`` names the ones to host, separated by commas, or "all".
        settings: of the server; by default those for this folder of studies.
    """

    def __init__(
        self, app_dir: str, studies: str, conf: Mapping[str, str], settings: ServerSettings | None = None
    ) -> None:
        self.settings = settings or ServerSettings(studies=Path(studies))
        cache = self.settings.cache_folder or Path(studies) / ".cardiac_motion" / "motions"
        shared = Shared(KnownMotions(MotionCache(cache), self.settings.limits.memory_bytes))
        self._configs: dict[str, AppTaskConfig] = {}
        for name, kind in chosen_configs(conf.get("models", "all")).items():
            self._configs[name] = kind(shared)
            self._configs[name].init(name, str(Path(app_dir) / "model"), dict(conf), None)
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=dict(conf),
            name="CardiacMotion",
            description="Contours on every frame of a cine cardiac MR",
            version=cardiac_motion.__version__,
            labels={structure.name: int(structure) for structure in STRUCTURES},
        )

    def init_datastore(self) -> LocalDatastore:
        """The studies folder, locked for this server."""
        limits = self.settings.limits
        return LocalDatastore(self.settings.studies, max_voxels=limits.voxels, max_frames=limits.frames)

    def init_infers(self) -> dict[str, CineTask]:
        """Tasks of all hosted models, by the name of their route."""
        found: dict[str, CineTask] = {}
        for name, config in self._configs.items():
            task = config.infer()
            found |= task if isinstance(task, dict) else {name: task}
        return found

    def init_strategies(self) -> dict[str, Strategy]:
        """Which case comes next."""
        return strategies()

    @property
    def strategy_names(self) -> list[str]:
        """Names of the strategies."""
        return list(self._strategies)

    def task(self, name: str) -> CineTask:
        """An infer task by the name of its route.

        Raises:
            NotFound: there is none of that name.
        """
        task = self._infers.get(name)
        if task is None:
            raise NotFound(
                f"there is no model {name!r}; there are {', '.join(self._infers)}",
                code="unknown_model",
                field="model",
            )
        return task

    def next_case(self, strategy: str, *, client_id: str | None = None) -> dict[str, Any]:
        """The next case to label with what is known of it, or nothing if every case has a final label.

        Raises:
            NotFound: there is no strategy of that name.
        """
        picker = self._strategies.get(strategy)
        if picker is None:
            raise NotFound(
                f"there is no strategy {strategy!r}; there are {', '.join(self.strategy_names)}",
                code="unknown_strategy",
                field="strategy",
            )
        store = self.datastore()
        found = picker({"strategy": strategy}, store)
        while found:
            # A file that cannot be read is nothing to label; from then on it is not picked any more.
            try:
                store.case(found["id"])
                break
            except (NotFound, Unprocessable):
                found = picker({"strategy": strategy}, store)
        if not found:
            return {}
        case = found["id"]
        shown = dict(store.find_image(case).info.get("strategy", {}))
        shown[strategy] = {"ts": int(time.time()), "client_id": client_id}
        store.update_image_info(case, {"strategy": shown})
        return {**found, **store.find_image(case).to_json()}

    def info(self) -> dict[str, Any]:
        """MONAI Label's description, and under ``cardiac_motion`` our own."""
        models = [asdict(entry) for task in self._infers.values() for entry in task.models()]
        return {
            **super().info(),
            "cardiac_motion": {
                "api": API_VERSION,
                "version": cardiac_motion.__version__,
                "models": models,
                "tasks": list(self._infers),
                "labels": self.labels,
                "strategies": self.strategy_names,
                "imports": ["dicom"],
                "limits": {
                    name: getattr(self.settings.limits, name)
                    for name in ("upload_bytes", "voxels", "frames", "jobs", "dicom_files", "dicom_bytes")
                },
            },
        }


def app_folder() -> Path:
    """The folder of this app."""
    return Path(str(importlib.resources.files("monailabel_app")))
