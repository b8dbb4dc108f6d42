"""Texts of data sets that say what nobody means, as fuzzing found them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cardiac_motion.datasets import find_dataset
from cardiac_motion.datasets.contours import read_contour
from cardiac_motion.datasets.files import read_json, whole_number
from cardiac_motion.datasets.split_file import read_split
from cardiac_motion.errors import InputError
from cardiac_motion.phantom import PhantomStudy

from tests.models.datasets.layouts import write_acdc, write_sunnybrook

SPLIT = {"format": "cardiac-motion split", "version": 1, "seed": 0, "folds": False, "parts": {"train": ["é"]}}


@pytest.mark.parametrize("number", ["1_0", "\u0663", "nan", "1e999", "0x10", "1.2.3", "--1"])
def test_numbers_of_python_alone_are_none_of_a_contour(tmp_path: Path, number: str) -> None:
    path = tmp_path / "contour.txt"
    path.write_text(f"0 0\n5 0\n{number} 5\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 3: expected x and y"):
        read_contour(path)


def test_numbers_as_programs_write_them(tmp_path: Path) -> None:
    path = tmp_path / "contour.txt"
    path.write_text("-0.5, +.5\n5. 1e-1\n2.5E+0 5\n")
    assert read_contour(path).tolist() == [[-0.5, 0.5], [5.0, 0.1], [2.5, 5.0]]


def test_other_digits_are_no_frame_of_a_table() -> None:
    assert whole_number("\u0663") is None
    assert whole_number(" 9.0 ") == 9


def test_json_in_another_encoding_is_not_read_as_other_names(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_bytes(json.dumps(SPLIT, ensure_ascii=False).encode("latin-1"))
    with pytest.raises(InputError, match="expected a split as JSON"):
        read_split(path)
    path.write_bytes(json.dumps(SPLIT, ensure_ascii=False).encode("utf-8-sig"))
    assert read_split(path).parts["train"] == ("é",)


def test_json_nested_without_end(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="expected a record, got"):
        read_json(path, "a record")


def test_a_message_does_not_repeat_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps(SPLIT | {"version": "x" * 5000}))
    with pytest.raises(InputError, match=r"expected version 1 of a split, got 'x{59}\.\.\.$"):
        read_split(path)


def test_contours_around_nothing(tmp_path: Path, studies: tuple[PhantomStudy, PhantomStudy]) -> None:
    write_sunnybrook(tmp_path / "scd", studies[:1])
    for path in (tmp_path / "scd").rglob("*icontour*"):
        path.write_text("5 5\n9 9\n7 7\n")
    with pytest.raises(InputError, match="around nothing"):
        find_dataset(tmp_path / "scd").cases[0].load()


def test_a_frame_on_the_line_below_its_name(tmp_path: Path, studies: tuple[PhantomStudy, PhantomStudy]) -> None:
    write_acdc(tmp_path / "acdc", studies[:1])
    info = next((tmp_path / "acdc").rglob("Info.cfg"))
    info.write_text(info.read_text().replace("ED: 1", "ED:\n1"))
    with pytest.raises(InputError, match="expected a line 'ED: NUMBER', got ''"):
        find_dataset(tmp_path / "acdc").cases[0].load()
