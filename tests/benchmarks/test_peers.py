"""Every peer keeps to one convention: a pull-back from the fixed grid, (y, x), in mm, of unequal pixels."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.peers import PEERS, PeerField, missing_library

# SWIG's own types, as ITK's wrapping makes them while it loads.
pytestmark = pytest.mark.filterwarnings("ignore:builtin type [sS]wig:DeprecationWarning")

SHAPE = (88, 72)
SPACING = (1.5, 1.1)

Register = Callable[[str], PeerField]


def textured() -> np.ndarray:
    image = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=SHAPE), 2.5, mode="nearest")
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


def true_displacement() -> np.ndarray:
    """(2, Y, X) in mm: a bump that leads down and to the left, by different amounts."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    bump = np.exp(-(((y - 44) / 16) ** 2 + ((x - 36) / 16) ** 2))
    return np.stack([4.5 * bump, -2.0 * bump])


def pulled_back(image: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """image(p + u(p))."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    places = [y + displacement[0] / SPACING[0], x + displacement[1] / SPACING[1]]
    return ndimage.map_coordinates(image, places, order=3, mode="nearest").astype(np.float32)


@pytest.fixture(scope="module")
def register() -> Register:
    found: dict[str, PeerField] = {}

    def run(name: str) -> PeerField:
        library = missing_library(name)
        if library is not None:
            pytest.skip(f"{name} needs the library {library}, which is not installed")
        if name not in found:
            moving = textured()
            found[name] = PEERS[name](pulled_back(moving, true_displacement()), moving, SPACING)
        return found[name]

    return run


@pytest.mark.parametrize("name", PEERS)
def test_a_known_deformation_is_found(name: str, register: Register) -> None:
    field, truth = register(name).field, true_displacement()
    assert field.shape == truth.shape
    assert field.dtype == np.float32
    moving = np.hypot(*truth) > 1.5
    error = np.hypot(*(field - truth))[moving]
    # A flipped sign, swapped axes or pixels for mm would leave more than the whole displacement.
    assert np.hypot(*truth)[moving].mean() > 2.5
    assert error.mean() < 0.5


@pytest.mark.parametrize("name", PEERS)
def test_the_field_warps_moving_onto_fixed(name: str, register: Register) -> None:
    moving = textured()
    fixed = pulled_back(moving, true_displacement())
    before = np.abs(fixed - moving).mean()
    after = np.abs(fixed - pulled_back(moving, register(name).field)).mean()
    assert after < 0.25 * before


def test_syn_has_an_inverse_which_undoes_the_field(register: Register) -> None:
    found = register("syn")
    assert found.inverse is not None
    there_and_back = found.field + np.stack([pulled_back(c, found.field) for c in found.inverse])
    assert np.hypot(*there_and_back)[8:-8, 8:-8].max() < 0.2


@pytest.mark.parametrize("name", ["demons", "bspline"])
def test_the_others_offer_none(name: str, register: Register) -> None:
    assert register(name).inverse is None


def test_nothing_is_left_on_the_disk_or_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    names = [name for name in PEERS if missing_library(name) is None]
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(tmp_path)
    image = textured()
    for name in names:
        PEERS[name](image, np.roll(image, 1, axis=0), SPACING)
    assert not list(tmp_path.iterdir())
    output = capfd.readouterr()
    assert (output.out, output.err) == ("", "")


@pytest.mark.parametrize("name", PEERS)
def test_images_of_different_shapes_are_refused(name: str) -> None:
    library = missing_library(name)
    if library is not None:
        pytest.skip(f"{name} needs the library {library}, which is not installed")
    with pytest.raises(ValueError, match=r"two images \(Y, X\) of one shape"):
        PEERS[name](textured(), textured()[:-1], SPACING)


def test_an_unknown_peer_is_named() -> None:
    with pytest.raises(ValueError, match="expected one of demons, syn, bspline, got 'optical-flow'"):
        missing_library("optical-flow")
