"""What a server offers, also one of tomorrow."""

from __future__ import annotations

from typing import Any

import pytest
from CardiacMotionLib.client import BadAnswer, Client, Offer, OfferedLimits, OfferedModel

from tests.slicer.client.fake_server import Fake, as_json

SCHEMA = {"type": "object", "properties": {"levels": {"type": "integer"}}}
OURS: dict[str, Any] = {
    "api": 1,
    "version": "0.1.0",
    "models": [
        {"name": "other", "kinds": ["motion"], "views": ["sax"], "version": "2024-05", "default_for": []},
        {
            "name": "recursive",
            "kinds": ["motion", "dreams"],
            "views": ["sax", "lax"],
            "version": 2,
            "default_for": ["motion"],
            "options": SCHEMA,
            "colour": "blue",
        },
    ],
    "tasks": ["motion"],
    "labels": {"RV": 1, "MYO": 2},
    "strategies": ["random", "first"],
    "limits": {"upload_bytes": 10, "voxels": 20, "frames": 30, "moons": 1},
    "weather": {"sun": True},
}


def offer_of(fake: Fake, client: Client, **changed: Any) -> Offer:
    fake.replies = [as_json({"name": "x", "cardiac_motion": {**OURS, **changed}})]
    return client.offer()


def test_what_is_listed_is_read_and_more_is_no_harm(fake: Fake, client: Client) -> None:
    offer = offer_of(fake, client)
    recursive = OfferedModel("recursive", ("motion", "dreams"), ("sax", "lax"), 2, ("motion",), SCHEMA)
    other = OfferedModel("other", ("motion",), ("sax",), "2024-05", (), {})
    limits = OfferedLimits(upload_bytes=10, voxels=20, frames=30, jobs=None)
    assert offer == Offer(
        1, "0.1.0", ("motion",), (other, recursive), ("random", "first"), {"RV": 1, "MYO": 2}, limits
    )
    assert offer.models_of("motion") == (recursive, other)
    assert offer.models_of("dreams") == (recursive,)
    assert offer.models_of("segmentation") == ()


def test_a_server_that_offers_nothing_is_one_too(fake: Fake, client: Client) -> None:
    fake.replies = [as_json({"cardiac_motion": {"api": 1}})]
    none = OfferedLimits(None, None, None, None)
    assert client.offer() == Offer(1, "", (), (), (), {}, none)


@pytest.mark.parametrize("api", [2, 0, "1", None, True, [1]])
def test_another_interface_is_refused(fake: Fake, client: Client, api: Any) -> None:
    with pytest.raises(BadAnswer, match=r"expected a server of CardiacMotion with interface 1 at http://127"):
        offer_of(fake, client, api=api)


@pytest.mark.parametrize(
    "changed",
    [
        {"models": {}},
        {"models": ["recursive"]},
        {"models": [{"kinds": []}]},
        {"models": [{"name": "x", "kinds": "motion"}]},
        {"models": [{"name": "x", "options": []}]},
        {"tasks": [1]},
        {"labels": {"RV": "1"}},
        {"strategies": None},
        {"limits": {"frames": True}},
    ],
)
def test_what_has_another_type_is_a_bad_answer(fake: Fake, client: Client, changed: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer, match="expected "):
        offer_of(fake, client, **changed)
