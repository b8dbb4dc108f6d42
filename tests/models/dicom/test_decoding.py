"""Compressed pixels that are damaged: an array or one reason, whatever becomes of the decoder."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from cardiac_motion.dicom.decoding import Decoder, Encoded, UnreadablePixels
from pydicom.dataset import FileDataset
from pydicom.encaps import defragment_data, encapsulate
from pydicom.pixel_data_handlers.rle_handler import rle_encode_frame
from pydicom.uid import JPEGLosslessSV1, RLELossless

Compress = Callable[[Path, str, Path], FileDataset]
SHAPE = (1, 20, 24)


@pytest.fixture(scope="module")
def image(study: Path) -> Path:
    return min(study.rglob("*.dcm"))


@pytest.fixture(scope="module")
def pixels(image: Path) -> npt.NDArray[np.uint16]:
    return pydicom.dcmread(image).pixel_array.reshape(SHAPE)


@pytest.fixture(scope="module")
def jpeg(image: Path, compressed: Compress, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The pixels as one frame of lossless JPEG."""
    small = compressed(image, "JPEGLosslessProcess14_1", tmp_path_factory.mktemp("jpeg") / "small")
    return defragment_data(small.PixelData)


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = Decoder()
    yield made
    made.close()


def encoded(syntax: str = JPEGLosslessSV1) -> Encoded:
    return Encoded(syntax, SHAPE, (16, 12, 11), False)


def test_damaged_pixels_never_take_the_program_with_them(
    decoder: Decoder, jpeg: bytes, pixels: npt.NDArray[np.uint16]
) -> None:
    np.testing.assert_array_equal(decoder.decode(encoded(), encapsulate([jpeg])), pixels)
    luck = random.Random(1)
    damaged = [bytearray(jpeg) for _ in range(40)]
    for each in damaged[1:]:
        for _ in range(luck.choice((1, 5, 30))):
            each[luck.randrange(2, len(each))] = luck.randrange(256)
    damaged[0][6] = 0xFF  # the number of bits: the library ends its process
    refused = []
    for each in damaged:
        try:
            assert decoder.decode(encoded(), encapsulate([bytes(each)])).shape == SHAPE
        except UnreadablePixels as error:
            refused.append(str(error))
    assert refused[0].endswith("the decoder broke off")
    assert any("broke off" not in reason for reason in refused)
    np.testing.assert_array_equal(decoder.decode(encoded(), encapsulate([jpeg])), pixels)


def test_what_no_decoder_is_asked(decoder: Decoder, jpeg: bytes) -> None:
    with pytest.raises(UnreadablePixels, match=r"transfer syntax is not known: 1\.2\.3"):
        decoder.decode(encoded("1.2.3"), encapsulate([jpeg]))
    with pytest.raises(UnreadablePixels, match="expected at most 960 bytes"):
        decoder.decode(encoded(RLELossless), bytes(100_000))


def test_rle_with_more_than_its_frame_makes_no_noise(decoder: Decoder, pixels: npt.NDArray[np.uint16]) -> None:
    """pydicom warns of it, and takes what belongs to the frame."""
    frame = rle_encode_frame(pixels[0])
    np.testing.assert_array_equal(
        decoder.decode(encoded(RLELossless), encapsulate([frame + b"\x05abcdef"])), pixels
    )
