"""Figures of volumes over the cycle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cardiac_motion.analysis.volumes import cardiac_function
from cardiac_motion.atomic import atomic_path
from cardiac_motion.errors import InputError
from cardiac_motion.labels import COLOURS, Label

_NAMES = {Label.LV: "LV cavity", Label.RV: "RV cavity", Label.LA: "LA", Label.RA: "RA"}
_CAVITIES = (Label.LV, Label.RV, Label.LA, Label.RA)
_TRUTH_STYLE = (0, (4, 2))
_MOST_NAMED = 3
"""Key frames that the legend names one by one."""


def save_figure(figure: Figure, path: Path | str, *, dpi: int = 130) -> None:
    """Write a figure, in the format that the name ends in; whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi)


def volume_time_curve(
    volumes: Mapping[Label, npt.ArrayLike],
    frame_times: npt.ArrayLike,
    *,
    truth: Mapping[Label, npt.ArrayLike] | None = None,
    key_frames: Mapping[int, str] | None = None,
    ed: int | None = None,
    es: int | None = None,
    title: str = "",
) -> Figure:
    """Volumes in ml against time in ms, with ED and ES marked and the ejection fractions in the legend.

    Args:
        volumes: {structure: (T,) ml}; only cavities are drawn.
        frame_times: (T,) seconds.
        truth: the same from the truth, drawn dashed.
        key_frames: frames with labels of their own and what to call them, marked by a tick on the curve.
        ed: frame of end-diastole; by default read off the curves.
        es: frame of end-systole; likewise.
        title: above the figure.

    Raises:
        InputError: no ventricle among the volumes, or curves of different lengths.
    """
    times = 1000 * np.asarray(frame_times, dtype=np.float64)
    truth = truth or {}
    _check_lengths(volumes, times, "volumes")
    _check_lengths(truth, times, "truth")
    function = cardiac_function(volumes, ed=ed, es=es)
    # Each side by its own ED and ES, as a reader would, unless they are given.
    true_function = cardiac_function(truth, ed=ed, es=es) if truth else function
    key_frames = key_frames or {}
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for label in (cavity for cavity in _CAVITIES if cavity in volumes):
        curve = np.asarray(volumes[label], dtype=np.float64)
        name = _NAMES[label]
        if label in function.ventricles:
            name += f", EF {function.ventricles[label].ejection_fraction:.0f} %"
        axes.plot(times, curve, color=COLOURS[label], linewidth=2, marker="o", markersize=3, label=name)
        if label in truth:
            name = f"{_NAMES[label]}, truth"
            if label in true_function.ventricles:
                name += f", EF {true_function.ventricles[label].ejection_fraction:.0f} %"
            axes.plot(
                times,
                np.asarray(truth[label]),
                color=COLOURS[label],
                linewidth=1.4,
                linestyle=_TRUTH_STYLE,
                label=name,
            )
        for frame in key_frames:
            axes.plot(times[frame], curve[frame], "s", color="black", markersize=7, fillstyle="none", zorder=5)
    _mark_phases(axes, times, function.ed, function.es)
    handles, _ = axes.get_legend_handles_labels()
    if key_frames:
        handles.append(
            Line2D([], [], linestyle="none", marker="s", color="black", fillstyle="none", label=_named(key_frames))
        )
    # Below the axes, where it can hide no part of a curve.
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    axes.set_xlabel("time after the first frame (ms)")
    axes.set_ylabel("volume (ml)")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.02)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if title:
        axes.set_title(title, fontsize=11, pad=16)
    return figure


def _named(key_frames: Mapping[int, str]) -> str:
    """Key frames by number, or how many there are where that would not fit a line of the legend."""
    in_order = sorted(key_frames.items())
    if len(in_order) <= _MOST_NAMED:
        return "key frame " + ", ".join(f"{frame} ({what})" if what else str(frame) for frame, what in in_order)
    kinds: dict[str, list[int]] = {}
    for frame, what in in_order:
        kinds.setdefault(what, []).append(frame)
    return "key frames: " + ", ".join(
        f"{len(frames)} {what}".rstrip() if len(frames) > 1 else f"frame {frames[0]} {what}".rstrip()
        for what, frames in kinds.items()
    )


def _check_lengths(curves: Mapping[Label, npt.ArrayLike], times: npt.NDArray[np.float64], name: str) -> None:
    for label, curve in curves.items():
        if np.shape(curve) != times.shape:
            raise InputError(f"{name} of {label.name}: expected {times.size} frames, got {np.shape(curve)}")


def _mark_phases(axes: Any, times: npt.NDArray[np.float64], ed: int, es: int) -> None:
    for name, frame in (("ED", ed), ("ES", es)):
        axes.axvline(times[frame], color="0.55", linewidth=0.9, linestyle=":", zorder=0)
        axes.annotate(
            f"{name} (frame {frame})",
            (times[frame], 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha={0: "left", len(times) - 1: "right"}.get(frame, "center"),
            va="bottom",
            fontsize=8.5,
            color="0.35",
        )
