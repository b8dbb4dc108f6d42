"""Mutated files: a result that other readers confirm, or one refusal; and a fuzzer that finds what is neither."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import fuzz_readers
from benchmarks.fuzz.outcome import Job, Kind, Outcome
from benchmarks.fuzz.pool import run
from benchmarks.fuzz.report import KeptTarget, faults, keep, table
from benchmarks.fuzz.targets import TARGETS
from tests.benchmarks.lying_readers import FILE, LyingTarget

COUNT = 560


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Of mutants of every kind of files."""
    names = list(TARGETS)
    jobs = fuzz_readers.jobs_of(names, COUNT, seed=20)
    return list(run(jobs, fuzz_readers.make_work(names), processes=2))


def test_every_outcome_is_a_result_or_a_refusal(outcomes: list[Outcome]) -> None:
    assert len(outcomes) == COUNT
    assert [f"{each.job} {each.kind} {each.what}: {each.text}" for each in faults(outcomes)] == []


def test_there_are_both_of_every_kind_of_files(outcomes: list[Outcome]) -> None:
    found = {(each.job.target, each.kind) for each in outcomes}
    assert found == {(name, kind) for name in TARGETS for kind in (Kind.RESULT, Kind.REFUSAL)}


def test_results_are_compared_with_those_of_other_readers(outcomes: list[Outcome]) -> None:
    results = [each for each in outcomes if each.kind is Kind.RESULT]
    assert sum(each.checked for each in results) > 0.95 * len(results)


def lied(*words: str) -> Outcome:
    """The outcome of one mutant."""
    work = {"lying": (target := LyingTarget(words), target.samples())}
    (outcome,) = run([Job("lying", 1, 0)], work, processes=1, cpu_seconds=1.0, still_seconds=3.0)
    return outcome


@pytest.mark.parametrize(
    ("word", "kind", "text"),
    [
        ("right", Kind.RESULT, ""),
        ("refusal", Kind.REFUSAL, "expected something else"),
        ("crash", Kind.CRASH, "ended with -11"),
        ("hang", Kind.HANG, "more than 1 s of CPU"),
        ("wait", Kind.HANG, "still for 3 s"),
        ("memory", Kind.FOREIGN, "MemoryError"),
        ("foreign", Kind.FOREIGN, "KeyError: 'foreign'"),
        ("warning", Kind.NOISE, "RuntimeWarning: of something"),
        ("chatter", Kind.NOISE, "a word from C"),
        ("elsewhere", Kind.NOISE, "opened /etc/hosts"),
        ("long refusal", Kind.NOISE, "an InputError of 5000 characters"),
        ("wrong", Kind.WRONG, "it is wrong"),
        ("known", Kind.WRONG, "known"),
        ("nobody knows", Kind.RESULT, "not compared: nobody"),
        ("judge crashes", Kind.RESULT, "not compared: the other reader ended with -9"),
    ],
)
def test_the_fuzzer_finds(word: str, kind: Kind, text: str) -> None:
    outcome = lied(word)
    assert (outcome.kind, outcome.what) == (kind, word)
    assert text in outcome.text
    assert outcome.checked == (word == "right")


def test_others_are_read_after_a_crash() -> None:
    work = {"lying": (target := LyingTarget(("crash", "right", "hang")), target.samples())}
    found = Counter(
        each.kind for each in run(fuzz_readers.jobs_of(["lying"], 8, 1), work, processes=2, cpu_seconds=1)
    )
    assert sum(found.values()) == 8
    assert set(found) == {Kind.CRASH, Kind.RESULT, Kind.HANG}


def test_a_sample_that_is_refused_is_no_start() -> None:
    work = {"lying": (target := LyingTarget(("right",), broken_sample=True), target.samples())}
    with pytest.raises(RuntimeError, match="made no mutant"):
        list(run([Job("lying", 1, 0)], work, processes=1))


def test_a_fault_is_kept_and_read_again(tmp_path: Path) -> None:
    outcome = lied("wrong")
    place = keep(outcome, {FILE: b"wrong"}, tmp_path)
    assert json.loads((place / "outcome.json").read_text())["job"] == "lying:1:0"
    kept = KeptTarget(LyingTarget(("right",)), place)
    (again,) = run([outcome.job], {"lying": (kept, [])}, processes=1)
    assert (again.kind, again.text) == (Kind.WRONG, "it is wrong")


def test_the_same_mutant_every_time() -> None:
    target = TARGETS["nifti"]
    samples = target.samples()
    made = [target.mutate(samples, Job("nifti", 3, number).luck()).files for number in range(20) for _ in range(2)]
    assert made[::2] == made[1::2]
    assert len({str(each) for each in made}) > 15


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    markdown = tmp_path / "table.md"
    arguments = ["--format", "nrrd", "--count", "30", "--processes", "1", "--markdown", str(markdown)]
    assert fuzz_readers.main([*arguments, "--keep", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == markdown.read_text().strip()
    name, count, results, compared, refusals, *rest = (
        cell.strip() for cell in printed.splitlines()[2].split("|")[1:-1]
    )
    assert (name, count) == ("nrrd", "30")
    assert int(results) + int(refusals) == 30
    assert results == compared
    assert rest[:5] == ["0"] * 5


def test_the_table_counts_faults() -> None:
    text = table(
        [Outcome(Job("a", 1, 0), Kind.CRASH), Outcome(Job("a", 1, 1), Kind.RESULT, seconds=0.5, checked=True)]
    )
    assert "| a | 2 | 1 | 1 | 0 | 1 | 0 | 0 | 0 | 0 | 0.50 | 0 |" in text
