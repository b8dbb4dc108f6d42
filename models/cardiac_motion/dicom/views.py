"""Views of the heart told apart by how their planes lie; the description of a series only breaks ties.

The axis of the left ventricle is the normal of the short-axis stack, or, without one, the direction that most of
the other planes share. A long-axis plane is known by where its line through the short axis points: in the patient,
from the left towards front and head, about 30 degrees for the 4-chamber, 90 for the 2-chamber and 150 for the
3-chamber view (the walls that each view shows, in the arrangement of Cerqueira et al. 2002). Hearts lie turned
about their axis by up to half of the distance between two views, so that a direction is clear only near its own
view. Otherwise the description decides, and without one the view that fits best together with the other planes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, permutations
from typing import Any

import numpy as np

from cardiac_motion.dicom.stacks import Vector, angle_degrees


class View(StrEnum):
    """What a cine shows."""

    SAX = "sax"
    TWO_CHAMBER = "2ch"
    THREE_CHAMBER = "3ch"
    FOUR_CHAMBER = "4ch"
    OTHER = "other"


@dataclass(frozen=True, eq=False)
class Plane:
    """How the slices of a cine lie.

    Attributes:
        normal: (3,) unit vector, LPS.
        n_slices: how many.
        description: of the series, in lower case.
    """

    normal: Vector
    n_slices: int
    description: str = ""


@dataclass(frozen=True)
class ViewFinding:
    """What a cine shows.

    Attributes:
        view: by its plane, or by its description where that leaves it open.
        by_plane: what its plane alone is taken for.
        is_rvot: named as outflow tract of the right ventricle, which planes alone do not tell from others.
    """

    view: View
    by_plane: View
    is_rvot: bool = False


USUAL_AXIS: Vector = np.array([1.0, -1.0, -1.0]) / np.sqrt(3)
"""From base to apex in a usual patient, LPS: to the left, to the front and to the feet in equal parts."""
MIN_STACK = 3
"""Slices of a short-axis stack."""
AXIS_DEGREES = 45.0
"""How far the axis of a heart may lie from the usual one."""
AXIAL_DEGREES = (20.0, 70.0)
"""A plane whose normal is nearer to the axis than the first is a short-axis one; farther than the second, a
long-axis one."""
OPEN_DEGREES = 5.0
"""So near to either limit the description decides."""
LINES = {View.FOUR_CHAMBER: 30.0, View.TWO_CHAMBER: 90.0, View.THREE_CHAMBER: 150.0}
"""Direction of the line of each view in the short axis, degrees."""
CLEAR_DEGREES = 15.0
"""A line so near to that of its view is clear: half of the way to where the next one begins."""
_SPREAD_DEGREES, _TURN_DEGREES = 15.0, 25.0
"""Of lines about those of their views, and of hearts about their axis (phantoms and patients)."""
_SAME_LINE_DEGREES = 10.0

_NAMES = (
    (View.SAX, re.compile(r"sax|sa\b|short.?ax|kurz")),
    (View.FOUR_CHAMBER, re.compile(r"4.?(?:ch|kammer)|four.?ch|vierkammer|\bhla\b|horizontal.?long")),
    (View.THREE_CHAMBER, re.compile(r"3.?(?:ch|kammer)|three.?ch|dreikammer")),
    (View.TWO_CHAMBER, re.compile(r"2.?(?:ch|kammer)|two.?ch|zweikammer|\bvla\b|vertical.?long")),
)
_RVOT = re.compile(r"rvot")


def tell_views(planes: Sequence[Plane]) -> list[ViewFinding]:
    """What each of the cines of one study shows."""
    axis = heart_axis(planes)
    angles = [angle_degrees(plane.normal, axis) for plane in planes]
    kinds = [_kind(angle) for angle in angles]
    lines = {i: line_degrees(plane.normal, axis) for i, plane in enumerate(planes) if angles[i] > 45}
    by_fit = _fit({i: line for i, line in lines.items() if kinds[i] is None})
    found = []
    for i, plane in enumerate(planes):
        named = view_of_name(plane.description)
        is_rvot = bool(_RVOT.search(plane.description))
        by_plane = kinds[i] or by_fit[i]
        near_limit = min(abs(angles[i] - limit) for limit in AXIAL_DEGREES) < OPEN_DEGREES
        is_long = angles[i] > AXIAL_DEGREES[1] - OPEN_DEGREES
        is_open = near_limit or (is_long and _off(lines[i], by_plane) > CLEAR_DEGREES)
        view = by_plane
        if is_open and is_rvot:
            view = View.OTHER
        elif is_open and named is not None and (named is not View.SAX) == is_long:
            view = named
        found.append(ViewFinding(view, by_plane, is_rvot and view is View.OTHER))
    return found


def view_of_name(description: str) -> View | None:
    """The view that a description names, if it names exactly one."""
    named = [view for view, pattern in _NAMES if pattern.search(description)]
    return named[0] if len(named) == 1 else None


def _kind(angle: float) -> View | None:
    """Short axis or other; None for a long axis, of whichever view."""
    if angle <= AXIAL_DEGREES[0]:
        return View.SAX
    return None if angle >= AXIAL_DEGREES[1] else View.OTHER


def heart_axis(planes: Sequence[Plane]) -> Vector:
    """The axis of the left ventricle, from base to apex: (3,) unit vector, LPS.

    Of the directions within `AXIS_DEGREES` of the usual one that are the normal of a plane or common to two
    planes, the one that most planes have as their normal or contain; a stack counts as many times as it has
    slices. Without any, the usual one. A heart that lies otherwise, as on the right, is known by a stack that is
    named short-axis where none lies as usual.
    """
    stacks = [plane for plane in planes if plane.n_slices >= MIN_STACK]
    named = [plane for plane in stacks if view_of_name(plane.description) is View.SAX]
    if named and not any(angle_degrees(plane.normal, USUAL_AXIS) <= AXIS_DEGREES for plane in stacks):
        return _to_apex(max(named, key=lambda plane: plane.n_slices).normal)
    candidates = [plane.normal for plane in planes]
    for one, other in combinations(planes, 2):
        common = np.cross(one.normal, other.normal)
        if np.linalg.norm(common) > np.sin(np.radians(_SAME_LINE_DEGREES)):
            candidates.append(common / np.linalg.norm(common))
    near = [each for each in candidates if angle_degrees(each, USUAL_AXIS) <= AXIS_DEGREES]
    if not near:
        return USUAL_AXIS
    best = max(near, key=lambda each: (_support(each, planes), -angle_degrees(each, USUAL_AXIS)))
    return _to_apex(best)


def _to_apex(axis: Vector) -> Vector:
    return axis if axis @ USUAL_AXIS > 0 else -axis


def _support(axis: Vector, planes: Sequence[Plane]) -> int:
    """Slices across the axis, and planes that contain it."""
    support = 0
    for plane in planes:
        angle = angle_degrees(plane.normal, axis)
        if angle < AXIAL_DEGREES[0] / 2:
            support += plane.n_slices
        elif angle > 90 - AXIAL_DEGREES[0] / 2:
            support += 1
    return support


def line_degrees(normal: Vector, axis: Vector) -> float:
    """Where a plane's line through the short axis points: from the patient's left (0) to front and head (90)."""
    left = np.array([1.0, 0.0, 0.0])
    left = left - (left @ axis) * axis
    left /= np.linalg.norm(left)
    up = np.cross(axis, left)
    if up @ np.array([0.0, -1.0, 1.0]) < 0:
        up = -up
    line = np.cross(normal, axis)
    return float(np.degrees(np.arctan2(line @ up, line @ left)) % 180)


def _between(one: float, other: Any) -> Any:
    """From one line to another, -90 to 90 degrees; the other may be an array."""
    return (one - other + 90) % 180 - 90


def _off(line: float, view: View) -> float:
    """Between a line and that of a view; 90 for views that have none."""
    return abs(_between(line, LINES[view])) if view in LINES else 90.0


def _fit(lines: dict[int, float]) -> dict[int, View]:
    """The views that fit these lines best as a whole, the heart turned about its axis by as little as need be.

    Lines that are nearly the same have the same view, others have different ones while there are any.
    """
    groups: list[list[int]] = []
    for i, line in lines.items():
        group = next((g for g in groups if abs(_between(lines[g[0]], line)) < _SAME_LINE_DEGREES), None)
        if group is None:
            groups.append([i])
        else:
            group.append(i)
    # More than three directions cannot all be different views: the most clear ones are fitted first.
    groups.sort(key=lambda g: min(_off(lines[g[0]], view) for view in LINES))
    fitted, rest = groups[:3], groups[3:]
    turns = np.arange(-60.0, 61.0)
    best, best_cost, best_turn = tuple(LINES), np.inf, 0.0
    for views in permutations(LINES, len(fitted)):
        cost = (turns / _TURN_DEGREES) ** 2
        for group, view in zip(fitted, views, strict=True):
            cost = cost + (_between(lines[group[0]] - LINES[view], turns) / _SPREAD_DEGREES) ** 2
        if cost.min() < best_cost:
            best, best_cost, best_turn = views, float(cost.min()), float(turns[cost.argmin()])
    found = {i: view for group, view in zip(fitted, best, strict=False) for i in group}
    for group in rest:
        found |= dict.fromkeys(group, min(LINES, key=lambda view: _off(lines[group[0]] - best_turn, view)))
    return found
