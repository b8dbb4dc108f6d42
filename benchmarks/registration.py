"""Registration methods side by side, ED to ES, slice by slice in 2D, on the same pairs in one run.

    python -m benchmarks.registration [--methods demons,syn,…] [--phantoms N] [--repeats N] [--markdown FILE]

The real pairs are read from the folder of real data (`benchmarks.pairs.data_folder`). Every method gets the same
crops of 128 x 128 pixels with intensities from 0 to 1, and its fields warp the same labels in the same way.
Methods run in turns, in another order each time, so that whatever else the machine does hits all alike.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from cardiac_motion.atomic import atomic_path
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.phantom import REPORT_SEEDS, TUNING_SEEDS

from benchmarks.methods import METHODS, Method, make_method
from benchmarks.pairs import SIZE, Pair, phantom_pairs, real_pairs
from benchmarks.peers import THREADS
from benchmarks.scores import UNREGISTERED, PairScore, score

Scores = Mapping[str, Sequence[PairScore]]
"""Of each method, one score per pair, in the order of the pairs."""

SLOW_SECONDS = 10.0
"""A method that takes longer for a slice is not repeated: noise matters little, and the run would take hours."""

_STRUCTURES = (Label.RV, Label.MYO, Label.LV)


def compare(
    pairs: Sequence[Pair], methods: Mapping[str, Method], *, repeats: int = 1
) -> dict[str, list[PairScore]]:
    """Run every method on every pair; repeats only add times, and slow methods have none.

    Returns:
        Scores by method, "unregistered" first; the seconds of a pair are the median over the repeats, by slice.
    """
    names = list(methods)
    scores: dict[str, list[PairScore]] = {UNREGISTERED: [score(pair, None) for pair in pairs]}
    for name in names:
        # Libraries load and compile on first use; that is no part of registering a pair. A part will do.
        small = (slice(0, 1), slice(32, 96), slice(32, 96))
        methods[name](pairs[0].fixed[small], pairs[0].moving[small], pairs[0].spacing)
        scores[name] = []
    for number, pair in enumerate(pairs):
        seconds: dict[str, list[tuple[float, ...]]] = {name: [] for name in names}
        found = {}
        for repeat in range(repeats):
            start = (number + repeat) % max(len(names), 1)
            for name in names[start:] + names[:start]:
                if repeat and np.median(seconds[name][0]) > SLOW_SECONDS:
                    continue
                found[name] = methods[name](pair.fixed, pair.moving, pair.spacing)
                seconds[name].append(found[name].seconds)
        for name in names:
            medians = tuple(float(value) for value in np.median(np.array(seconds[name]), axis=0))
            scores[name].append(replace(score(pair, found[name]), seconds=medians))
        print(f"  {pair.name} done", file=sys.stderr)
    return scores


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return statistics.fmean(defined) if defined else float("nan")


def _number(value: float, digits: int) -> str:
    return "–" if np.isnan(value) else f"{value:.{digits}f}"  # noqa: RUF001 - a dash for no value


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _by_structure(scores: Scores, pick: Callable[[PairScore], Mapping[Label, float]], digits: int) -> str:
    """Means over the pairs for each structure, then the two means over everything."""
    held = {s: sum(s in pick(each) for each in scores[UNREGISTERED]) for s in _STRUCTURES}
    shown = [s for s in _STRUCTURES if held[s]]
    header = ["method", *(f"{s.name} (n = {held[s]})" for s in shown), "mean of pairs", "mean of structures"]
    rows = []
    for name, measured in scores.items():
        means = [_mean([pick(each)[s] for each in measured if s in pick(each)]) for s in shown]
        of_pairs = _mean([_mean(list(pick(each).values())) for each in measured])
        rows.append([name, *(_number(v, digits) for v in (*means, of_pairs, _mean(means)))])
    return _table(header, rows)


def _by_pair(scores: Scores, pairs: Sequence[Pair]) -> str:
    """Dice of each pair and structure, slices that hold it at both frames / whole stack."""
    columns = [(i, s) for i, pair in enumerate(pairs) for s in pair.structures]
    rows = [
        [name, *(f"{measured[i].dice_shared[s]:.3f} / {measured[i].dice_stack[s]:.3f}" for i, s in columns)]
        for name, measured in scores.items()
    ]
    return _table(["method", *(f"{pairs[i].name} {s.name}" for i, s in columns)], rows)


def _fields(scores: Scores) -> str:
    demons = scores.get("demons")
    reference = statistics.median([s for each in demons for s in each.seconds]) if demons else float("nan")
    known = any(not np.isnan(each.end_point_error) for each in scores[UNREGISTERED])
    header = ["method", "folds", "folded pixels", "SD log J", "inverse error, px", "the same in the heart"]
    header += ["end-point error in MYO, mm"] if known else []
    header += ["s per slice pair", "ratio to demons"]
    rows = []
    for name, measured in scores.items():
        seconds = [s for each in measured for s in each.seconds]
        median = statistics.median(seconds) if seconds else float("nan")
        row = [
            name,
            f"{100 * _mean([each.folds for each in measured]):.3f} %",
            str(sum(each.folded for each in measured)),
            _number(_mean([each.sd_log_jacobian for each in measured]), 3),
            _number(_mean([each.inverse_error for each in measured]), 3),
            _number(_mean([each.inverse_error_heart for each in measured]), 3),
        ]
        row += [_number(_mean([each.end_point_error for each in measured]), 2)] if known else []
        rows.append([*row, _number(median, 3), _number(median / reference, 2)])
    return _table(header, rows)


def tables(scores: Scores, pairs: Sequence[Pair], title: str) -> str:
    """Everything measured, as Markdown."""
    slices = sum(len(pair.fixed) for pair in pairs)
    parts = [
        f"## {title}",
        f"{len(pairs)} pairs, {slices} slice pairs of {SIZE} x {SIZE} pixels, ED labels warped onto ES; "
        f"{THREADS} threads.",
        "### Dice over the slices that hold the structure at both frames",
        _by_structure(scores, lambda each: each.dice_shared, 3),
        "### Dice over the whole stack",
        _by_structure(scores, lambda each: each.dice_stack, 3),
        "### Hausdorff distance in 2D, mm, mean over the slices that hold the structure at both frames",
        _by_structure(scores, lambda each: each.hausdorff, 2),
        "### Fields and time",
        _fields(scores),
        "Folds by one-sided corner Jacobians. Inverse error only where a method itself gives both directions. "
        "Seconds: the median over slice pairs; a method that takes a whole stack at once divides its time by its "
        "slices.",
    ]
    if len(pairs) <= 6:
        parts += ["### Dice of each pair: slices that hold the structure at both frames / whole stack"]
        parts += [_by_pair(scores, pairs)]
    return "\n\n".join(parts)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Registration methods side by side, ED to ES.")
    parser.add_argument("--methods", default=",".join(METHODS), help=f"of {', '.join(METHODS)}, with commas")
    parser.add_argument("--phantoms", type=int, default=0, help="number of phantoms to run as well")
    parser.add_argument("--seeds", choices=("report", "tuning"), default="report", help="which phantoms")
    parser.add_argument("--through-plane", action="store_true", help="phantoms move along the long axis, too")
    parser.add_argument("--no-real", action="store_true", help="phantoms alone")
    parser.add_argument("--pairs", help="names of the real pairs to run, with commas; all by default")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each method on each pair, for the times")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file, too")
    chosen = parser.parse_args(arguments)
    chosen.methods = [name for name in chosen.methods.split(",") if name]
    unknown = [name for name in chosen.methods if name not in METHODS]
    if unknown or chosen.repeats < 1 or not 0 <= chosen.phantoms <= len(REPORT_SEEDS):
        parser.error(
            f"expected methods of {', '.join(METHODS)}, at least one repeat and 0 to {len(REPORT_SEEDS)} "
            f"phantoms, got {chosen.methods}, {chosen.repeats}, {chosen.phantoms}"
        )
    return chosen


def _chosen_pairs(names: str | None) -> list[Pair]:
    """The real pairs of these names, all without.

    Raises:
        InputError: a name that there is not.
    """
    pairs = real_pairs()
    if names is None:
        return pairs
    wanted = names.split(",")
    known = {pair.name: pair for pair in pairs}
    missing = [name for name in wanted if name not in known]
    if missing:
        raise InputError(f"there are the pairs {', '.join(known)}, got {', '.join(missing)}")
    return [known[name] for name in wanted]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; 0, or 2 where data or a library are not there."""
    chosen = _arguments(arguments)
    torch.set_num_threads(THREADS)
    try:
        methods = {name: make_method(name) for name in chosen.methods}
        sets = {} if chosen.no_real else {"Real pairs": _chosen_pairs(chosen.pairs)}
        if chosen.phantoms:
            kind = "with" if chosen.through_plane else "no"
            seeds = (REPORT_SEEDS if chosen.seeds == "report" else TUNING_SEEDS)[: chosen.phantoms]
            sets[f"Phantoms, {kind} through-plane motion, seeds {seeds[0]} to {seeds[-1]}"] = phantom_pairs(
                seeds, through_plane=chosen.through_plane
            )
        texts = []
        for title, pairs in sets.items():
            texts.append(tables(compare(pairs, methods, repeats=chosen.repeats), pairs, title))
            print(texts[-1], flush=True)
            print()
        if chosen.markdown:
            with atomic_path(chosen.markdown) as temporary:
                temporary.write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    except (InputError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
