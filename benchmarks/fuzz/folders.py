"""Folders whose files are gone, twice, renamed or exchanged."""

from __future__ import annotations

import random

from benchmarks.dicom_folders import Files


def files_moved(files: Files, luck: random.Random) -> str:
    """Change which files there are; what was done."""
    return luck.choice(_CHANGES)(files, luck.choice(sorted(files)), luck)


def _gone(files: Files, name: str, luck: random.Random) -> str:  # noqa: ARG001 - all have one form
    if len(files) > 1:
        del files[name]
    return f"without {name}"


def _exchanged(files: Files, name: str, luck: random.Random) -> str:
    other = luck.choice(sorted(files))
    files[name], files[other] = files[other], files[name]
    return f"{name} and {other} exchanged"


def _renamed(files: Files, name: str, luck: random.Random) -> str:
    new = name.replace(luck.choice("0123456789_."), luck.choice(("1", "9", "", "x", "00")), 1) or "x"
    files[new] = files.pop(name)
    return f"{name} is called {new}"


def _twice(files: Files, name: str, luck: random.Random) -> str:  # noqa: ARG001 - the same
    files[f"copy_{name}" if "/" not in name else f"{name}.copy"] = files[name]
    return f"{name} twice"


def _junk(files: Files, name: str, luck: random.Random) -> str:  # noqa: ARG001 - the same
    files[luck.choice(("junk", "junk.nii.gz", "notes.txt", ".hidden.nii", "motion.json.bak"))] = b"junk"
    return "junk beside"


def _empty(files: Files, name: str, luck: random.Random) -> str:  # noqa: ARG001 - the same
    files[name] = b""
    return f"{name} empty"


def _replaced(files: Files, name: str, luck: random.Random) -> str:
    other = luck.choice(sorted(files))
    files[name] = files[other]
    return f"{name} is a copy of {other}"


_CHANGES = (_gone, _exchanged, _renamed, _twice, _junk, _empty, _replaced)
