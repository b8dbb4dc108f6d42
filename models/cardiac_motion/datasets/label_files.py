"""Label files with the values and the geometry of other projects, brought to ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiac_motion.errors import InputError
from cardiac_motion.io import LabelImage, read_labels
from cardiac_motion.labels import Label

Values = Mapping[int, Label]

OWN_VALUES: Values = {int(label): label for label in Label if label is not Label.BACKGROUND}
"""Those of the ACDC challenge and of this project."""

_SWAPPED = 0.2
"""By how much a larger share of the RV's than of the LV's contour may border on myocardium. The LV cavity borders
on it all around but at the valves, the RV along the septum alone, about a third of its contour."""


def read_remapped(path: Path, values: Values, *, source: str) -> LabelImage:
    """Read labels and give them our values.

    Args:
        path: of one frame or all.
        values: ours by the file's; 0 is background.
        source: what has these values, for the message.

    Raises:
        InputError: whatever is wrong with the file, other values included.
    """
    image = read_labels(path)
    return LabelImage(
        remap(image.labels, values, name=str(path), source=source), image.affine, image.is_4d, name=image.name
    )


def remap(labels: npt.NDArray[np.uint8], values: Values, *, name: str, source: str) -> npt.NDArray[np.uint8]:
    """Labels of any shape with our values in place of others; see `read_remapped`.

    Raises:
        InputError: a value that is neither 0 nor among the others.
    """
    table = np.zeros(256, np.uint8)
    for theirs, ours in values.items():
        table[theirs] = ours
    unknown = sorted({int(value) for value in np.unique(labels)} - {0, *values})
    if unknown:
        expected = ", ".join(f"{value} ({label.name})" for value, label in sorted(values.items()))
        raise InputError(f"{name}: has the label values {unknown}; {source} has 0 (background), {expected}")
    return table[labels]


def check_enclosure(labels: Iterable[npt.NDArray[np.uint8]], *, name: str) -> None:
    """Refuse labels whose ventricles have changed places: the LV cavity lies in the myocardium, the RV beside it.

    Data sets number LV and RV differently (ACDC 3 and 1, M&Ms and UK Biobank 1 and 3), and nothing in a file says
    which way it is. Labels without all three of LV, RV and myocardium are not judged.

    Args:
        labels: (Z, Y, X) of each frame, with our values.
        name: of the file or folder, for the message.

    Raises:
        InputError: a much larger share of the RV's contour borders on myocardium than of the LV's.
    """
    borders = np.zeros((2, 2))
    for frame in labels:
        for row, cavity in enumerate((Label.LV, Label.RV)):
            borders[row] += _border(frame, cavity)
    if not borders[:, 0].all():
        return
    lv, rv = borders[:, 1] / borders[:, 0]
    if borders[:, 1].any() and rv > lv + _SWAPPED:
        raise InputError(
            f"{name}: expected the LV cavity to lie within the myocardium, got {lv:.0%} of its contour on it and "
            f"{rv:.0%} of the RV's: LV and RV seem to be numbered the other way round"
        )


def _border(frame: npt.NDArray[np.uint8], cavity: Label) -> tuple[int, int]:
    """Edges between pixels (in the plane) of a cavity and others, and those of them to myocardium."""
    edges = to_wall = 0
    for axis in (1, 2):
        first, second = (np.moveaxis(frame, axis, -1)[..., part] for part in (slice(None, -1), slice(1, None)))
        for inside, outside in ((first, second), (second, first)):
            here = (inside == cavity) & (outside != cavity)
            edges += int(np.count_nonzero(here))
            to_wall += int(np.count_nonzero(here & (outside == Label.MYO)))
    return edges, to_wall
