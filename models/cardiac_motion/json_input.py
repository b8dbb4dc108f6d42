"""JSON that comes from outside: what it is parsed to can be written and printed again."""

from __future__ import annotations

import json
from typing import Any


def parse_json(content: bytes) -> Any:
    """What JSON in UTF-8, with or without a mark at its beginning, holds.

    Raises:
        ValueError: it is none, is nested without end, or has half of a pair of UTF-16 in a text, which Python
            takes and can neither print nor write.
    """
    try:
        found = json.loads(content.decode("utf-8-sig"))
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return found
