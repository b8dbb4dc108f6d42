"""Damage to bytes, whatever they mean."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache

_INTEGERS = (0, 1, 2, 3, 4, 5, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e-20, 1e20, 3e38, 1e300, float("nan"), float("inf"), -float("inf"))
_BOMB_PIECE = 2**24


def damaged(content: bytes, luck: random.Random, *, head: int = 512) -> tuple[bytes, str]:
    """Bytes with one to four damages, and what they are.

    Args:
        content: of a file.
        luck: what varies.
        head: bytes at the beginning that are hit half of the time.
    """
    done = []
    for _ in range(luck.choice((1, 1, 1, 2, 4))):
        kind = luck.choice(_KINDS)
        content = kind(content, luck, head)
        done.append(kind.__name__.strip("_").replace("_", " "))
    return content, ", ".join(done)


def _place(content: bytes, luck: random.Random, head: int) -> int:
    if not content:
        return 0
    end = min(head, len(content)) if luck.random() < 0.5 else len(content)
    return luck.randrange(end)


def _flipped_bits(content: bytes, luck: random.Random, head: int) -> bytes:
    data = bytearray(content)
    for _ in range(luck.choice((1, 1, 2, 8, 64))):
        if data:
            data[_place(content, luck, head)] ^= 1 << luck.randrange(8)
    return bytes(data)


def _overwritten_number(content: bytes, luck: random.Random, head: int) -> bytes:
    form = luck.choice("<>") + luck.choice("BHIQfd")
    value = luck.choice(_FLOATS if form[1] in "fd" else _INTEGERS)
    size = struct.calcsize(form)
    if form[1] in "fd":
        packed = struct.pack(form, value if form[1] == "d" or abs(value) < 3.4e38 else float("inf"))
    else:
        packed = struct.pack(form, int(value) % 256**size)
    place = _place(content, luck, head)
    return content[:place] + packed + content[place + size :]


def _truncated(content: bytes, luck: random.Random, head: int) -> bytes:
    return content[: -luck.choice((1, 2, 3, 8))] if luck.random() < 0.3 else content[: _place(content, luck, head)]


def _extended(content: bytes, luck: random.Random, head: int) -> bytes:  # noqa: ARG001 - all have one form
    more = luck.choice((1, 2, 4, 352, 5000))
    return content + luck.choice((bytes(more), luck.randbytes(more), content[:more]))


def _removed_block(content: bytes, luck: random.Random, head: int) -> bytes:
    place = _place(content, luck, head)
    return content[:place] + content[place + luck.choice((1, 2, 4, 16, 256)) :]


def _inserted_block(content: bytes, luck: random.Random, head: int) -> bytes:
    place = _place(content, luck, head)
    size = luck.choice((1, 2, 4, 16, 256))
    block = luck.choice((bytes(size), b"\xff" * size, luck.randbytes(size), content[place : place + size]))
    return content[:place] + block + content[place:]


def _swapped_blocks(content: bytes, luck: random.Random, head: int) -> bytes:
    size = luck.choice((1, 2, 4, 16, 128))
    one, other = sorted((_place(content, luck, head), _place(content, luck, head)))
    other = max(other, one + size)
    return (
        content[:one]
        + content[other : other + size]
        + content[one + size : other]
        + content[one : one + size]
        + content[other + size :]
    )


def _blanked_block(content: bytes, luck: random.Random, head: int) -> bytes:
    place, size = _place(content, luck, head), luck.choice((1, 4, 16, 256))
    return content[:place] + luck.choice((b"\0", b"\xff", b" "))[:1] * size + content[place + size :]


def _noise(content: bytes, luck: random.Random, head: int) -> bytes:  # noqa: ARG001 - all have one form
    return luck.choice((b"", b"\0", luck.randbytes(300), b"\0" * 5000, content[::-1]))


_KINDS: tuple[Callable[[bytes, random.Random, int], bytes], ...] = (
    _flipped_bits,
    _flipped_bits,
    _flipped_bits,
    _overwritten_number,
    _overwritten_number,
    _truncated,
    _extended,
    _removed_block,
    _inserted_block,
    _swapped_blocks,
    _blanked_block,
    _noise,
)


def damaged_gzip(raw: bytes, luck: random.Random) -> tuple[bytes, str]:
    """A gzip file of these bytes, damaged as such: its header, its stream, its end, or what it expands to."""
    packed = gzip.compress(raw, 1, mtime=0)
    kind = luck.randrange(8)
    if kind < 3:
        content, what = damaged(packed, luck, head=24)
        return content, f"gzip: {what}"
    if kind == 3:
        data = bytearray(packed)
        data[-luck.randrange(1, 9)] ^= 1 << luck.randrange(8)
        return bytes(data), "gzip: checksum or size"
    if kind == 4:
        return packed + gzip.compress(luck.choice((b"", b"more", raw)), 1, mtime=0), "gzip: a second member"
    if kind == 5:
        cut = luck.randrange(len(raw) + 1)
        return gzip.compress(raw[:cut], 1) + gzip.compress(raw[cut:], 1), "gzip: in two members"
    if kind == 6:
        return raw, "not gzip in truth"
    return bomb(raw, luck.choice((2**26, 2**30, 2**33))), "gzip bomb"


def bomb(start: bytes, size: int, *, whole: bool = False) -> bytes:
    """A gzip file that begins with these bytes and goes on with zeros.

    Args:
        start: bytes.
        size: number of zeros.
        whole: with the checksum that it takes a while to find; otherwise a wrong one.
    """
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    pieces, rest = divmod(size, _BOMB_PIECE)
    head = deflate.compress(start + bytes(rest)) + deflate.flush(zlib.Z_FULL_FLUSH)
    checksum = zlib.crc32(bytes(rest), zlib.crc32(start))
    for _ in range(pieces if whole else 0):
        checksum = zlib.crc32(bytes(_BOMB_PIECE), checksum)
    end = struct.pack("<II", checksum, (len(start) + size) % 2**32)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + head + _zeros() * pieces + b"\x03\0" + end


@cache
def _zeros() -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(bytes(_BOMB_PIECE)) + deflate.flush(zlib.Z_FULL_FLUSH)
