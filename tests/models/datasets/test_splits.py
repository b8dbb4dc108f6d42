from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from cardiac_motion.datasets import FRACTIONS, Case, CaseData, Split, folds, read_split, split, write_split
from cardiac_motion.datasets.splits import held_out
from cardiac_motion.errors import InputError
from hypothesis import given, settings
from hypothesis import strategies as st


def nothing() -> CaseData:
    raise AssertionError("a split reads no image")


def cases_of(
    patients: int, groups: tuple[str | None, ...] = (None,), views: tuple[str, ...] = ("sax",)
) -> list[Case]:
    return [
        Case(f"p{n:03d}_{view}", f"p{n:03d}", True, nothing, view=view, group=groups[n % len(groups)])
        for n in range(patients)
        for view in views
    ]


GROUPS = st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=5, max_size=60)


@settings(max_examples=60, deadline=None)
@given(groups=GROUPS, k=st.integers(2, 5), seed=st.integers(0, 5))
def test_folds_hold_everybody_once_and_alike(groups: list[str | None], k: int, seed: int) -> None:
    cases = [
        Case(f"{n}_{view}", str(n), True, nothing, group=group)
        for n, group in enumerate(groups)
        for view in ("sax", "4ch")
    ]
    made = folds(cases, k, seed=seed)
    sizes = [len(patients) for patients in made.parts.values()]
    assert sorted(patient for patients in made.parts.values() for patient in patients) == sorted(
        map(str, range(len(groups)))
    )
    assert max(sizes) - min(sizes) <= 1
    for group in set(groups):
        inside = [sum(groups[int(p)] == group for p in patients) for patients in made.parts.values()]
        assert max(inside) - min(inside) <= 1
    seen: Counter[str] = Counter()
    for number in range(k):
        training, test = made.fold(number, cases)
        assert not {case.patient for case in training} & {case.patient for case in test}
        assert len(training) + len(test) == len(cases), "both views of a patient go together"
        seen.update(case.id for case in test)
    assert set(seen.values()) == {1}


def test_parts_have_their_shares_in_every_group() -> None:
    cases = cases_of(100, ("NOR", "DCM", "HCM", "MINF", "RV"))
    made = split(cases)
    assert {name: len(patients) for name, patients in made.parts.items()} == {
        "train": 70,
        "validation": 15,
        "test": 15,
    }
    for group in ("NOR", "RV"):
        of = {case.patient for case in cases if case.group == group}
        counts = {name: len(of & set(patients)) for name, patients in made.parts.items()}
        assert counts["train"] == 14
        assert counts["validation"] == counts["test"] == 3
    assert set(FRACTIONS) == set(made.parts)


def test_neither_order_nor_machine_matters_but_the_seed() -> None:
    cases = cases_of(30, ("a", "b"))
    assert folds(cases).parts == folds(cases[::-1]).parts
    assert folds(cases).parts != folds(cases, seed=1).parts
    # Fixed once for all: a change here would move patients of splits that were made before.
    assert folds(cases_of(6), 3).parts == EXPECTED


EXPECTED = {"0": ("p001", "p004"), "1": ("p000", "p005"), "2": ("p002", "p003")}


def test_few_move_when_patients_are_added_and_none_from_an_earlier_split() -> None:
    before = folds(cases_of(100, ("a", "b")))
    more = cases_of(104, ("a", "b"))
    where = {patient: name for name, patients in before.parts.items() for patient in patients}
    after = folds(more)
    moved = sum(patient in where and where[patient] != name for name, ps in after.parts.items() for patient in ps)
    assert moved <= 10
    kept = folds(more, earlier=before)
    for name, patients in before.parts.items():
        assert set(patients) <= set(kept.parts[name])
    sizes = [len(patients) for patients in kept.parts.values()]
    assert (sum(sizes), max(sizes) - min(sizes)) == (104, 1)
    with pytest.raises(InputError, match="expected an earlier split into 0, 1, 2, got 0, 1, 2, 3, 4"):
        folds(more, 3, earlier=before)


def test_what_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected 2 to 4 folds, one patient in each at least, got 5"):
        folds(cases_of(4))
    with pytest.raises(InputError, match="at least one case"):
        split([])
    with pytest.raises(InputError, match="fractions that sum to 1"):
        split(cases_of(4), fractions={"train": 0.5, "test": 0.4})


def test_a_split_is_written_and_read_back(tmp_path: Path) -> None:
    for made in (folds(cases_of(11, ("a", "b"))), split(cases_of(9), seed=3)):
        write_split(tmp_path / "split.json", made)
        again = read_split(tmp_path / "split.json")
        assert (again.parts, again.seed, again.is_folds) == (made.parts, made.seed, made.is_folds)
    assert [path.name for path in tmp_path.iterdir()] == ["split.json"]


def test_a_file_with_a_patient_in_two_parts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    write_split(path, folds(cases_of(10)))
    content = json.loads(path.read_text())
    content["parts"]["1"].append(content["parts"]["0"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(
        InputError, match=r"split.json: expected every patient in one part of a split, got twice p0"
    ):
        read_split(path)
    for text, message in [
        ("{", "as JSON"),
        ("[]", "with format"),
        (json.dumps({**content, "version": 2}), "version 1 of a split, got 2"),
        (json.dumps({**content, "parts": {"0": "p001"}}), "list of patients as the part 0"),
        (json.dumps({**content, "parts": {"a": ["p001"]}}), "expected folds 0, 1 and so on, got a"),
    ]:
        path.write_text(text)
        with pytest.raises(InputError, match=f"split.json: .*{message}"):
            read_split(path)


def test_what_is_held_out() -> None:
    cases = cases_of(10)
    made, parts = folds(cases), split(cases)
    held, words = held_out(made, cases, fold=2, part=None)
    assert ({case.patient for case in held}, words) == (set(made.parts["2"]), "fold 2 of 5")
    held, words = held_out(parts, cases, fold=None, part=None)
    assert ({case.patient for case in held}, words) == (set(parts.parts["test"]), "part test")
    for asked, message in [
        ((made, None, None), "expected a fold of the split"),
        ((made, 5, None), "expected a fold of the split, got 5; it has folds 0 to 4"),
        ((parts, 0, None), "which has no folds, got fold 0"),
        ((parts, None, "other"), "expected a part of the split .*, got 'other'"),
    ]:
        with pytest.raises(InputError, match=message):
            held_out(asked[0], cases, fold=asked[1], part=asked[2])
    with pytest.raises(InputError, match="expected cases of all patients of the part test, got none of"):
        held_out(parts, cases_of(1), fold=None, part=None)


def test_leakage_cannot_be_made() -> None:
    with pytest.raises(InputError, match="got twice a"):
        Split({"train": ("a", "b"), "test": ("a",)}, seed=0)
