"""Ids and tags name files of the studies folder and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cardiac_motion.io import LabelImage
from hypothesis import assume, given
from hypothesis import strategies as st

from monailabel_app.lib.datastore import ENDINGS, LocalDatastore, check_ending, check_id, check_tag, split_name
from monailabel_app.lib.errors import RequestError

GOOD_IDS = [
    "a",
    "0",
    "patient-01",
    "P.1_x",
    "a..b",
    "a" * 128,
    "labels",
    "nii",
    "a.nii.x",
    "x.gzip",
    "CONTROL-1",
    "x.con",
    "com",
    "COM10",
]
TRICKS = [
    "",
    ".",
    "..",
    "../a",
    "..\\a",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "a\0b",
    "a\n",
    "\na",
    " a",
    "a ",
    "-a",
    "_a",
    ".hidden",
    ".cardiac_motion",
    "a" * 129,
    "C:a",
    "a:b",
    "~",
    "$HOME",
    "%2e%2e%2fa",
    "äa",
    "a\N{FULLWIDTH SOLIDUS}b",
    "\N{ARABIC-INDIC DIGIT ONE}",
    "a.nii",
    "a.nii.gz",
    "a.NII.GZ",
    "a.nrrd",
    "a.seq.nrrd",
    "a.seq",
    "a.gz",
    "a.",
    "a..",
    "CON",
    "con.x",
    "NUL.2024.01",
    "Aux",
    "prn.",
    "COM1",
    "lpt9.a",
]


@pytest.mark.parametrize("value", GOOD_IDS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_good_ids_are_what_their_files_say(value: str, ending: str) -> None:
    assert check_id(value) == value
    assert split_name(value + ending) == (value, ending)
    assert split_name(value + ending.upper()) == (value, ending.upper())


@pytest.mark.parametrize("value", [*TRICKS, None, 7, b"a", ["a"]])
def test_tricks_are_refused(value: object) -> None:
    with pytest.raises(RequestError) as caught:
        check_id(value, field="label")
    assert (caught.value.status, caught.value.code, caught.value.field) == (400, "bad_id", "label")


alphabet = st.sampled_from([*"aZ0._-/\\ \n\0:~äﬁ\u2215", ".nii", ".nii.gz", ".nrrd", ".seq", "..", "../"])
near_misses = st.lists(alphabet, max_size=12).map("".join) | st.text(max_size=140)


@given(near_misses)
def test_every_id_is_either_refused_or_safe(value: str) -> None:
    if split_name(f"{value}.nii.gz") is None:
        with pytest.raises(RequestError) as caught:
            check_id(value)
        assert caught.value.code == "bad_id"
        return
    assert check_id(value) == value
    assert 1 <= len(value) <= 128
    assert value.isascii()
    assert all(char.isalnum() or char in "._-" for char in value)
    assert value[0].isalnum()
    for ending in ENDINGS:
        path = Path("/studies") / f"{value}{ending}"
        assert path.parent == Path("/studies")
        assert split_name(path.name) == (value, ending)


@given(near_misses)
def test_every_tag_but_two_is_refused(value: str) -> None:
    assume(value not in {"final", "original"})
    with pytest.raises(RequestError) as caught:
        check_tag(value)
    assert caught.value.code == "bad_tag"


@pytest.mark.parametrize("value", ["FINAL", "final ", "final\n", "../final", "final/../../x", None, ("final",)])
def test_tags(value: object) -> None:
    with pytest.raises(RequestError, match="final or original"):
        check_tag(value)
    assert check_tag("final") == "final"
    assert check_tag("original") == "original"


@pytest.mark.parametrize("name", ["a.dcm", "a", "a.nii.zip", "a.mha", "", ".gz", "a.nhdr", "a.nii.gz/.."])
def test_endings(name: str) -> None:
    with pytest.raises(RequestError, match=re.escape(".nii.gz, .nii, .seq.nrrd or .nrrd")):
        check_ending(name)
    assert check_ending("x.SEQ.nrrd") == ".seq.nrrd"


def test_no_call_follows_a_trick(
    store: LocalDatastore, files: Path, make_label: Callable[..., LabelImage], case_a: str
) -> None:
    """Whatever takes an id or tag from outside refuses it, or knows nothing of it; nothing is written anywhere."""
    outside = store.data_folder.parent.parent
    before = sorted(outside.rglob("*"))
    for value in TRICKS:
        check_that_nobody_follows(value, store, case_a, files / "a.nii.gz", make_label(5))
    assert sorted(outside.rglob("*")) == before


def check_that_nobody_follows(
    value: str, store: LocalDatastore, case_a: str, image: Path, label: LabelImage
) -> None:
    for call in (
        lambda: store.add_image_file(value, image),
        lambda: store.add_image(value, str(image), {}),
        lambda: store.case(value),
        lambda: store.find_image(value),
        lambda: store.save_label_version(value, "final", label, {}),
        lambda: store.save_label_version(case_a, value, label, {}),
        lambda: store.save_label(value, str(image), "final", {}),
        lambda: store.save_label(case_a, str(image), value, {}),
        lambda: store.label_versions(value),
        lambda: store.label_versions(case_a, value),
        lambda: store.label_version(value, "final"),
        lambda: store.label_version(case_a, value),
        lambda: store.update_image_info(value, {"a": 1}),
    ):
        with pytest.raises(RequestError) as caught:
            call()
        assert caught.value.status == 400
    assert store.get_image_uri(value) == ""
    assert store.get_label_uri(value, "final") == ""
    assert store.get_label_uri(case_a, value) == ""
    assert store.get_image(value) is None
    assert store.get_label(value, value) is None
    assert store.get_image_info(value) == {}
    assert store.get_label_info(value, "final") == {}
    assert store.get_labels_by_image_id(value) == {}
    assert store.get_label_by_image_id(case_a, value) == ""
