from __future__ import annotations

import pytest
from cardiac_motion.json_input import parse_json


def test_what_others_write() -> None:
    assert parse_json('\ufeff{"é": [1, "\\ud83d\\ude00"]}'.encode()) == {"é": [1, "\U0001f600"]}


@pytest.mark.parametrize(
    "content", [b'"\\ud800"', b'{"\\udfff": 1}', b"[" * 100_000, b"\xff", b"", b"{", b"1" * 5000], ids=range(7)
)
def test_what_nobody_can_use(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the messages are those of the library
        parse_json(content)
