"""JSON that lies: other types, numbers beyond all, depth without end."""

from __future__ import annotations

import json
import random
from typing import Any

from benchmarks.fuzz.damage import damaged

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 4, 7, 2**31, 2**63, 10**30, 0.5, -0.0, 1e-300, 1e300, float("nan"),
    float("inf"), "", "x", "0", "\0", "\ud800", "x" * 5000, [], {}, [[]], [None], [1, 2, 3], {"a": 1}, "../x",
    "/etc/passwd",
)  # fmt: skip


def damaged_json(content: bytes, luck: random.Random) -> tuple[bytes, str]:
    """A JSON file with values changed, gone or added, or with damaged text."""
    chance = luck.random()
    if chance < 0.15:
        return damaged(content, luck, head=len(content))
    if chance < 0.2:
        depth = luck.choice((100, 10_000, 500_000))
        opening, closing = luck.choice((("[", "]"), ('{"a":', "}")))
        return (opening * depth + "1" + closing * depth * luck.randrange(2)).encode(), f"{depth} levels deep"
    whole = json.loads(content)
    done = [_changed(whole, luck) for _ in range(luck.choice((1, 1, 1, 2, 4)))]
    text = json.dumps(whole, indent=luck.choice((None, 1)))
    if luck.random() < 0.04:
        old = luck.choice([part for part in ("1", "0", "null", "true") if part in text] or ["e"])
        text = text.replace(old, luck.choice(("9" * 5000, "1e999", "-", "0x10", "1_0")), 1)
        done.append(f"{old} written otherwise")
    return text.encode("utf-8", "surrogatepass"), ", ".join(done)


def _changed(whole: Any, luck: random.Random) -> str:
    """Change one value, somewhere."""
    place, key = _chosen(whole, luck)
    if place is None:
        return "nothing to change"
    old = place[key]
    kind = luck.random()
    if kind < 0.15:
        del place[key]
        return f"without {key}"
    if kind < 0.25 and isinstance(place, list):
        place.insert(key, old)
        return f"{key} twice"
    if kind < 0.5 and isinstance(old, int | float) and not isinstance(old, bool):
        place[key] = luck.choice((old + 1, old - 1, -old, old * 2, old + 0.5, str(old), [old]))
    elif kind < 0.6 and isinstance(old, str) and old:
        place[key] = luck.choice((old[:-1], old + "x", old.upper(), old[::-1]))
    else:
        place[key] = luck.choice(_VALUES)
    return f"{key}: {str(old)[:40]!r} -> {str(place[key])[:40]!r}"


def _chosen(whole: Any, luck: random.Random) -> tuple[Any, Any]:
    """A list or an object, and the place of a value in it."""
    places = [(whole, key) for key in (whole if isinstance(whole, dict) else range(len(whole)))]
    while places:
        place, key = luck.choice(places)
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or luck.random() < 0.3:
            return place, key
        places = [(inner, each) for each in (inner if isinstance(inner, dict) else range(len(inner)))]
    return None, None
