from __future__ import annotations

from dataclasses import fields

import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.registration.base import MotionModel, as_settings, with_options
from cardiac_motion.registration.recursive.options import RecursiveOptions
from cardiac_motion.registration.registry import DEFAULT_MOTION_MODEL, motion_model, motion_model_names


def test_strings_become_the_options_own_types() -> None:
    changes = {"parametrisation": "network", "dimensions": "3", "levels": "4", "bidirectional": "no", "seed": "5"}
    found = with_options(RecursiveOptions(), changes)
    assert found == RecursiveOptions(
        parametrisation="network", dimensions=3, levels=4, bidirectional=False, seed=5
    )
    assert with_options(found, {"levels": "none"}).levels is None
    assert with_options(found, {}) is found


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("parametrisation", "magic", "one of velocity, network, got 'magic'"),
        ("dimensions", "4", "one of 2, 3, got '4'"),
        ("levels", "many", "type int, got 'many'"),
        ("levels", "9", "from 1 to 5, got 9"),
        ("iterations", "0", "from 1 to 10000, got 0"),
        ("seed", str(2**63), "from 0 to 2.63 - 1"),
        ("bidirectional", "perhaps", "true or false, got 'perhaps'"),
        ("similarity", "ssi", "one of ssim, mse, "),
        ("colour", "red", "unknown option colour; there are parametrisation"),
    ],
)
def test_a_wrong_option_is_named_with_what_it_could_be(name: str, value: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_options(RecursiveOptions(), {name: value})


def test_an_option_of_the_other_form_is_refused() -> None:
    with pytest.raises(InputError, match="small_motion belongs to parametrisation velocity"):
        with_options(RecursiveOptions(), {"small_motion": "yes", "parametrisation": "network"})


def test_the_papers_settings_are_the_networks_defaults() -> None:
    paper = RecursiveOptions(parametrisation="network").resolved()
    assert (paper.levels, paper.iterations, paper.similarity, paper.bidirectional) == (2, 800, "ssim+mi", True)


def test_settings_are_plain_and_differ_when_options_do() -> None:
    plain = as_settings(RecursiveOptions())
    assert all(isinstance(value, int | str | bool) for value in plain.values()), "nothing is left open"
    assert set(plain) == {field.name for field in fields(RecursiveOptions)}
    assert as_settings(RecursiveOptions(levels=2)) != plain
    assert as_settings(RecursiveOptions(levels=4)) == plain, "what is the default already"
    assert as_settings(RecursiveOptions(parametrisation="network", levels=4, similarity="ssim")) != plain


def test_registry_makes_models_that_keep_to_the_protocol() -> None:
    assert DEFAULT_MOTION_MODEL in motion_model_names()
    for name in motion_model_names():
        model = motion_model(name)
        assert isinstance(model, MotionModel)
        assert model.name == name
    with pytest.raises(InputError, match="unknown motion model 'nothing'; there are recursive"):
        motion_model("nothing")
