"""The version of `recursive` against what it does: motions that are kept are found again by that version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cardiac_motion import fields, losses, working_grid
from cardiac_motion.cine import Cine
from cardiac_motion.networks import recursive as network
from cardiac_motion.registration.recursive import (
    layout,
    model,
    objective,
    options,
    paper,
    pyramid,
    sequence,
    velocity,
)
from cardiac_motion.registration.recursive.model import RecursiveModel
from cardiac_motion.registration.recursive.options import RecursiveOptions

VERSION = "3"
CONSTANTS = "cb908b621cd01ffac3dba52c33273d9bce1a80bbf705806a61eddef4339610a8"
"""SHA-256 over the constants of that version."""
MOTIONS = {
    "velocity": (1.7521, 1.5027, 2.6034, 2.3701, 1.8611, 1.6515, 2.8469, 2.6828),
    "stacks": (0.8723, 0.8072, 1.1658, 1.0573, 0.8895, 0.8322, 1.2036, 1.1098),
    "small motion": (0.6414, 0.6461, 0.4063, 0.3944, 0.6647, 0.6706, 0.4149, 0.404),
    "network": (1.6966, 1.6543, 1.8672, 3.3254, 1.9328, 1.8956, 2.0003, 3.4301),
}
"""What that version finds: see `_mean_displacements`."""

MODULES = (
    working_grid,
    fields,
    losses,
    network,
    layout,
    model,
    objective,
    options,
    paper,
    pyramid,
    sequence,
    velocity,
)
FORMS = {
    "velocity": RecursiveOptions(iterations=6),
    "stacks": RecursiveOptions(iterations=3, levels=2, dimensions=3),
    "small motion": RecursiveOptions(iterations=6, small_motion=True),
    "network": RecursiveOptions(parametrisation="network", iterations=4),
}
ADVICE = "give RecursiveModel a new version if it finds other motions now, and put the new values into this file"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _constants(module: ModuleType) -> dict[str, Any]:
    """Every constant of a module that is plain data: numbers, text, and what is made of them."""
    found = {}
    for name, value in vars(module).items():
        if name.strip("_").isupper():
            try:
                found[name] = json.dumps(_plain(value), sort_keys=True)
            except TypeError:
                continue
    return found


def _fingerprint() -> str:
    constants = {module.__name__: _constants(module) for module in MODULES}
    return hashlib.sha256(json.dumps(constants, sort_keys=True).encode()).hexdigest()


def _squeezed() -> Cine:
    """A bright ring on a slope of grey that contracts and comes back, 4 frames of 2 slices."""
    y, x = np.mgrid[:44, :48].astype(np.float64)
    frames = np.zeros((4, 2, 44, 48), np.float32)
    for t, radius in enumerate((11.0, 9.0, 7.5, 9.5)):
        for z in range(2):
            away = np.hypot(y - 21, x - 23.5 - z)
            ring = np.exp(-(((away - radius) / 3) ** 2))
            frames[t, z] = 40 + x + 0.5 * y + 120 * ring + 5 * np.sin(x / 3) * np.cos(y / 4)
    return Cine(frames, np.diag([2.5, 2.5, 8.0, 1.0]), 0.1 * np.arange(4))


def _mean_displacements(form: str) -> list[float]:
    """Mean absolute displacement of frames 1 and 2 along y and x, both ways, in mm."""
    motion = RecursiveModel().estimate(_squeezed(), options=FORMS[form])
    both = (motion.to_reference, motion.from_reference)
    return [float(np.abs(field[t, axis]).mean()) for field in both for t in (1, 2) for axis in (1, 2)]


def test_the_constants_are_those_of_the_version() -> None:
    assert RecursiveModel.version == VERSION, f"a new version has a new fingerprint: {_fingerprint()}"
    assert _fingerprint() == CONSTANTS, f"constants of the registration have changed: {ADVICE}"


def test_the_fingerprint_holds_the_schedules_and_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (velocity, "ANY_MOTION", velocity.SMALL_MOTION),
        (velocity, "SMALL_MOTION", velocity.ANY_MOTION),
        (velocity, "FINEST_VOXEL_MM", 1.5),
        (sequence, "FOLLOWING", velocity.ANY_MOTION),
        (pyramid, "TAPER_MM", 12.0),
        (objective, "_WINDOWS", {2: 7, 3: 5}),
        (paper, "LEARNING_RATE", 1e-3),
        (network, "FILTERS", 32),
        (working_grid, "MARGIN_MM", 20.0),
        (working_grid, "_BLUR_MM", 10.0),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            assert _fingerprint() != CONSTANTS, name


@pytest.mark.parametrize("form", FORMS)
def test_the_motions_are_those_of_the_version(form: str) -> None:
    # What no constant shows, such as a loss or a step that is written otherwise.
    found = _mean_displacements(form)
    assert found == pytest.approx(MOTIONS[form], rel=0.01, abs=2e-3), f"{form} finds other motions: {ADVICE}"
