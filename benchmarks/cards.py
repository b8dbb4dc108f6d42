"""Measured results, put into a model card."""

from __future__ import annotations

import re
from pathlib import Path

from cardiac_motion.atomic import atomic_path
from cardiac_motion.errors import InputError

_HEAD = (
    "On phantoms and real cines, Dice; how it was measured is in `docs/results.md` of the source. The real cines "
    "were looked at while recipes were made, and are not unseen:"
)
# What a new card says there, or what was put there before; failures that somebody has written down stay.
_PLACE = re.compile(
    r"(?:Other results, |On phantoms and real cines, ).*?(?=## (?:Failures|Intended use))", re.DOTALL
)


def put_into_card(card: Path, text: str) -> None:
    """Put results, Markdown, into the section of results of a card.

    Raises:
        InputError: the file is no card that `cardiac_motion.training.card` wrote.
    """
    before = card.read_text(encoding="utf-8")
    if len(_PLACE.findall(before)) != 1:
        raise InputError(f"expected a model card with a section of results before its intended use, got {card}")
    after = _PLACE.sub(lambda _: f"{_HEAD}\n\n{text.strip()}\n\n", before)
    with atomic_path(card) as temporary:
        temporary.write_text(after, encoding="utf-8")
