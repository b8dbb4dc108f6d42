"""Weights on disk: half precision, read without running anything that is in the file, checksum compared.

Weights are two files: ``NAME.pt`` holds the tensors, ``NAME.json`` says what they are and what the checksum of the
first is. A model card, ``NAME.md``, lies beside them.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cardiac_motion.atomic import put_in_place, temporary_beside
from cardiac_motion.errors import InputError
from cardiac_motion.json_input import parse_json
from cardiac_motion.weights.archive import read_state

FORMAT = 1
LARGEST_BYTES = 16 * 2**20
"""Of shipped weights."""
_SHIPPED = Path(__file__).parent
_LARGEST_HALF = 65504.0


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of a network and what they are.

    Attributes:
        model: name of the model that they belong to, as the registries have it.
        network: name of the network, as `build_network` takes it.
        config: arguments of the network.
        state: by name; what is not whole numbers is float32.
        checksum: SHA-256 of the file, in hexadecimal.
    """

    model: str
    network: str
    config: Mapping[str, Any]
    state: Mapping[str, Tensor]
    checksum: str


def shipped_weights() -> tuple[str, ...]:
    """Names of the weights that come with the package."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.json")))


def save_weights(
    path: Path | str,
    state: Mapping[str, Tensor],
    *,
    model: str,
    network: str,
    config: Mapping[str, Any],
    card: str | None = None,
) -> str:
    """Write weights, all of their files or none; those of an earlier version are replaced.

    Args:
        path: ends in ``.pt``; the other files lie beside it.
        state: by name; floating point is kept with half precision.
        model: name of the model.
        network: name of the network.
        config: its arguments, as JSON can hold them.
        card: the model card, in Markdown.

    Returns:
        The checksum.

    Raises:
        InputError: another ending, values that half precision cannot hold, or a file that cannot be written.
    """
    path = _checked_path(path)
    buffer = io.BytesIO()
    torch.save({"state": {name: _half(name, value) for name, value in state.items()}}, buffer)
    content = buffer.getvalue()
    checksum = hashlib.sha256(content).hexdigest()
    about = {
        "format": FORMAT,
        "model": model,
        "network": network,
        "config": dict(config),
        "parameters": sum(value.numel() for value in state.values()),
        "sha256": checksum,
    }
    files = {path: content, path.with_suffix(".json"): (json.dumps(about, indent=2) + "\n").encode()}
    if card is not None:
        files[path.with_suffix(".md")] = card.encode()
    try:
        with ExitStack() as stack:
            staged = [(stack.enter_context(temporary_beside(final)), final) for final in files]
            for temporary, final in staged:
                temporary.write_bytes(files[final])
            put_in_place(staged)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    return checksum


def load_weights(name_or_path: Path | str) -> Weights:
    """Read weights.

    Args:
        name_or_path: a name among `shipped_weights`, or a file that ends in ``.pt``.

    Raises:
        InputError: no such weights; a file that is damaged, of something else, or of a newer version.
    """
    path = _found(name_or_path)
    about = _about(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"expected weights in {path}, there is no such file") from error
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {error.strerror or error}") from error
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != about["sha256"]:
        raise InputError(
            f"the weights {path} are damaged: expected the SHA-256 {about['sha256'][:12]}…, got {checksum[:12]}…"
        )
    try:
        state = read_state(content)
    except InputError as error:
        raise InputError(f"expected weights in {path}, got {error}") from error
    return Weights(
        model=about["model"],
        network=about["network"],
        config=about["config"],
        state={name: value.float() if value.is_floating_point() else value for name, value in state.items()},
        checksum=checksum,
    )


def weights_card(name_or_path: Path | str) -> str:
    """The model card that lies beside weights, Markdown; empty if there is none.

    Raises:
        InputError: no such weights, or a card that cannot be read.
    """
    path = _found(name_or_path).with_suffix(".md")
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the model card {path}: {error}") from error


def _checked_path(path: Path | str) -> Path:
    path = Path(path)
    if path.suffix != ".pt":
        raise InputError(f"expected a file of weights that ends in .pt, got {path}")
    return path


def _found(name_or_path: Path | str) -> Path:
    """The file of weights that a name or a path stands for."""
    if isinstance(name_or_path, str) and name_or_path in shipped_weights():
        return _SHIPPED / f"{name_or_path}.pt"
    if Path(name_or_path).suffix != ".pt":
        there = ", ".join(shipped_weights()) or "none"
        raise InputError(
            f"expected a file of weights that ends in .pt, or the name of shipped ones ({there}), got "
            f"{name_or_path}"
        )
    return Path(name_or_path)


def _about(path: Path) -> dict[str, Any]:
    """What lies beside a file of weights, checked."""
    sidecar = path.with_suffix(".json")
    try:
        about = parse_json(sidecar.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"expected {sidecar.name} beside the weights {path}, there is no such file") from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {sidecar}, which says what the weights are: {error}") from error
    kinds = {"format": int, "model": str, "network": str, "config": dict, "sha256": str}
    if not isinstance(about, dict) or not all(isinstance(about.get(k), kind) for k, kind in kinds.items()):
        raise InputError(f"expected {', '.join(kinds)} in {sidecar}, got something else")
    if about["format"] > FORMAT:
        raise InputError(
            f"the weights {path} are of format {about['format']}, newer than what this version reads, {FORMAT}"
        )
    return about


def _half(name: str, value: Tensor) -> Tensor:
    """A tensor as it is kept: half precision, on the CPU, with memory of its own."""
    value = value.detach().cpu()
    if not value.is_floating_point():
        return value.clone()
    if not bool((value.abs() <= _LARGEST_HALF).all()):
        raise InputError(f"expected finite weights up to {_LARGEST_HALF:g}, got others in {name}")
    return value.to(torch.float16).clone()
