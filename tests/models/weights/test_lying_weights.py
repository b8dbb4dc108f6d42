"""Archives that hold more than tensors, or less, as fuzzing found them; each with a checksum that fits."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from cardiac_motion.errors import InputError
from cardiac_motion.weights import build_network, fitted_network, load_weights, save_weights
from torch import Tensor, nn

CONFIG = {"classes": 2, "width": 2, "levels": 2}
FIRST = "entries.0.0.weight"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Weights of a small network."""
    path = tmp_path / "small.pt"
    save_weights(path, build_network("unet", CONFIG).state_dict(), model="unet", network="unet", config=CONFIG)
    return path


def signed(path: Path, content: bytes) -> Path:
    """The same with another archive, and its checksum."""
    path.write_bytes(content)
    return changed(path, sha256=hashlib.sha256(content).hexdigest())


def changed(path: Path, **entries: Any) -> Path:
    sidecar = path.with_suffix(".json")
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | entries))
    return path


def packed(held: Any) -> bytes:
    torch.save(held, buffer := io.BytesIO())
    return buffer.getvalue()


class Command:
    """Would run where it is loaded without care."""

    def __reduce__(self) -> Any:
        return os.system, ("exit 1",)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(1).half().expand(2**31), "not laid out one after the other"),
        (torch.zeros(3, 2).half().T, "not laid out one after the other"),
        (torch.full((2,), float("nan")).half(), "not finite"),
        (torch.zeros(2, dtype=torch.complex64), "more than tensors|something else than half precision"),
        (torch.eye(3).half().to_sparse(), "more than tensors"),
        (torch.zeros(9, device="meta"), "more than tensors"),
        (nn.Parameter(torch.zeros(2).half()), "more than tensors"),
        (Command(), "more than tensors"),
        (1.0, "more than tensors"),
    ],
    ids=["expanded", "transposed", "NaN", "complex", "sparse", "meta", "parameter", "command", "number"],
)
def test_values_that_are_no_plain_tensors(path: Path, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_weights(signed(path, packed({"state": {FIRST: value}})))


@pytest.mark.parametrize(
    "held", [{}, {"state": {}, "more": {1: Command()}}, [1], {"state": {1: torch.zeros(1).half()}}]
)
def test_archives_of_something_else(path: Path, held: Any) -> None:
    with pytest.raises(InputError, match=r"expected weights in .*small"):
        load_weights(signed(path, packed(held)))


def test_what_is_compressed(path: Path) -> None:
    """So that no small file becomes gigabytes."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match="a compressed archive"):
        load_weights(signed(path, buffer.getvalue()))


def test_a_pickle_in_front_of_the_archive(path: Path) -> None:
    torch.save({"state": {}}, buffer := io.BytesIO(), _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match="a file of something else"):
        load_weights(signed(path, buffer.getvalue() + path.read_bytes()))


def test_a_tensor_damaged_in_an_archive_whose_checksum_fits(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.find(b"data/0")
    content[place + 70] ^= 1
    with pytest.raises(InputError, match=r"a damaged archive|a damaged one"):
        load_weights(signed(path, bytes(content)))


def test_a_sidecar_nested_without_end(path: Path) -> None:
    path.with_suffix(".json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="which says what the weights are"):
        load_weights(path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"width": 10**9}, "expected width from 1 to 4096"),
        ({"levels": 10**9}, "expected levels from 1 to 4096"),
        ({"classes": 0}, "expected classes from 1 to 4096"),
        ({"dropout": float("nan")}, "expected dropout from 0"),
        ({"levels": 60}, "cannot be made|not those of unet"),
        ({"width": 4096, "levels": 8}, "not those of unet"),
        ({"width": 3}, "not those of unet"),
        ({"width": "2"}, "cannot be made"),
        ({"unknown": 1}, "cannot be made"),
    ],
)
def test_arguments_that_are_not_those_of_the_weights(path: Path, config: dict[str, Any], message: str) -> None:
    """Without the memory that they ask for."""
    with pytest.raises(InputError, match=message):
        fitted_network(load_weights(changed(path, config=CONFIG | config)))


@pytest.mark.parametrize("change", ["one more", "one fewer", "whole numbers"])
def test_weights_of_another_network(path: Path, change: str) -> None:
    state: dict[str, Tensor] = {name: value.half() for name, value in load_weights(path).state.items()}
    if change == "one more":
        state["more"] = torch.zeros(1).half()
    elif change == "one fewer":
        del state[FIRST]
    else:
        state[FIRST] = torch.zeros(state[FIRST].shape, dtype=torch.int64)
    with pytest.raises(InputError, match=f"expected ({FIRST}|more) as "):
        fitted_network(load_weights(signed(path, packed({"state": state}))))


def test_weights_that_fit(path: Path) -> None:
    weights = load_weights(path)
    network = fitted_network(weights)
    assert all(torch.equal(value, weights.state[name]) for name, value in network.state_dict().items())
