"""Pieces far from the long axis go, whatever their size; the heart stays, oblique or displaced as it may be."""

from __future__ import annotations

import numpy as np
import pytest
from cardiac_motion.labels import Label
from cardiac_motion.segmentation.strays import APART_MM, drop_apart, drop_strays

SPACING = (8.0, 1.4, 1.4)
SIZE = 128
Y, X = np.indices((SIZE, SIZE))


def ring(centre: tuple[float, float], radius: float) -> np.ndarray:
    distance = np.hypot(Y - centre[0], X - centre[1])
    plane = np.where(distance < radius, Label.MYO, Label.BACKGROUND).astype(np.uint8)
    plane[distance < 0.7 * radius] = Label.LV
    return plane


def stack(slices: int = 8, tilt: float = 0.0) -> np.ndarray:
    """Base first; the apex is smaller."""
    return np.stack([ring((60 + tilt * z, 60), 25 - 2 * z) for z in range(slices)])


def test_what_is_far_goes_and_what_is_near_stays() -> None:
    labels = stack()
    seen = labels.copy()
    seen[7] = ring((112, 100), 14)  # the liver, instead of the apex
    seen[3] |= ring((15, 100), 8)  # beside the heart
    found = drop_strays(seen, SPACING)
    assert not found[7].any()
    np.testing.assert_array_equal(found[:7], labels[:7])


def test_a_few_slices_elsewhere_do_not_move_the_axis() -> None:
    labels = stack()
    for z in (0, 6, 7):
        labels[z] = ring((112, 100), 24 if z == 0 else 14)
    found = drop_strays(labels, SPACING)
    assert [bool(plane.any()) for plane in found] == [False, *[True] * 5, False, False]


@pytest.mark.parametrize("tilt", [0.0, 2.5])  # 2.5 pixels a slice: 24 degrees
def test_oblique_hearts_and_displaced_slices_stay(tilt: float) -> None:
    labels = stack(tilt=tilt)
    labels[4] = np.roll(labels[4], (6, -6), axis=(0, 1))
    labels[1, 5:15, 5:15] = Label.RV
    np.testing.assert_array_equal(drop_strays(labels, SPACING), labels)


def test_two_slices_that_contradict_each_other_are_left_alone() -> None:
    labels = np.stack([ring((30, 30), 20), ring((100, 100), 20), np.zeros((SIZE, SIZE), np.uint8)])
    np.testing.assert_array_equal(drop_strays(labels, SPACING), labels)


def test_in_a_long_axis_view_what_lies_apart_from_the_ventricle_goes() -> None:
    pixels = APART_MM / SPACING[1]
    plane = ring((60, 60), 25)
    near, far = 60 + 25 + int(pixels) - 1, 60 + 25 + int(pixels) + 2
    plane[55:65, near : near + 12] = Label.LA
    kept = plane.copy()
    plane[20:30, 20:30] = Label.RV  # of the bright vessels beside the heart
    np.testing.assert_array_equal(drop_apart(plane[None], SPACING)[0], kept)
    apart = ring((60, 60), 25)
    ventricle = apart.copy()
    apart[40:80, far : far + 30] = Label.LA  # larger than the ventricle, which counts
    np.testing.assert_array_equal(drop_apart(apart[None], SPACING)[0], ventricle)
    # Without a ventricle the largest body stays; nothing is nothing.
    atria = np.where(apart == Label.LA, apart, 0).astype(np.uint8)
    atria[5:8, 5:8] = Label.RA
    found = drop_apart(np.stack([atria, np.zeros_like(atria)]), SPACING)
    np.testing.assert_array_equal(found[0], np.where(atria == Label.LA, atria, 0))
    assert not found[1].any()
