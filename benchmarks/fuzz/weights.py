"""Files of weights, compared with the bytes of their tensors."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import random
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from cardiac_motion.weights import Weights, load_weights, save_weights
from cardiac_motion.weights.networks import build_network, fitted_network
from torch import nn

from benchmarks.dicom_folders import Files, read_files
from benchmarks.fuzz.damage import bomb, damaged
from benchmarks.fuzz.folders import files_moved
from benchmarks.fuzz.json_damage import damaged_json
from benchmarks.fuzz.target import CannotTellError, Mutant, Sample

_PT, _JSON = "small.pt", "small.json"
_CONFIG = {"classes": 2, "width": 2, "levels": 2, "dropout": 0.0}
_CONFIGS: tuple[dict[str, Any], ...] = (
    {"width": 10**9}, {"levels": 10**9}, {"levels": -1}, {"classes": 0}, {"width": 2.5}, {"dropout": 7.0},
    {"inputs": 0}, {"views": 10**12}, {"unknown": 1}, {"width": "2"}, {"levels": None}, {"supervised": -5},
    {"classes": True}, {"levels": 60}, {"width": 3}, {"dropout": "nan"}, {"views": [1]}, {"width": {"a": 1}},
)  # fmt: skip


@cache
def _network() -> nn.Module:
    torch.manual_seed(0)
    return build_network("unet", _CONFIG)


class WeightsTarget:
    """The tensors and what lies beside them."""

    name = "weights"

    def samples(self) -> list[Sample]:
        """Of a very small network."""
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / _PT
            save_weights(path, _network().state_dict(), model="unet", network="unet", config=_CONFIG)
            return [Sample(read_files(Path(place)), "")]

    def mutate(self, samples: Sequence[Sample], luck: random.Random) -> Mutant:
        """Damage that the checksum shows, and damage that it was made to fit."""
        files: Files = dict(samples[0].files)
        chance = luck.random()
        if chance < 0.03:
            what = "untouched"
        elif chance < 0.08:
            what = files_moved(files, luck)
        elif chance < 0.3:
            files[_JSON], what = damaged_json(files[_JSON], luck)
        elif chance < 0.42:
            change = luck.choice(_CONFIGS)
            files[_JSON], what = _with(files[_JSON], config=_CONFIG | change), f"config {change}"
        else:
            files[_PT], what = luck.choice(_CHANGES)(files[_PT], luck)
            if luck.random() < 0.85:
                files[_JSON] = _with(files[_JSON], sha256=hashlib.sha256(files[_PT]).hexdigest())
                what = f"{what}, signed"
        return Mutant(files, what, "")

    def read(self, folder: Path, kind: str) -> tuple[Weights, nn.Module]:  # noqa: ARG002 - there is one
        """The weights, and the network that they are of."""
        weights = load_weights(folder / _PT)
        return weights, fitted_network(weights)

    def judge(self, folder: Path, kind: str, result: tuple[Weights, nn.Module]) -> str | None:  # noqa: ARG002 - the same
        """Every tensor is, byte for byte, one of those in the archive, and the network has them all."""
        weights, network = result
        try:
            with zipfile.ZipFile(folder / _PT) as archive:
                contents = {archive.read(name) for name in archive.namelist() if "/data/" in name}
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
            raise CannotTellError(f"zipfile: {error}") from error
        for name, value in weights.state.items():
            if value.to(torch.float16).numpy().tobytes() not in contents:
                return f"{name} is not among the tensors of the file"
        state = network.state_dict()
        if state.keys() != weights.state.keys():
            return "the network has other tensors"
        wrong = [name for name, value in weights.state.items() if not torch.equal(state[name], value)]
        return f"the network has another {wrong[0]}" if wrong else None


def _with(content: bytes, **entries: Any) -> bytes:
    return json.dumps(json.loads(content) | entries).encode()


def _bytes_damaged(content: bytes, luck: random.Random) -> tuple[bytes, str]:
    return damaged(content, luck, head=2000)


def _directory_damaged(content: bytes, luck: random.Random) -> tuple[bytes, str]:
    start = content.find(b"PK\x01\x02")
    tail, what = damaged(content[start:], luck, head=3000)
    return content[:start] + tail, f"directory: {what}"


def _repacked(content: bytes, luck: random.Random) -> tuple[bytes, str]:
    """A member damaged, gone, or a bomb; compressed in every way."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = luck.choice(sorted(members))
    method = luck.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    kind = luck.randrange(4)
    if kind == 0:
        members[name], what = damaged(members[name], luck, head=len(members[name]) + 1)
    elif kind == 1:
        del members[name]
        what = "gone"
    elif kind == 2:
        members[name], what = bomb(b"", 2**30), "a bomb in it"
    else:
        members[name], what, method = bytes(luck.choice((2**20, 2**26))), "zeros", zipfile.ZIP_DEFLATED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for each, data in members.items():
            archive.writestr(zipfile.ZipInfo(each), data, method)
    return buffer.getvalue(), f"{name}: {what}"


