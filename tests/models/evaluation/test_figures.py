from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.evaluation import UNREGISTERED, Case, evaluate_case
from cardiac_motion.evaluation.curves import box_figure, reliability_figure
from cardiac_motion.evaluation.field_figures import draw_jacobian, wheel_colours
from cardiac_motion.evaluation.figure_folder import best_median_worst
from cardiac_motion.evaluation.gallery import Gallery, write_figures
from cardiac_motion.evaluation.results import CaseResult
from cardiac_motion.labels import Label
from matplotlib.colors import rgb_to_hsv
from matplotlib.figure import Figure
from PIL import Image

SHARES = (0.4, 1.0, 0.7, 0.1)

Results = tuple[list[CaseResult], Gallery]


@pytest.fixture(scope="module")
def results(study: Any, known: Callable[[float], Any]) -> Results:
    """Four cases on which one model is differently good."""
    gallery = Gallery()
    cases = []
    for share in SHARES:
        cine = Cine(study.cine.frames, study.cine.affine, study.cine.frame_times, name=f"share {share}")
        models = {"some": known(share), "all/of it": known(1.0)}
        cases.append(evaluate_case(Case.of(cine, study.labels), models, gallery=gallery))
    return cases, gallery


def test_best_median_and_worst(results: Results) -> None:
    def dice(case: CaseResult) -> float:
        return math.nan if case.name == "share 0.4" else case.mean("some", "dice_shared")

    chosen = best_median_worst(results[0], lambda case: case.mean("some", "dice_shared"))
    assert [(rank, case.name) for rank, case in chosen] == [
        ("best", "share 1.0"),
        ("median", "share 0.4"),
        ("worst", "share 0.1"),
    ]
    assert [rank for rank, _ in best_median_worst(results[0][:2], dice)] == ["best", "worst"]
    assert [case.name for _, case in best_median_worst(results[0][:2], dice)] == ["share 1.0", "share 0.4"]
    assert [rank for rank, _ in best_median_worst(results[0][:1], dice)] == ["the only case"]


def test_every_figure_is_written(results: Results, tmp_path: Path) -> None:
    cases, gallery = results
    names = write_figures(tmp_path / "figures", cases, gallery)
    assert sorted(names) == sorted(f"figures/{path.name}" for path in (tmp_path / "figures").iterdir())
    assert len(names) == 3 + 2 * (1 + 3)
    assert "figures/field_all-of-it_share-0.4.png" in names
    for name in names:
        with Image.open(tmp_path / name) as image:
            pixels = np.asarray(image.convert("RGB"))
        assert min(pixels.shape[:2]) > 300
        assert pixels.std() > 10, f"{name} shows nothing"


def test_reliability_steps_down_at_each_case(results: Results) -> None:
    cases, _ = results
    figure = reliability_figure(cases)
    panels = {ax.get_title(): ax for ax in figure.axes if ax.get_title()}
    assert set(panels) == {"RV (n = 4)", "MYO (n = 4)", "LV (n = 4)", "mean (n = 4)"}
    lines = {str(line.get_label()): np.asarray(line.get_xydata()) for line in panels["LV (n = 4)"].get_lines()}
    assert set(lines) == {UNREGISTERED, "some", "all/of it"}
    dice = sorted(case.value("some", Label.LV, "dice_shared") for case in cases)
    curve = lines["some"]
    for above, value in enumerate(reversed(dice)):
        assert np.interp(value - 0.004, *curve.T) == pytest.approx((above + 1) / 4)


def test_boxes_show_every_case(results: Results) -> None:
    cases, _ = results
    figure = box_figure(cases, "hausdorff_2d")
    axes = next(ax for ax in figure.axes if ax.get_title().startswith("MYO"))
    points = [np.asarray(line.get_ydata()) for line in axes.get_lines() if line.get_marker() == "o"]
    expected = [case.value("some", Label.MYO, "hausdorff_2d") for case in cases]
    np.testing.assert_allclose(points[1], expected)
    assert [label.get_text() for label in axes.get_xticklabels()] == [UNREGISTERED, "some", "all/of it"]


def test_the_wheel_has_a_hue_for_each_direction() -> None:
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    colours = rgb_to_hsv(wheel_colours(np.sin(angles), np.cos(angles), 1.0))
    np.testing.assert_allclose(colours[:, 0], angles / (2 * np.pi), atol=1e-6)
    np.testing.assert_allclose(colours[:, 1], 1.0)
    still = wheel_colours(np.zeros(3), np.zeros(3), 5.0)
    assert np.ptp(still) < 1e-9, "no displacement has no hue"


def test_the_map_of_the_jacobian_shows_contraction_and_folds() -> None:
    field = np.zeros((3, 2, 20, 24), np.float32)
    spacing = (8.0, 1.5, 1.5)
    y, x = np.mgrid[:20, :24]
    field[1] = -0.2 * 1.5 * y
    field[2] = -0.2 * 1.5 * x
    field[2, 1, 10, 12] += 4.0  # one point jumps over its neighbours
    figure = Figure()
    ax = figure.add_subplot()
    draw_jacobian(figure, ax, field, spacing, 0)
    assert "0 folded" in ax.get_title()
    shown = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(shown, np.log2(0.8**2), atol=1e-5)
    other = figure.add_subplot()
    draw_jacobian(figure, other, field, spacing, 1)
    assert "0 folded" not in other.get_title()
    mark = np.asarray(other.images[1].get_array())
    assert mark[10, 12, 3] == 1.0
    assert mark[2, 2, 3] == 0.0
