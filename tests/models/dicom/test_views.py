"""Views by how planes lie, on the planes of phantoms; descriptions break ties alone."""

from __future__ import annotations

import numpy as np
import pytest
from cardiac_motion.dicom.stacks import angle_degrees
from cardiac_motion.dicom.views import USUAL_AXIS, Plane, View, heart_axis, line_degrees, tell_views, view_of_name
from cardiac_motion.phantom import TEST_SEEDS, PhantomOptions
from cardiac_motion.phantom import views as phantom_views
from cardiac_motion.phantom.model import draw_phantom

LONG = {"4ch": View.FOUR_CHAMBER, "2ch": View.TWO_CHAMBER, "3ch": View.THREE_CHAMBER}
SAX_STACK = np.array([-0.480, 0.619, 0.622])
"""Normals of a patient's planes, LPS; the heart lies turned by a third of the way between two views."""
PATIENT = {"4ch": [0.055, 0.822, -0.567], "2ch": [-0.782, -0.621, -0.046], "3ch": [-0.741, 0.259, -0.620]}
RVOT = [-0.989, -0.061, -0.134]


def phantom_planes(seed: int) -> dict[str, Plane]:
    """The planes of a phantom as the importer knows them, without descriptions."""
    options = PhantomOptions()
    phantom = draw_phantom(seed, options)
    sampled = [phantom_views.short_axis_view(phantom, options)]
    sampled += [phantom_views.long_axis_view(phantom, options, name) for name in phantom_views.LONG_AXIS_VIEWS]
    planes: dict[str, Plane] = {}
    for view in sampled:
        axes = (np.diag([-1.0, -1.0, 1.0]) @ (phantom.heart_to_world @ view.to_heart)[:3, :2]).T
        normal = np.cross(*axes)
        planes[view.name] = Plane(normal / np.linalg.norm(normal), view.shape[0])
    return planes


def plane(normal: list[float], description: str = "", n_slices: int = 1) -> Plane:
    return Plane(np.array(normal) / np.linalg.norm(normal), n_slices, description)


@pytest.mark.parametrize("seed", TEST_SEEDS)
def test_views_of_phantoms_without_any_description(seed: int) -> None:
    planes = phantom_planes(seed)
    names = list(planes)
    found = tell_views([planes[name] for name in names])
    assert [each.view.value for each in found] == names
    # Neither the order nor the side that a normal points to matters, nor the short axis for the others.
    turned = [Plane(-planes[name].normal, planes[name].n_slices) for name in reversed(names)]
    assert [each.view.value for each in tell_views(turned)] == names[::-1]
    long_only = [planes[name] for name in LONG]
    assert [each.view for each in tell_views(long_only)] == list(LONG.values())


def test_the_axis_without_a_short_axis_stack_is_common_to_the_long_axis_planes() -> None:
    for seed in TEST_SEEDS:
        planes = phantom_planes(seed)
        axis = heart_axis([planes[name] for name in LONG])
        # The phantom's short axis may be tilted by up to 6 degrees itself.
        assert angle_degrees(axis, planes["sax"].normal) < 8
        single = [Plane(planes["sax"].normal, 1), *(planes[name] for name in LONG)]
        assert tell_views(single)[0].view is View.SAX


def test_a_patients_planes() -> None:
    planes = [plane(SAX_STACK.tolist(), n_slices=6), *(plane(PATIENT[name]) for name in LONG), plane(RVOT)]
    found = tell_views(planes)
    assert [each.view for each in found] == [View.SAX, *LONG.values(), View.OTHER]
    assert [each.is_rvot for each in found] == [False] * 5
    axis = -SAX_STACK / np.linalg.norm(SAX_STACK)
    lines = [line_degrees(planes[i].normal, axis) for i in (1, 2, 3)]
    assert lines == pytest.approx([7.7, 65.9, 128.7], abs=0.3)


def test_a_description_decides_only_what_the_plane_leaves_open() -> None:
    sax = plane(SAX_STACK.tolist(), "cine 2ch", n_slices=6)
    axis = SAX_STACK / np.linalg.norm(SAX_STACK)
    left = np.array([1.0, 0, 0]) - axis[0] * axis
    left /= np.linalg.norm(left)
    up = np.cross(axis, left)
    up = up if up[2] > 0 else -up

    def at(line: float, description: str) -> Plane:
        across = np.cos(np.radians(line)) * left + np.sin(np.radians(line)) * up
        return Plane(np.cross(across, axis), 1, description)

    for line, description, expected in [
        (31.0, "cine 2ch", View.FOUR_CHAMBER),  # clearly a 4-chamber view
        (58.0, "cine 2ch", View.TWO_CHAMBER),
        (58.0, "cine 4ch", View.FOUR_CHAMBER),
        (62.0, "", View.TWO_CHAMBER),
        (58.0, "4ch 2ch", View.FOUR_CHAMBER),  # two names are none
        (112.0, "cine rvot", View.OTHER),
        (95.0, "cine rvot", View.TWO_CHAMBER),
        (58.0, "sax", View.FOUR_CHAMBER),  # it cannot be one
    ]:
        found = tell_views([sax, at(line, description)])
        assert [each.view for each in found] == [View.SAX, expected], (line, description)
    rvot = tell_views([sax, plane(RVOT, "cine rvot")])[1]
    assert (rvot.view, rvot.is_rvot) == (View.OTHER, True)


def test_stacks_that_are_no_short_axis() -> None:
    planes = [plane([0, 0, 1], n_slices=20), plane([1, 0, 0], n_slices=20), plane([0, 1, 0], n_slices=20)]
    assert [each.view for each in tell_views(planes)] == [View.OTHER] * 3
    with_sax = [*planes, plane(SAX_STACK.tolist(), n_slices=6)]
    assert [each.view for each in tell_views(with_sax)] == [View.OTHER] * 3 + [View.SAX]
    four_chamber = [plane(SAX_STACK.tolist(), n_slices=8), plane(PATIENT["4ch"], "cine 4ch", n_slices=12)]
    assert [each.view for each in tell_views(four_chamber)] == [View.SAX, View.FOUR_CHAMBER]


def test_a_heart_on_the_right() -> None:
    mirrored = [np.array(normal) * [-1, 1, 1] for normal in (SAX_STACK, *PATIENT.values())]
    stack = Plane(mirrored[0] / np.linalg.norm(mirrored[0]), 8, "cine sax")
    found = tell_views([stack, plane(mirrored[1].tolist(), "cine 4ch")])
    assert [each.view for each in found] == [View.SAX, View.FOUR_CHAMBER]


def test_a_single_plane() -> None:
    assert tell_views([plane(SAX_STACK.tolist())])[0].view is View.SAX
    assert tell_views([Plane(USUAL_AXIS, 10)])[0].view is View.SAX
    assert tell_views([plane(PATIENT["2ch"], "cine 2ch")])[0].view is View.TWO_CHAMBER


@pytest.mark.parametrize(
    ("description", "view"),
    [
        ("cine_trufi_retro 4ch", View.FOUR_CHAMBER),
        ("fiesta 2-ch lax", View.TWO_CHAMBER),
        ("btfe bh three chamber", View.THREE_CHAMBER),
        ("sax cine", View.SAX),
        ("cine_short_axis", View.SAX),
        ("vla", View.TWO_CHAMBER),
        ("trufi 4-kammerblick", View.FOUR_CHAMBER),
        ("cine hla", View.FOUR_CHAMBER),
        ("cine", None),
        ("cine lvot", None),
        ("2ch 4ch", None),
    ],
)
def test_names_of_views(description: str, view: View | None) -> None:
    assert view_of_name(description) is view
