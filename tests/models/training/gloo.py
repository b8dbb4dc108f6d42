"""One of the processes of `test_distributed.py`: trains the tiny task and writes down what it saw."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from cardiac_motion.training.distributed import World, process_group
from cardiac_motion.training.fit import fit
from cardiac_motion.training.options import FitOptions
from cardiac_motion.training.recipes.segmentation import SegmentationTask

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.models.training.conftest import Discs, tiny_recipe

KINDS = ("plain", "dice over parts", "two parts each")


def shared_run(kind: str) -> tuple[SegmentationTask, FitOptions]:
    """What is trained by one and by two processes, in one of several kinds."""
    recipe = replace(tiny_recipe(dropout=0.2), dice_over_batch=kind == "dice over parts")
    task = SegmentationTask(recipe, training={"discs": Discs()}, validation=Discs(4))
    parts = 4 if kind == "two parts each" else 2
    return task, replace(recipe.fit, steps=12, learning_rate=2e-3, patience=50, parts=parts)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    found = {}
    with process_group() as device:
        world = World.current()
        for kind in KINDS:
            task, options = shared_run(kind)
            messages: list[str] = []

            def progress(_fraction: float, message: str, messages: list[str] = messages) -> None:
                messages.append(message)

            result = fit(task, folder / kind, options=options, device=device, progress=progress)
            found[kind] = {
                "size": world.size,
                "losses": result.losses,
                "validations": result.validations,
                "messages": len(messages),
                "has_state": bool(result.state),
            }
    (folder / f"rank_{world.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
