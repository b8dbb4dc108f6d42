"""A network as a segmentation model: grids, frames, probabilities, options, errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from cardiac_motion.cine import Cine
from cardiac_motion.errors import Cancelled, InputError
from cardiac_motion.labels import Label
from cardiac_motion.segmentation.base import Segmentation, SegmentationModel
from cardiac_motion.segmentation.by_view import ByView
from cardiac_motion.segmentation.neighbours import neighbours
from cardiac_motion.segmentation.network import NetworkSegmentation, SegmentationOptions
from cardiac_motion.segmentation.registry import segmentation_model, segmentation_model_names
from cardiac_motion.segmentation.window import Window
from cardiac_motion.weights import build_network, save_weights
from cardiac_motion.working_grid import Region
from torch import Tensor, nn

EVERYTHING = SegmentationOptions(probabilities=True, entropy=True, tidy=False)


class _Threshold(nn.Module):
    """LV where the middle frame is bright; what it is given is kept."""

    multiple = 16

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.given: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.given.append(x)
        logits = torch.zeros(len(x), 4, *x.shape[2:])
        logits[:, 3] = 40 * (x[:, x.shape[1] // 2] - 1.5)
        return logits


def _seeing(weights: Path, radius: int = 0) -> tuple[NetworkSegmentation, _Threshold]:
    model = NetworkSegmentation("unet", weights=weights, radius=radius)
    network = _Threshold()
    model.__dict__["_network"] = network
    return model, network


def _everywhere(found: Segmentation) -> npt.NDArray[np.float32]:
    """Probabilities (F, K, Z, Y, X) on the whole plane."""
    return np.stack([found.probabilities_at(i, slice(None), slice(None)) for i in range(len(found.frames))])


def test_what_is_seen_comes_back_at_its_place(beating: Cine, unet_weights: Path) -> None:
    model, _ = _seeing(unet_weights)
    result = model.segment(beating)
    bright = beating.frames > 100
    assert result.frames == (0, 1, 2, 3, 4)
    assert result.labels.shape == beating.shape
    for t in range(5):
        found = result.labels[t] == Label.LV
        assert 2 * (found & bright[t]).sum() / (found.sum() + bright[t].sum()) > 0.95
    assert result.structures == (Label.RV, Label.MYO, Label.LV)
    assert (result.probabilities, result.entropy) == (None, None)
    assert result.weights_checksum == model.weights_checksum
    assert len(model.weights_checksum) == 64


def test_some_frames_are_those_of_all(beating: Cine, unet_weights: Path) -> None:
    model = segmentation_model("unet", weights=unet_weights)
    every = model.segment(beating, options=EVERYTHING)
    some = model.segment(beating, frames=[3, 1, 3], options=EVERYTHING)
    assert some.frames == (1, 3)
    np.testing.assert_array_equal(some.labels, every.labels[[1, 3]])
    assert some.probabilities is not None
    assert every.probabilities is not None
    np.testing.assert_allclose(some.probabilities, every.probabilities[[1, 3]], atol=1e-5)


def test_probabilities_and_entropy(beating: Cine, unet_weights: Path) -> None:
    result = segmentation_model("unet", weights=unet_weights).segment(beating, frames=[0], options=EVERYTHING)
    assert result.probabilities is not None
    assert result.entropy is not None
    everywhere = _everywhere(result)
    assert everywhere.shape == (1, 4, *beating.shape[1:])
    np.testing.assert_allclose(everywhere.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(everywhere.argmax(axis=1), result.labels)
    expected = -(everywhere * np.log(np.maximum(everywhere, 1e-12))).sum(axis=1)
    np.testing.assert_allclose(result.entropy, expected, atol=1e-4)
    assert 0 < result.entropy.max() <= math.log(4) + 1e-6
    assert result.entropy[0, 0, 0, 0] == 0  # outside of what the network sees: background, beyond doubt


def test_probabilities_of_a_part_are_those_of_the_whole() -> None:
    values = np.random.default_rng(0).random((1, 2, 1, 3, 4)).astype(np.float32)
    labels = np.zeros((1, 1, 8, 9), np.uint8)
    found = Segmentation((0,), labels, (Label.LV,), "any", "1", probabilities=values, region=Region(2, 5, 4, 8))
    whole = _everywhere(found)
    np.testing.assert_array_equal(whole[0, :, :, 2:5, 4:8], values[0])
    outside = np.ones((8, 9), bool)
    outside[2:5, 4:8] = False
    assert (whole[0, 0, 0][outside] == 1).all()
    assert (whole[0, 1, 0][outside] == 0).all()
    for rows, columns in ((slice(0, 2), slice(0, 9)), (slice(1, 4), slice(6, 9)), (slice(3, 4), slice(5, 7))):
        np.testing.assert_array_equal(found.probabilities_at(0, rows, columns), whole[0][..., rows, columns])


def test_flips_make_the_answer_follow_the_image(beating: Cine, unet_weights: Path) -> None:
    model = segmentation_model("unet", weights=unet_weights)
    mirrored = Cine(beating.frames[..., ::-1], beating.affine, beating.frame_times)
    options = SegmentationOptions(flips=True, probabilities=True)
    one, other = (model.segment(each, frames=[0], options=options) for each in (beating, mirrored))
    # But for the region, which mirrors to a pixel.
    difference = np.abs(_everywhere(one) - _everywhere(other)[..., ::-1])
    assert np.quantile(difference, 0.99) < 0.05


def test_neighbours_are_taken_around_the_cycle(beating: Cine, unet_weights: Path) -> None:
    model, network = _seeing(unet_weights, radius=1)
    model.segment(beating, frames=[0, 4])
    given = network.given[0]
    assert given.shape[:2] == (2, 3)
    single, network_of_one = _seeing(unet_weights)
    single.segment(beating, frames=[4, 0, 1])

    def same(a: Tensor, b: Tensor) -> bool:
        # Each is standardised with other frames: equal but for scale.
        return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]) > 0.9999

    frame_0, frame_1, frame_4 = network_of_one.given[0][:, 0]
    assert same(given[0, 0], frame_4)
    assert same(given[0, 1], frame_0)
    assert same(given[0, 2], frame_1)
    assert same(given[1, 2], frame_0)


def test_neighbours_are_as_far_apart_as_in_training(beating: Cine, unet_weights: Path) -> None:
    assert neighbours(0, 8, 3) == [7, 0, 1]
    assert neighbours(49, 50, 5) == [45, 47, 49, 1, 3]
    assert neighbours(1, 2, 3) == [1, 1, 1]
    pair = Cine(beating.frames[[0, 2]], beating.affine, beating.frame_times[:2])
    model, network = _seeing(unet_weights, radius=1)
    model.segment(pair)
    given = network.given[0]
    assert torch.equal(given[:, 0], given[:, 1])
    assert torch.equal(given[:, 2], given[:, 1])
    assert not torch.equal(given[0], given[1])


def test_an_image_of_a_few_pixels_is_segmented(unet_weights: Path, deunet_weights: Path) -> None:
    frames = np.random.default_rng(0).random((3, 2, 5, 16)).astype(np.float32)
    cine = Cine(frames, np.diag([1.4, 1.4, 8.0, 1.0]), np.arange(3.0))
    for name, weights in (("unet", unet_weights), ("deunet", deunet_weights)):
        assert segmentation_model(name, weights=weights).segment(cine).labels.shape == cine.shape


def test_deunet_is_hosted_alike(beating: Cine, deunet_weights: Path) -> None:
    result = segmentation_model("deunet", weights=deunet_weights).segment(beating, frames=[0])
    assert result.labels.shape == (1, *beating.shape[1:])


def test_models_keep_the_protocol(unet_weights: Path) -> None:
    assert isinstance(segmentation_model("unet", weights=unet_weights), SegmentationModel)
    assert segmentation_model_names() == ("unet", "deunet")
    with pytest.raises(InputError, match="unknown segmentation model 'vnet'; there are unet, deunet"):
        segmentation_model("vnet")


@pytest.mark.parametrize(
    ("name", "network", "changes", "message"),
    [
        ("unet", "deunet", {}, "sees 1 frame and tells 4 to 6 classes .* those of other: deunet for 3 frames"),
        ("deunet", "unet", {}, "sees 3 frames .* unet for 1 frame and 4 classes"),
        ("deunet", "deunet", {"radius": 2}, "deunet for 5 frames"),
        ("unet", "unet", {"inputs": 2}, "unet for 2 frames"),
        ("unet", "unet", {"views": 4, "classes": 6}, "6 classes, told the view"),
        ("unet", "unet", {"classes": 3}, "1 frame and 3 classes"),
        ("unet", "unet", {"classes": 9}, "1 frame and 9 classes"),
    ],
)
def test_weights_of_another_network_are_one_clear_error(
    beating: Cine, tmp_path: Path, name: str, network: str, changes: dict[str, int], message: str
) -> None:
    config = {"width": 4, "levels": 3, **changes}
    state = build_network(network, config).state_dict()
    save_weights(tmp_path / "other.pt", state, model="other", network=network, config=config)
    with pytest.raises(InputError, match=message):
        segmentation_model(name, weights=tmp_path / "other.pt").segment(beating)


def test_each_view_has_its_network(beating: Cine, unet_weights: Path) -> None:
    single = Cine(beating.frames[:, :1], beating.affine, beating.frame_times)
    sax, _ = _seeing(unet_weights)
    lax = NetworkSegmentation("unet", weights=unet_weights, view="lax")
    both = ByView("unet", {"sax": sax, "lax": lax})
    assert isinstance(both, SegmentationModel)
    assert both.views == ("sax", "lax")
    np.testing.assert_array_equal(both.segment(single, frames=[0]).labels, lax.segment(single, frames=[0]).labels)
    short = SegmentationOptions(view="sax")
    np.testing.assert_array_equal(
        both.segment(single, frames=[0], options=short).labels,
        sax.segment(single, frames=[0], options=short).labels,
    )
    with pytest.raises(InputError, match="weights for view sax, got a cine of 1 slice, taken for view lax"):
        ByView("unet", {"sax": sax}).segment(single)
    with pytest.raises(InputError, match="expected a view among auto, sax, lax, got 'top'"):
        both.segment(single, options=SegmentationOptions(view="top"))  # type: ignore[arg-type]


def test_bad_requests(beating: Cine, unet_weights: Path) -> None:
    model = segmentation_model("unet", weights=unet_weights)
    with pytest.raises(InputError, match="expected frames from 0 to 4, got 5, -1"):
        model.segment(beating, frames=[5, 0, -1])
    with pytest.raises(InputError, match="expected frames from 0 to 4, got none"):
        model.segment(beating, frames=[])
    single = Cine(beating.frames[:, :1], beating.affine, beating.frame_times)
    with pytest.raises(InputError, match="weights for view sax, got a cine of 1 slice, taken for view lax"):
        model.segment(single)

    def cancel(_fraction: float, _message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        model.segment(beating, progress=cancel)


def test_progress_rises_to_one(beating: Cine, unet_weights: Path) -> None:
    model, _ = _seeing(unet_weights)
    seen: list[float] = []
    model.segment(beating, progress=lambda fraction, _: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1


@pytest.mark.parametrize("spacing", [(1.4, 1.4), (0.8, 0.9), (2.2, 1.7)])
def test_a_window_and_back_is_the_region(spacing: tuple[float, float]) -> None:
    region = Region(10, 90, 20, 120)
    window = Window.of(region, (110, 130), spacing, 16)
    assert all(n % 16 == 0 for n in window.size)
    assert np.array(window.size) * 1.4 == pytest.approx(np.array(region.shape) * spacing, abs=8 * 1.4)
    y, x = np.mgrid[:110, :130]
    image = (np.sin(y / 9) + np.cos(x / 11))[None].astype(np.float32)
    back = window.back(window.see(image)[:, None])[0, 0].numpy()
    part = region.crop(image)[0]
    assert np.corrcoef(back.ravel(), part.ravel())[0, 1] > 0.995