class _Command:
    """Runs a command where it is loaded without care."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("echo this must never run",)


def _other_content(content: bytes, luck: random.Random) -> tuple[bytes, str]:  # noqa: ARG001 - all have one form
    """A whole file of torch that holds something else."""
    state = {name: value.half() for name, value in _network().state_dict().items()}
    first = next(iter(state))
    nested: Any = 1
    for _ in range(200):
        nested = {"a": nested}
    held: dict[str, Any] = {
        "no state": {},
        "state of None": {"state": None},
        "a list": [state],
        "a command": {"state": state, "x": _Command()},
        "a network": {"state": nn.Linear(2, 2)},
        "numbers": {"state": dict.fromkeys(state, 1.0)},
        "one expanded": {"state": state | {first: torch.zeros(1).half().expand(2**31)}},
        "one transposed": {"state": state | {first: state[first].transpose(0, 1)}},
        "one sparse": {"state": state | {first: torch.eye(3).to_sparse()}},
        "one complex": {"state": state | {first: state[first].float() + 0j}},
        "one of NaN": {"state": state | {first: state[first] * float("nan")}},
        "one of whole numbers": {"state": state | {first: torch.zeros(state[first].shape, dtype=torch.int64)}},
        "one of meta": {"state": state | {first: torch.zeros(9, device="meta")}},
        "one too many": {"state": state | {"more": torch.zeros(1).half()}},
        "one too few": {"state": dict(list(state.items())[1:])},
        "other shape": {"state": state | {first: state[first].reshape(-1)}},
        "other order": {"state": OrderedDict(reversed(state.items()))},
        "names of numbers": {"state": dict(enumerate(state.values()))},
        "nested": {"state": state, "x": nested},
        "float32": {"state": {name: value.float() for name, value in state.items()}},
        "parameter": {"state": state | {first: nn.Parameter(state[first])}},
    }
    name = luck.choice(sorted(held))
    buffer = io.BytesIO()
    torch.save(held[name], buffer)
    return buffer.getvalue(), name


def _no_archive(content: bytes, luck: random.Random) -> tuple[bytes, str]:
    """Pickles, of torch's older format and plain, alone and in front of the archive."""
    buffer = io.BytesIO()
    torch.save({"state": {}}, buffer, _use_new_zipfile_serialization=False)
    old = buffer.getvalue()
    plain = pickle.dumps({"state": _Command()})
    return luck.choice(((old, "old format"), (plain, "a pickle"), (old + content, "old format before"),
                        (plain + content, "a pickle before"), (b"", "nothing")))  # fmt: skip


def _other_pickle(content: bytes, luck: random.Random) -> tuple[bytes, str]:
    """Numbers in the pickle of the archive changed: sizes, strides, offsets, keys of storages."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.endswith("data.pkl"))
    data = bytearray(members[name])
    for _ in range(luck.choice((1, 1, 2, 5))):
        # K and M: numbers of one and two bytes.
        places = [i for i, byte in enumerate(data[:-3]) if byte in b"KMXJ"]
        place = luck.choice(places)
        data[place + 1] = luck.choice((0, 1, 2, 255, 127, data[place + 1] ^ 1))
    members[name] = bytes(data)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for each, value in members.items():
            archive.writestr(zipfile.ZipInfo(each), value)
    return buffer.getvalue(), "numbers in the pickle"


_CHANGES = (_bytes_damaged, _bytes_damaged, _directory_damaged, _repacked, _other_content, _other_content,
            _no_archive, _other_pickle, _other_pickle)  # fmt: skip
