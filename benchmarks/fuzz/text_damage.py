"""Text files that lie: numbers, lines, columns, encodings."""

from __future__ import annotations

import random
import re

from benchmarks.fuzz.damage import damaged

_NUMBERS = (
    "", "0", "1", "2", "3", "4", "5", "-1", "1.0", "2.5", "1e1", "nan", "inf", "-inf", "99999999999999999999", "x",
    "0x1", "1_0", "٣", " 3 ", "1e400", "+2", "--1", "1,2",
)  # fmt: skip
_ENCODINGS = ("utf-8-sig", "utf-16", "latin-1", "utf-32")


def damaged_text(content: bytes, luck: random.Random) -> tuple[bytes, str]:
    """A text file with one to three things changed."""
    if luck.random() < 0.2:
        return damaged(content, luck, head=len(content))
    text = content.decode("utf-8")
    done = []
    for _ in range(luck.choice((1, 1, 2, 3))):
        kind = luck.choice(_KINDS)
        text = kind(text, luck)
        done.append(kind.__name__.strip("_").replace("_", " "))
    if luck.random() < 0.05:
        encoding = luck.choice(_ENCODINGS)
        return text.encode(encoding, "replace"), f"{', '.join(done)}, {encoding}"
    return text.encode("utf-8", "surrogatepass"), ", ".join(done)


def _number_changed(text: str, luck: random.Random) -> str:
    places = list(re.finditer(r"-?\d+(?:\.\d+)?", text))
    if not places:
        return text
    place = luck.choice(places)
    near = (f"{float(place[0]) + 1:g}", f"{-float(place[0]):g}", f"{float(place[0]) + 0.3:g}", place[0] * 30)
    return text[: place.start()] + luck.choice((*_NUMBERS, *near)) + text[place.end() :]


def _line_gone(text: str, luck: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    if lines:
        del lines[luck.randrange(len(lines))]
    return "".join(lines)


def _line_twice(text: str, luck: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    lines.insert(luck.randrange(len(lines) + 1), luck.choice(lines))
    return "".join(lines)


def _lines_exchanged(text: str, luck: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    luck.shuffle(lines)
    return "".join(lines)


def _word_changed(text: str, luck: random.Random) -> str:
    words = list(re.finditer(r"[A-Za-z]+", text))
    if not words:
        return text
    word = luck.choice(words)
    new = luck.choice((word[0].upper(), word[0].lower(), "", "x", word[0][:-1], "ED", "ES", '"', "\0", "é"))
    return text[: word.start()] + new + text[word.end() :]


def _separator_changed(text: str, luck: random.Random) -> str:
    old = luck.choice((",", ":", " ", "\n"))
    return text.replace(
        old, luck.choice((";", "\t", ",", "\r\n", "\r", "\n\n", "=", '"', "")), luck.choice((1, -1))
    )


def _much_more(text: str, luck: random.Random) -> str:
    return luck.choice(
        (text * 400, text + "x" * 200_000, text + "\n" * 50_000, text + '"' + "a," * 80_000, "0 0\n" * 5000)
    )


_KINDS = (
    _number_changed, _number_changed, _number_changed, _line_gone, _line_twice, _lines_exchanged, _word_changed,
    _separator_changed, _much_more,
)  # fmt: skip
