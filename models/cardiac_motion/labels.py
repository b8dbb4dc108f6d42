"""Label values and names, the same in every file, model and table of the project."""

from __future__ import annotations

from enum import IntEnum


class Label(IntEnum):
    """Tissue classes of a label map; 1 to 3 have the values of the ACDC challenge.

    Papillary muscles and trabeculae belong to the LV cavity, as in ACDC.
    """

    BACKGROUND = 0
    RV = 1
    """Right-ventricular cavity."""
    MYO = 2
    """Left-ventricular myocardium."""
    LV = 3
    """Left-ventricular cavity."""
    LA = 4
    """Left atrium."""
    RA = 5
    """Right atrium."""


STRUCTURES: tuple[Label, ...] = tuple(label for label in Label if label is not Label.BACKGROUND)
"""Every class that is not background, in the order of its value."""

COLOURS: dict[Label, tuple[float, float, float]] = {
    Label.RV: (0.20, 0.55, 0.95),
    Label.MYO: (0.20, 0.80, 0.35),
    Label.LV: (0.95, 0.25, 0.20),
    Label.LA: (0.95, 0.65, 0.15),
    Label.RA: (0.70, 0.40, 0.90),
}
"""Colour of each structure in figures and films, RGB from 0 to 1."""
