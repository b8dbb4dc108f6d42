"""Parting a data set by patient, so that nobody is in two parts.

Within each group of patients (a diagnosis) every part has its share, to within one patient, and so it is over all
groups. Who goes where is decided by a hash of seed and patient: neither the order of the cases nor the machine
matters. Further patients move few of the others to a neighbouring part; to move none, give the split that was made
before.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from cardiac_motion.datasets.case import Case
from cardiac_motion.errors import InputError

FRACTIONS: Mapping[str, float] = MappingProxyType({"train": 0.7, "validation": 0.15, "test": 0.15})
"""Shares of the parts unless others are asked for."""

TEST = "test"
"""The part that an evaluation takes unless another one is asked for."""


@dataclass(frozen=True, eq=False)
class Split:
    """Patients of each part.

    Attributes:
        parts: patients by the name of the part, in order; of folds the names are "0", "1" ...
        seed: that it was made with.
        is_folds: each part is held out once, while the others together are for training.

    Raises:
        InputError: a patient in two parts, or folds with other names.
    """

    parts: Mapping[str, tuple[str, ...]]
    seed: int
    is_folds: bool = False

    def __post_init__(self) -> None:
        counts = Counter(patient for patients in self.parts.values() for patient in patients)
        twice = sorted(patient for patient, count in counts.items() if count > 1)
        if twice:
            raise InputError(f"expected every patient in one part of a split, got twice {', '.join(twice)}")
        if self.is_folds and list(self.parts) != [str(k) for k in range(len(self.parts))]:
            raise InputError(f"expected folds 0, 1 and so on, got {', '.join(self.parts)}")
        parts = {name: tuple(sorted(patients)) for name, patients in self.parts.items()}
        object.__setattr__(self, "parts", MappingProxyType(parts))

    def part(self, name: str, cases: Iterable[Case]) -> tuple[Case, ...]:
        """Those of the cases whose patients are in a part, in their order.

        Raises:
            InputError: no such part, or a patient of it has no case.
        """
        if name not in self.parts:
            raise InputError(f"expected a part of the split ({', '.join(self.parts)}), got {name!r}")
        return _of(self.parts[name], cases, f"the part {name}")

    def fold(self, number: int, cases: Iterable[Case]) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
        """Cases for training, and those held out, of a fold.

        Raises:
            InputError: no folds, no such fold, or a patient who has no case.
        """
        if not self.is_folds or str(number) not in self.parts:
            has = f"folds 0 to {len(self.parts) - 1}" if self.is_folds else f"no folds but {', '.join(self.parts)}"
            raise InputError(f"expected a fold of the split, got {number}; it has {has}")
        cases = tuple(cases)
        held_out = self.part(str(number), cases)
        others = [patient for name, patients in self.parts.items() if name != str(number) for patient in patients]
        return _of(others, cases, f"the folds other than {number}"), held_out


def _of(patients: Iterable[str], cases: Iterable[Case], what: str) -> tuple[Case, ...]:
    wanted = set(patients)
    found = tuple(case for case in cases if case.patient in wanted)
    missing = sorted(wanted - {case.patient for case in found})
    if missing:
        raise InputError(f"expected cases of all patients of {what}, got none of {', '.join(missing)}")
    return found


def split(
    cases: Iterable[Case],
    *,
    seed: int = 0,
    fractions: Mapping[str, float] = FRACTIONS,
    earlier: Split | None = None,
) -> Split:
    """Part cases by patient.

    Args:
        cases: of a data set; cases of one patient go together.
        seed: another one gives another split.
        fractions: share of each part by its name; they sum to 1.
        earlier: a split whose patients stay where they are; the others are dealt out beside them.

    Raises:
        InputError: no case, fractions that do not sum to 1, or an earlier split with other parts.
    """
    if not fractions or min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise InputError(f"expected positive fractions that sum to 1, got {dict(fractions)}")
    return _parted(cases, seed, fractions, earlier, is_folds=False)


def folds(cases: Iterable[Case], k: int = 5, *, seed: int = 0, earlier: Split | None = None) -> Split:
    """Part cases by patient into k folds of nearly one size; see `split`.

    Raises:
        InputError: fewer than 2 folds, fewer patients than folds, or an earlier split with other folds.
    """
    cases = tuple(cases)
    patients = {case.patient for case in cases}
    if not 2 <= k <= len(patients):
        raise InputError(f"expected 2 to {len(patients)} folds, one patient in each at least, got {k}")
    return _parted(cases, seed, {str(number): 1 / k for number in range(k)}, earlier, is_folds=True)


def _parted(
    cases: Iterable[Case], seed: int, shares: Mapping[str, float], earlier: Split | None, *, is_folds: bool
) -> Split:
    groups = _groups(cases)
    if not groups:
        raise InputError("expected at least one case to split, got none")
    if earlier is not None and (set(earlier.parts) != set(shares) or earlier.is_folds != is_folds):
        raise InputError(f"expected an earlier split into {', '.join(shares)}, got {', '.join(earlier.parts)}")
    kept = {patient: name for name, patients in (earlier.parts if earlier else {}).items() for patient in patients}
    parts: dict[str, list[str]] = {name: [] for name in shares}
    for patient, name in kept.items():
        parts[name].append(patient)
    for patients in groups.values():
        order = sorted((p for p in patients if p not in kept), key=lambda patient: _hash(seed, patient))
        here = Counter(kept[patient] for patient in patients if patient in kept)
        seats = _seats(len(order), shares, here, {name: len(each) for name, each in parts.items()})
        for name, count in seats.items():
            parts[name] += order[:count]
            order = order[count:]
    return Split({name: tuple(each) for name, each in parts.items()}, seed, is_folds)


def _groups(cases: Iterable[Case]) -> dict[str, set[str]]:
    """Patients of each group, groups by name; who has several goes to the first of them."""
    of_patient: defaultdict[str, set[str]] = defaultdict(set)
    for case in cases:
        of_patient[case.patient].add(case.group or "")
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for patient, names in of_patient.items():
        groups[min(names)].add(patient)
    return dict(sorted(groups.items()))


def _seats(
    count: int, shares: Mapping[str, float], here: Mapping[str, int], taken: Mapping[str, int]
) -> dict[str, int]:
    """How many of a group's patients each part takes.

    Every part gets its share of the group rounded down; those left go one by one to where most is missing over all
    groups. ``here`` counts patients of this group that a part has already, ``taken`` those of all groups.
    """
    whole = count + sum(here.values())
    seats = {name: max(0, int(whole * share + 1e-9) - here.get(name, 0)) for name, share in shares.items()}
    while sum(seats.values()) > count:
        largest = max(seats, key=lambda name: seats[name])
        seats[largest] -= 1
    total = sum(taken.values()) + count
    extra = dict.fromkeys(shares, 0)
    for _ in range(count - sum(seats.values())):
        missing = {
            name: (extra[name] > 0, taken[name] + seats[name] + extra[name] - total * share)
            for name, share in shares.items()
        }
        extra[min(missing, key=missing.__getitem__)] += 1
    return {name: seats[name] + extra[name] for name in shares}


def _hash(seed: int, patient: str) -> str:
    return hashlib.sha256(f"{seed}:{patient}".encode()).hexdigest()


def held_out(
    parted: Split, cases: Sequence[Case], *, fold: int | None, part: str | None
) -> tuple[tuple[Case, ...], str]:
    """The cases to evaluate on: the held-out ones of a fold, or those of a part, the test part by default.

    Returns:
        The cases, and a few words that say which they are.

    Raises:
        InputError: a fold of a split that has none, no fold of one that has, or no such fold or part.
    """
    names = ", ".join(parted.parts)
    if not parted.is_folds:
        if fold is not None:
            raise InputError(f"expected a part of the split ({names}), which has no folds, got fold {fold}")
        return parted.part(part or TEST, cases), f"part {part or TEST}"
    if fold is None or part is not None:
        got = "none" if part is None else f"the part {part}"
        raise InputError(f"expected a fold of the split ({names}), got {got}")
    return parted.fold(fold, cases)[1], f"fold {fold} of {len(parted.parts)}"
