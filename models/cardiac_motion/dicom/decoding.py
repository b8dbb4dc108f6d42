"""Compressed pixels, decoded by pydicom's handlers in a process of their own.

The C++ library that decodes JPEG, JPEG-LS and JPEG 2000 ends its process on some damaged images, and others warn
of what they find. In another process that is one unreadable file, or nothing to anyone.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL.Image import DecompressionBombError
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, AllTransferSyntaxes, UID_dictionary

from cardiac_motion.dicom.header import PARSER_ERRORS

MAX_SECONDS = 60.0
"""For one file; after that the decoder is ended."""
MAX_BYTES = 2**32
"""Memory of the decoding process, where the system can limit it."""
_LARGEST_RATIO = 4
"""Times the size of the pixels themselves that their compressed form may have."""
_LENGTH = struct.Struct("<Q")
_DECODER_ERRORS: tuple[type[Exception], ...] = (*PARSER_ERRORS, DecompressionBombError, ImportError)


class UnreadablePixels(Exception):  # noqa: N818 - becomes an InputError where it matters
    """The pixels of a file cannot be read; the message says why."""


@dataclass(frozen=True)
class Encoded:
    """What a decoder has to know of the pixels of a file.

    Attributes:
        syntax: UID of the transfer syntax.
        shape: frames, rows, columns.
        bits: allocated, stored, high bit.
        is_signed: two's complement.
    """

    syntax: str
    shape: tuple[int, int, int]
    bits: tuple[int, int, int]
    is_signed: bool

    @property
    def name(self) -> str:
        """Of the transfer syntax."""
        return str(UID_dictionary.get(self.syntax, (self.syntax,))[0])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the stored numbers."""
        return np.dtype(f"<{'i' if self.is_signed else 'u'}{self.bits[0] // 8}")


def decode(encoded: Encoded, content: bytes) -> npt.NDArray[Any]:
    """All frames of a file, as they are stored: (frames, Y, X).

    Args:
        encoded: how.
        content: the encapsulated pixel data, item by item.

    Raises:
        UnreadablePixels: why they cannot be decoded.
    """
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(encoded.syntax)
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.NumberOfFrames, ds.Rows, ds.Columns = encoded.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = encoded.bits
    ds.PixelRepresentation = int(encoded.is_signed)
    ds.PixelData = content
    ds["PixelData"].is_undefined_length = True
    try:
        decoded = ds.pixel_array
    except _DECODER_ERRORS as error:
        lines = str(error).splitlines() or [""]
        text = f"its pixels cannot be decoded ({encoded.name}): {type(error).__name__}: {lines[0][:160]}"
        raise UnreadablePixels(text) from error
    if decoded.size != np.prod(encoded.shape):
        text = f"expected (frames, rows, columns) = {encoded.shape}, its pixels are {decoded.shape}"
        raise UnreadablePixels(text)
    return decoded.reshape(encoded.shape).astype(encoded.dtype, copy=False)


class Decoder:
    """Decodes compressed pixels; its process starts with the first file that needs it, and anew after a crash."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, encoded: Encoded, content: bytes) -> npt.NDArray[Any]:
        """All frames of a file, as they are stored: (frames, Y, X).

        Raises:
            UnreadablePixels: a syntax that is not known, or pixels that cannot be decoded.
        """
        if encoded.syntax not in AllTransferSyntaxes:
            raise UnreadablePixels(f"its transfer syntax is not known: {encoded.syntax}")
        size = int(np.prod(encoded.shape)) * encoded.dtype.itemsize
        if len(content) > _LARGEST_RATIO * size + 2**16:
            raise UnreadablePixels(f"expected at most {size} bytes of pixels, got {len(content)} compressed ones")
        reply = self._ask(encoded, content)
        if reply[:1] == b"!":
            raise UnreadablePixels(reply[1:].decode())
        return np.frombuffer(reply[1:], encoded.dtype).reshape(encoded.shape)

    def _ask(self, encoded: Encoded, content: bytes) -> bytes:
        if self._process is None:
            # -P: what lies in the folder that a program was started in is none of the modules meant.
            command = [sys.executable, "-P", "-m", __name__]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)  # noqa: S603
        process = self._process
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        watch = threading.Timer(MAX_SECONDS, process.kill)
        watch.start()
        try:
            _send(process.stdin, json.dumps(asdict(encoded)).encode())
            _send(process.stdin, content)
            return _receive(process.stdout)
        except (OSError, EOFError) as error:
            self.close()
            raise UnreadablePixels(
                f"its pixels cannot be decoded ({encoded.name}): the decoder broke off"
            ) from error
        finally:
            watch.cancel()

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                _close(stream)


def _close(stream: BinaryIO | Any) -> None:
    try:
        stream.close()
    except OSError:
        # What could not be sent to a process that is gone is not missed.
        return


def _send(stream: BinaryIO | Any, content: bytes) -> None:
    stream.write(_LENGTH.pack(len(content)))
    stream.write(content)
    stream.flush()


def _receive(stream: BinaryIO | Any) -> bytes:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    content = stream.read(_LENGTH.unpack(head)[0])
    if len(content) < _LENGTH.unpack(head)[0]:
        raise EOFError
    return bytes(content)


def serve(
    stdin: BinaryIO, stdout: BinaryIO, decoding: Callable[[Encoded, bytes], npt.NDArray[Any]] = decode
) -> None:
    """Answer requests until there are no more: ``+`` with the pixels, or ``!`` with the reason."""
    while True:
        try:
            request = json.loads(_receive(stdin))
            content = _receive(stdin)
        except EOFError:
            return
        encoded = Encoded(
            request["syntax"], tuple(request["shape"]), tuple(request["bits"]), bool(request["is_signed"])
        )
        try:
            reply = b"+" + decoding(encoded, content).tobytes()
        except UnreadablePixels as error:
            reply = b"!" + str(error).encode()
        _send(stdout, reply)


def _limit_memory() -> None:
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not everywhere

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = MAX_BYTES if hard == resource.RLIM_INFINITY else min(MAX_BYTES, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


if __name__ == "__main__":
    _limit_memory()
    serve(sys.stdin.buffer, sys.stdout.buffer)
