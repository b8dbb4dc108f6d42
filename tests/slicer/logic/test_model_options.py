"""Options of models: from a schema to what can be chosen, and what was chosen through a saved scene."""

from __future__ import annotations

import math
from typing import Any

import pytest
from cardiac_motion.registration.registry import motion_model, motion_model_names
from CardiacMotionLib.client.offer import OfferedModel
from CardiacMotionLib.model_options import (
    Kind,
    Option,
    chosen_among,
    chosen_of,
    from_text,
    options_of,
    read_chosen,
    write_chosen,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

SCHEMA: dict[str, Any] = {
    "description": """What is done.

Attributes:
    flips: mean of the image
        and its mirror images.
    many: how many.
""",
    "properties": {
        "flips": {"type": "boolean", "default": False},
        "view": {"enum": ["auto", "sax"], "type": "string", "default": "auto"},
        "many": {
            "anyOf": [{"type": "integer", "exclusiveMinimum": 0, "maximum": 9}, {"type": "null"}],
            "default": None,
        },
        "weight": {"type": "number", "minimum": 0, "default": 0.5, "description": "of the whole"},
        "dimensions": {"enum": [2, 3], "type": "integer", "default": 2},
        "maybe": {"anyOf": [{"type": "boolean"}, {"type": "null"}], "default": None},
        "a list": {"type": "array", "default": []},
        "nothing to begin with": {"type": "integer"},
        "two kinds": {"anyOf": [{"type": "integer"}, {"type": "string"}], "default": 1},
        "beyond itself": {"type": "integer", "minimum": 3, "default": 1},
        "no entry": 5,
    },
}  # fmt: skip
OPTIONS = {option.name: option for option in options_of(SCHEMA)}


def test_what_a_schema_says_can_be_chosen() -> None:
    assert list(OPTIONS) == ["flips", "view", "many", "weight", "dimensions", "maybe"]
    assert OPTIONS["flips"] == Option("flips", Kind.YES_NO, False, help="mean of the image and its mirror images.")
    assert OPTIONS["view"].choices == ("auto", "sax")
    assert OPTIONS["many"] == Option("many", Kind.WHOLE, None, (), 1, 9, True, "how many.")
    assert (OPTIONS["weight"].least, OPTIONS["weight"].help) == (0, "of the whole")
    assert (OPTIONS["maybe"].kind, OPTIONS["maybe"].choices) == (Kind.CHOICE, (None, False, True))
    assert OPTIONS["many"].title == "Many"


@pytest.mark.parametrize(
    "schema", [{}, {"properties": 5}, {"properties": {}}, {"properties": {"x": {"anyOf": 3, "default": 1}}}]
)
def test_of_no_schema_there_is_nothing_to_choose(schema: dict[str, Any]) -> None:
    assert options_of(schema) == ()


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("flips", [True, False], [None, 0, 1, "yes"]),
        ("view", ["auto", "sax"], ["lax", None, True]),
        ("many", [None, 1, 9], [0, 10, 2.0, True, "3"]),
        ("weight", [0, 0.25, 7], [-1, math.nan, math.inf, None, True]),
        ("dimensions", [2, 3], [2.0, 4, True, None]),
    ],
)
def test_values_it_can_have_and_cannot(name: str, right: list[Any], wrong: list[Any]) -> None:
    assert [OPTIONS[name].takes(value) for value in right] == [True] * len(right)
    assert [OPTIONS[name].takes(value) for value in wrong] == [False] * len(wrong)


def test_only_what_is_not_the_models_own_is_kept() -> None:
    values = {"flips": True, "view": "auto", "many": 99, "weight": 1.5, "unknown": 3}
    assert chosen_among(OPTIONS.values(), values) == {"flips": True, "weight": 1.5}
    text = write_chosen("", "unet", {"flips": True})
    text = write_chosen(text, "recursive", {"levels": 3})
    assert read_chosen(text) == {"unet": {"flips": True}, "recursive": {"levels": 3}}
    assert write_chosen(write_chosen(text, "unet", {}), "recursive", {}) == ""
    models = [OfferedModel(name, (), (), 1, (), SCHEMA) for name in ("unet", "fused")]
    assert chosen_of(models, "unet", text) == {"flips": True}
    assert chosen_of(models, "fused", text) == {}
    assert chosen_of(models, "fused", text, chosen_for="unet") == {"flips": True}
    assert chosen_of(models, "gone", text) == {}


@given(st.text() | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(repr))
def test_a_saved_text_that_is_none_is_as_if_nothing_was_chosen(text: str) -> None:
    found = read_chosen(text)
    assert all(isinstance(values, dict) for values in found.values())


@pytest.mark.parametrize("text", ["[]", '{"unet": 3}', "{", "null", '"x"'])
def test_a_text_of_another_kind(text: str) -> None:
    assert read_chosen(text) == {}


def test_what_is_typed() -> None:
    many, weight = OPTIONS["many"], OPTIONS["weight"]
    typed = [from_text(many, text) for text in ("", " 3 ", "0", "3.5", "three", "9" * 5000)]
    assert typed == [(True, None), (True, 3), *[(False, None)] * 4]
    assert [from_text(weight, text) for text in ("", "1e-1", "nan", "-1")] == [
        (True, 0.5),
        (True, 0.1),
        (False, None),
        (False, None),
    ]


def test_every_option_of_the_models_here_can_be_chosen() -> None:
    for name in motion_model_names():
        defaults = motion_model(name).default_options
        schema = TypeAdapter(type(defaults)).json_schema()
        options = options_of(schema)
        assert {option.name for option in options} == set(vars(defaults)), name
        assert {option.name: option.default for option in options} == vars(defaults)
        assert all(option.help for option in options)
