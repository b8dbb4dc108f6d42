"""A motion with aligned slices, on a real server with the shipped weights: held against the package itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion import pipeline_alignment
from cardiac_motion.aligned import SliceAlignment
from cardiac_motion.io import read_cine, read_labels, write_cine, write_labels
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.phantom import AppearanceOptions, PhantomOptions, make_study
from cardiac_motion.pipeline import propagate_cine
from cardiac_motion.pipeline_alignment import alignment_for_motion
from cardiac_motion.registration.base import with_options
from cardiac_motion.registration.registry import motion_model
from CardiacMotionLib.client import Client, ServerRefused

from monailabel_app.lib.errors import Unprocessable
from monailabel_app.lib.infers.motion import MotionTask
from monailabel_app.lib.memory import KnownMotions
from tests.server.conftest import QUICK, Study

PARAMS: dict[str, Any] = {"key_frames": [0], "options": {**QUICK, "dimensions": 3}, "align": True}


@pytest.fixture(scope="module")
def displaced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Cine and labels of frame 0 of a phantom whose slices are displaced."""
    options = PhantomOptions(frames=4, slices=8, matrix=(104, 104), pixel_spacing=2.2, motion_truth=False,
                             appearance=AppearanceOptions(breath_hold_shifts=False))  # fmt: skip
    made = make_study(12, options)
    away = np.array([(0, 0), (6, 0), (0, -6), (-6, 4), (0, 6), (6, -4), (-4, 0), (0, 0)], dtype=np.float64)
    alignment = SliceAlignment.of(made.cine, -away)
    y, x = (slice(axis.before, axis.before + 104) for axis in alignment.axes)
    frames = alignment.align(made.cine).frames[..., y, x]
    cine = replace(made.cine, frames=frames)
    labels = alignment.labels(made.labels[0])[..., y, x]
    folder = tmp_path_factory.mktemp("displaced")
    write_cine(folder / "cine.nii.gz", cine)
    write_labels(folder / "ed.nii.gz", np.where(labels <= 3, labels, 0), cine)
    return folder / "cine.nii.gz", folder / "ed.nii.gz"


def test_the_motion_is_that_of_the_aligned_slices_and_kept_apart(
    client: Client, displaced: tuple[Path, Path], tmp_path: Path
) -> None:
    image, label = displaced
    client.put_image("displaced", image)
    plain = client.infer("motion", "displaced", {**PARAMS, "align": False}, label=label)
    first = client.infer("motion", "displaced", PARAMS, label=label)
    again = client.infer("motion", "displaced", PARAMS, label=label)
    assert [each.params["motion_from_cache"] for each in (plain, first, again)] == [False, False, True]
    assert "slice_shifts" not in plain.params
    assert first.params["slice_shifts"] == again.params["slice_shifts"]
    cine = read_cine(image)
    aligned = alignment_for_motion(cine)
    found = first.params["slice_shifts"]
    assert np.array(found["shifts_mm"]) == pytest.approx(aligned.kept.shifts.shifts_mm, abs=1e-3)  # type: ignore[union-attr]
    assert np.abs(found["shifts_mm"]).max() > 1
    model = motion_model()
    expected = propagate_cine(
        cine,
        {0: read_labels(label).labels[0]},
        model,
        options=with_options(model.default_options, PARAMS["options"]),
        alignment=SliceAlignment.of(cine, found["shifts_mm"]),
    )
    first.save(tmp_path / "l.nii.gz")
    assert (read_labels(tmp_path / "l.nii.gz").labels == expected.labels).all()
    assert set(aligned.warnings(expected.motion)) <= set(first.params["warnings"])


def test_fused_has_its_motion_aligned_by_the_same_shifts(
    client: Client, displaced: tuple[Path, Path], tmp_path: Path
) -> None:
    # An image of its own, of which no motion is known.
    cine = read_cine(displaced[0])
    write_cine(tmp_path / "other.nii.gz", replace(cine, frames=cine.frames + 1))
    client.put_image("displaced-too", tmp_path / "other.nii.gz")
    wanted = {"key_frames": [0], "motion_options": PARAMS["options"], "align": True}
    answer = client.infer("fused", "displaced-too", wanted, label=displaced[1])
    assert np.abs(answer.params["slice_shifts"]["shifts_mm"]).max() > 1
    carried = client.infer("motion", "displaced-too", PARAMS, label=displaced[1])
    assert carried.params["motion_from_cache"]
    assert carried.params["slice_shifts"] == answer.params["slice_shifts"]


def test_too_few_slices_are_told_and_a_single_one_is_refused(
    client: Client, study: Study, displaced: tuple[Path, Path], tmp_path: Path
) -> None:
    client.put_image("three-slices", study.image)
    answer = client.infer("motion", "three-slices", PARAMS, label=study.ed)
    assert answer.params["slice_shifts"] is None
    assert any("were not aligned: expected at least 4 slices" in each for each in answer.params["warnings"])
    cine = read_cine(displaced[0])
    single = replace(cine, frames=cine.frames[:, 4:5])
    write_cine(tmp_path / "single.nii.gz", single)
    write_labels(tmp_path / "label.nii.gz", read_labels(displaced[1]).labels[0, 4:5], single)
    client.put_image("single", tmp_path / "single.nii.gz")
    with pytest.raises(ServerRefused, match="a single slice has no neighbours") as raised:
        client.infer("motion", "single", PARAMS, label=tmp_path / "label.nii.gz")
    assert (raised.value.status, raised.value.code) == (422, "unprocessable")
    wanted = {"key_frames": [0], "align": True}
    with pytest.raises(ServerRefused, match="a single slice has no neighbours") as raised:
        client.infer("fused", "single", wanted, label=tmp_path / "label.nii.gz")
    assert (raised.value.status, raised.value.field) == (422, "align")


def test_a_server_without_the_weights_says_so(
    study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pipeline_alignment, "shipped_weights", lambda: ())
    task = MotionTask(KnownMotions(MotionCache(tmp_path), 2**20))
    context: Any = type("Context", (), {"case": type("Case", (), {"cine": study.cine})})
    with pytest.raises(Unprocessable, match="whose weights are not there") as raised:
        task._alignment(context)
    assert raised.value.field == "align"
