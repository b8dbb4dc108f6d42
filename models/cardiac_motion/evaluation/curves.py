"""Figures over all cases: reliability curves and box plots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from cardiac_motion.evaluation.results import MEASURES, CaseResult, method_names, structures_of
from cardiac_motion.evaluation.scores import UNREGISTERED
from cardiac_motion.metrics import reliability_curve

Colour = tuple[float, float, float]


def method_colours(names: Sequence[str]) -> dict[str, Colour]:
    """A colour for each method, the unregistered grey."""
    models = [name for name in names if name != UNREGISTERED]
    colours = {name: to_rgb(colormaps["Dark2"](i % 8)) for i, name in enumerate(models)}
    return {UNREGISTERED: (0.55, 0.55, 0.55), **colours}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, drawn by Agg, of so many inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _panels(cases: Sequence[CaseResult], measure: str) -> Iterator[tuple[str, dict[str, list[float]]]]:
    """Title and values by method for each structure, and for the mean over structures where there are several."""
    structures = structures_of(cases)
    names = method_names(cases)
    for structure in structures:
        held = [case for case in cases if structure in case.structures]
        values = {name: [case.value(name, structure, measure) for case in held] for name in names}
        yield counted_title(structure.name, values), values
    if len(structures) > 1:
        means = {name: [case.mean(name, measure) for case in cases] for name in names}
        yield counted_title("mean", means), means


def counted_title(name: str, values: Mapping[str, Sequence[float]]) -> str:
    """The name with the number of cases, or the range where it differs between methods."""
    counts = sorted({int(np.count_nonzero(~np.isnan(each))) for each in values.values()})
    return f"{name} (n = {counts[0]})" if len(counts) == 1 else f"{name} (n = {counts[0]} to {counts[-1]})"


def _grid(count: int, width: float, height: float) -> tuple[Figure, list[Any]]:
    """A figure with so many panels of this size, at most three beside each other, on one vertical scale."""
    columns = 2 if count == 4 else min(count, 3)
    rows = math.ceil(count / columns)
    figure = new_figure(width * columns + 0.7, height * rows + 0.3)
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, list(axes[:count])


def _first_column(axes: Sequence[Any]) -> list[Any]:
    return [ax for ax in axes if ax.get_subplotspec().is_first_col()]


def reliability_figure(cases: Sequence[CaseResult]) -> Figure:
    """R(d), the share of cases with a Dice above d, at ES over the slices that hold the structure at both frames.

    Source: recursive diffeomorphic registration, eq. (7) and figure 3.
    """
    panels = list(_panels(cases, "dice_shared"))
    figure, axes = _grid(len(panels), 3.3, 3.3)
    colours = method_colours(method_names(cases))
    for ax, (title, values) in zip(axes, panels, strict=True):
        for name, dice in values.items():
            threshold, share = reliability_curve(dice, np.linspace(0, 1, 501))
            style = "--" if name == UNREGISTERED else "-"
            ax.step(
                threshold, share, where="post", color=colours[name], linestyle=style, linewidth=1.8, label=name
            )
        ax.set(title=title, xlabel="Dice d", xlim=(0, 1), ylim=(-0.02, 1.04))
        ax.grid(alpha=0.25)
    for ax in _first_column(axes):
        ax.set_ylabel("R(d): share of cases above d")
    _legend(figure, axes[0])
    return figure


def box_figure(cases: Sequence[CaseResult], measure: str = "dice_shared") -> Figure:
    """Box plots of a measure at ES, a point for each case; see `boxes`."""
    return boxes(list(_panels(cases, measure)), method_names(cases), MEASURES[measure][0])


def boxes(
    panels: Sequence[tuple[str, Mapping[str, Sequence[float]]]], names: Sequence[str], measure: str
) -> Figure:
    """Box plots with a point for each value; quartiles, and whiskers of 1.5 times their distance.

    Args:
        panels: title, and values by method.
        names: of the methods, in order.
        measure: what the values are.
    """
    colours = method_colours(names)
    width = max(1.9, 0.75 * len(names))
    figure, axes = _grid(len(panels), width, 3.8)
    for ax, (title, values) in zip(axes, panels, strict=True):
        for place, name in enumerate(names):
            defined = np.array([v for v in values[name] if not np.isnan(v)])
            if defined.size:
                _box(ax, place, defined, colours[name])
        ax.set_title(title)
        ax.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
        ax.set_xlim(-0.6, len(names) - 0.4)
        ax.grid(axis="y", alpha=0.25)
    # The long name of the measure, broken before its second part, so that it fits beside the axis.
    for ax in _first_column(axes):
        ax.set_ylabel(_broken(measure))
    return figure


def _box(ax: Any, place: int, values: Any, colour: Colour) -> None:
    parts = ax.boxplot(
        [values], positions=[place], widths=0.55, showfliers=False, patch_artist=True, manage_ticks=False
    )
    for box in parts["boxes"]:
        box.set(facecolor=(*colour, 0.3), edgecolor=colour)
    for line in (*parts["whiskers"], *parts["caps"], *parts["medians"]):
        line.set(color=colour, linewidth=1.4)
    # Points beside each other, in the order of the cases, so that equal values show.
    spread = np.linspace(-0.16, 0.16, values.size) if values.size > 1 else np.zeros(1)
    ax.plot(place + spread, values, "o", color=colour, markersize=3.5, alpha=0.9)


def _broken(text: str) -> str:
    words = text.split()
    lengths = np.cumsum([len(word) + 1 for word in words])
    middle = int(np.argmin(np.abs(lengths - lengths[-1] / 2))) + 1
    return " ".join(words[:middle]) + "\n" + " ".join(words[middle:]) if lengths[-1] > 30 else text


def _legend(figure: Figure, ax: Any) -> None:
    handles, names = ax.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 6), frameon=False)
