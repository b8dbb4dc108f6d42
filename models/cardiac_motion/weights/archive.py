"""The archive of tensors that torch writes: read only where nothing in it is out of the ordinary."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import zipfile

import torch
from torch import Tensor

from cardiac_motion.errors import InputError

_ZIP = b"PK\x03\x04"
_PICKLE = "data.pkl"
_GLOBALS = frozenset({
    "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch HalfStorage", "torch LongStorage",
})  # fmt: skip
_OPCODES = frozenset({
    "BINGET", "BININT", "BININT1", "BININT2", "BINPERSID", "BINPUT", "BINUNICODE", "EMPTY_DICT", "EMPTY_TUPLE",
    "GLOBAL", "LONG1", "LONG_BINGET", "LONG_BINPUT", "MARK", "NEWFALSE", "PROTO", "REDUCE", "SETITEM", "SETITEMS",
    "STOP", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
})  # fmt: skip
_KINDS = frozenset({torch.float16, torch.int64})
_DAMAGE = (
    zipfile.BadZipFile, pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, LookupError,
    MemoryError, OSError, RuntimeError, TypeError, ValueError, struct.error,
)  # fmt: skip
"""What the libraries raise on damaged archives."""


def read_state(content: bytes) -> dict[str, Tensor]:
    """Tensors by name, half precision or whole numbers; no more memory than the archive has bytes.

    Args:
        content: of a file that `torch.save` wrote: ``{"state": tensors by name}``.

    Raises:
        InputError: something else, whatever it is; the message says what, without the name of a file.
    """
    try:
        _check_archive(content)
        held = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(f"a file of something else, or a damaged one ({type(error).__name__})") from error
    state = held.get("state") if isinstance(held, dict) else None
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise InputError("a file without tensors by name")
    for name, value in state.items():
        if not isinstance(value, Tensor) or value.dtype not in _KINDS or value.layout is not torch.strided:
            raise InputError(f"something else than half precision or whole numbers in {name[:60]!r}")
        # Others may stand for more values than they hold.
        if not value.is_contiguous() or value.device.type != "cpu":
            raise InputError(f"values that are not laid out one after the other in {name[:60]!r}")
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"values that are not finite in {name[:60]!r}")
    return dict(state)


def _check_archive(content: bytes) -> None:
    """Raise unless this is a plain archive, whose pickle does nothing but put tensors together."""
    if not content.startswith(_ZIP):
        # torch would take it for a file of its older format, which nothing here writes.
        raise InputError("a file of something else")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        packed = [m for m in members if m.compress_type != zipfile.ZIP_STORED or m.file_size != m.compress_size]
        if packed or sum(member.file_size for member in members) > len(content):
            raise InputError("a compressed archive")
        if archive.testzip() is not None:
            raise InputError("a damaged archive")
        pickles = [member for member in members if member.filename.split("/", 1)[-1] == _PICKLE]
        if len(pickles) != 1:
            raise InputError(f"an archive of {len(pickles)} {_PICKLE}")
        for opcode, argument, _ in pickletools.genops(archive.read(pickles[0])):
            if opcode.name not in _OPCODES or (opcode.name == "GLOBAL" and argument not in _GLOBALS):
                raise InputError(f"more than tensors: {str(argument or opcode.name)[:60]!r}")
