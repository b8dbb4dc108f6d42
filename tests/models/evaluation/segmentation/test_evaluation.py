from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.errors import Cancelled, InputError
from cardiac_motion.evaluation.segmentation import evaluate_segmentation, read_report
from cardiac_motion.evaluation.selection import Selection
from cardiac_motion.io import write_cine, write_labels
from cardiac_motion.labels import Label
from PIL import Image


def row(text: str, *cells: str) -> list[str]:
    """The cells of the first row of a table that begins with these."""
    begins = "| " + " | ".join(cells) + " |"
    line = next(line for line in text.splitlines() if line.startswith(begins))
    return [cell.strip() for cell in line.strip("|").split("|")]


def section(text: str, heading: str) -> str:
    return text.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]


def test_figures_are_those_of_blocks_shifted_by_a_column(write_blocks: Any, reader: Any, tmp_path: Path) -> None:
    folder = write_blocks({"a": (8, 6, 4), "b": (10, 6, 5)}, unlabelled={"a": [1]})
    models = {"true": reader(), "shifted": reader(shift=1)}
    report = evaluate_segmentation(folder, models=models, output=tmp_path / "e")
    assert models["true"].asked == [(0, 2), (0, 1, 2)], "labelled frames alone"
    # A block of w columns moved by one keeps w - 1 of them.
    a, b = report.cases
    assert (a.ed, a.es, b.ed, b.es) == (0, 2, 0, 2)
    assert a.value("shifted", Label.LV, "dice_stack", "ED") == pytest.approx(7 / 8)
    assert a.value("shifted", Label.LV, "dice_stack", "all") == pytest.approx((7 / 8 + 3 / 4) / 2)
    assert b.mean("shifted", "dice_stack", "all") == pytest.approx(((9 / 10 + 5 / 6 + 4 / 5) / 3 + 3 / 4) / 2)
    assert a.mean("shifted", "hausdorff_stack", "all") == pytest.approx(1.0)
    assert a.mean("true", "assd_held", "all") == 0.0
    text = (tmp_path / "e" / "summary.md").read_text()
    stack = section(text, "## Whole stack\n\n### Dice")
    assert row(stack, "method") == ["method", "frames", "LV (n = 2)", "RV (n = 2)", "mean (n = 2)"]
    ed = np.array([7 / 8, 9 / 10])
    assert row(stack, "shifted", "ED")[2:4] == [f"{ed.mean():.3f} ± {ed.std(ddof=1):.3f}", "0.750 ± 0.000"]
    assert row(section(text, "## Volumes and function"), "shifted", "LV EF, %")[2:6] == [
        "2",
        "50.0 ± 0.0",
        "50.0 ± 0.0",
        "0.0 ± 0.0",
    ]
    assert "RV EDV, ml" in text
    assert "MYO not scored: not in the truth: a, b" in text
    tested = row(section(text, "## Differences between methods"), "Dice, whole stack", "shifted against true")
    assert tested[2:4] == [
        "2",
        f"{np.mean([c.mean('shifted', 'dice_stack', 'all') for c in report.cases]) - 1:+.4f}",
    ]
    assert "nan" not in text
    with (tmp_path / "e" / "structures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == (2 + 3) * 2 * 2
    assert {r["empty"] for r in rows} == {""}


def test_what_is_missed_counts_and_has_no_distance(write_blocks: Any, reader: Any, tmp_path: Path) -> None:
    folder = write_blocks({"a": (8, 4), "b": (8, 4)})
    report = evaluate_segmentation(folder, models={"blind": reader(misses=(1,))}, output=tmp_path / "e")
    case = report.cases[0]
    assert case.value("blind", Label.LV, "dice_stack", "all") == 0.5
    assert math.isnan(case.value("blind", Label.LV, "hausdorff_stack", "ES"))
    text = (tmp_path / "e" / "summary.md").read_text()
    assert row(section(text, "## Slices and frames missed"), "blind", "LV")[2:] == [
        "8", "4 (50.0 %)", "0", "4", "2", "0", "0",
    ]  # fmt: skip
    distances = section(text, "## Whole stack\n\n### Dice").split("### Hausdorff")[0]
    assert row(distances, "blind", "ES")[2] == "0.000 ± 0.000"
    hausdorff = text.split("### Hausdorff distance, mm")[1]
    assert row(hausdorff, "blind", "ES")[2:] == ["-", "0.00 ± 0.00", "0.00 ± 0.00"]
    # The ventricle that was not found has ejected everything.
    assert row(section(text, "## Volumes and function"), "blind", "LV EF, %")[4:6] == ["100.0 ± 0.0", "50.0 ± 0.0"]


def test_cases_of_one_patient_count_once(write_blocks: Any, reader: Any, tmp_path: Path) -> None:
    folder = write_blocks({"p1_sax": (8, 4), "p1_sax_2": (4, 4), "p2_sax": (6, 6)})
    report = evaluate_segmentation(folder, models={"shifted": reader(shift=1)}, output=tmp_path / "e")
    assert [case.patient for case in report.cases] == ["p1", "p1", "p2"]
    ed = np.array([(7 / 8 + 3 / 4) / 2, 5 / 6])
    text = report.markdown()
    assert row(text, "shifted", "ED")[2] == f"{ed.mean():.3f} ± {ed.std(ddof=1):.3f}"
    assert "LV (n = 2)" in text


def test_a_frame_that_a_model_was_given_is_scored_for_none(
    write_blocks: Any, reader: Any, given: Any, tmp_path: Path
) -> None:
    folder = write_blocks({"a": (8, 6, 4), "single": (8, 4)}, unlabelled={"single": [1]})
    models = {"shifted": reader(shift=1), "given": given()}
    report = evaluate_segmentation(folder, models=models, output=tmp_path / "e")
    (case,) = report.cases
    assert [(each.case, each.reason) for each in report.left_out] == [
        ("a", "MYO not scored: not in the truth"),
        ("single", "given is given its only labelled frame"),
    ]
    assert case.value("shifted", Label.LV, "dice_stack", "ED") == pytest.approx(7 / 8)
    assert math.isnan(case.value("given", Label.LV, "dice_stack", "ED"))
    assert case.value("shifted", Label.LV, "dice_stack", "all") == pytest.approx((5 / 6 + 3 / 4) / 2)
    assert case.value("given", Label.LV, "dice_stack", "all") == pytest.approx((12 / 14 + 8 / 12) / 2)
    assert set(case.methods["given"].volumes) == {"LV ESV", "LV EF", "RV ESV", "RV EF"}
    text = report.markdown()
    assert "given: starts from the true labels of ED" in text
    assert "given" not in text.split("## As in the papers")[1].split("## Differences")[0]
    assert read_report(tmp_path / "e").to_json() == report.to_json()


def test_views_and_structures_that_a_model_does_not_know_are_left_out_and_named(
    write_blocks: Any, reader: Any, tmp_path: Path
) -> None:
    folder = write_blocks({"a": (8, 4)})
    labels = np.zeros((2, 1, 20, 30), np.uint8)
    labels[:, :, 5:11, 4:12] = Label.LA
    cine = Cine(labels * 50.0, np.eye(4), np.array([0, 0.1]))
    write_cine(folder / "a_2ch.nii.gz", cine)
    write_labels(folder / "a_2ch_labels.nii.gz", labels, cine)
    models = {"true": reader(), "poor": reader(structures=(Label.LV,))}
    report = evaluate_segmentation(folder, models=models, output=tmp_path / "e")
    assert [case.name for case in report.cases] == ["a"]
    assert report.cases[0].structures == (Label.LV,)
    assert {(each.case, each.reason) for each in report.left_out} == {
        ("a_2ch", "a cine of lax; true is made for sax"),
        ("a", "MYO not scored: not in the truth"),
        ("a", "RV not scored: poor does not tell them apart"),
    }
    with pytest.raises(
        InputError, match="a case that can be evaluated, got none; the first: a: a cine of sax; lax"
    ):
        evaluate_segmentation(folder, models={"lax": reader(views=("2ch",))}, output=tmp_path / "f")
    assert not (tmp_path / "f").exists()


def test_the_papers_tables_have_our_models_in_their_rows(write_blocks: Any, reader: Any, tmp_path: Path) -> None:
    folder = write_blocks({"a": (8, 4), "b": (10, 5)})
    models = {"full": reader(name="deunet"), "other": reader(shift=2), "no TDAM": reader(shift=1, name="deunet_t")}
    text = evaluate_segmentation(folder, models=models, output=tmp_path / "e").markdown()
    papers = text.split("## As in the papers")[1].split("## Differences")[0]
    table = section(papers, "### DeU-Net (Dong et al. 2020), table 1").split("| Dice |")[1]
    assert table.splitlines()[0] == " LV ED | LV ES | MYO ED | MYO ES | RV ED | RV ES | average |"
    lines = [line.split(" | ")[0].strip("| ") for line in table.splitlines()[2:5]]
    assert lines == ["DeU-Net(t) (`no TDAM`)", "DeU-Net (`full`)", "other"]
    means = [(7 / 8 + 3 / 4) / 4 + 3 / 8, (9 / 10 + 4 / 5) / 4 + 3 / 8]
    assert row(papers.split("| Dice |")[1], "DeU-Net(t) (`no TDAM`)")[1:] == [
        f"{np.mean([7 / 8, 9 / 10]):.3f} ± {np.std([7 / 8, 9 / 10], ddof=1):.3f}",
        f"{np.mean([3 / 4, 4 / 5]):.3f} ± {np.std([3 / 4, 4 / 5], ddof=1):.3f}",
        "-",
        "-",
        "0.750 ± 0.000",
        "0.750 ± 0.000",
        f"{np.mean(means):.3f} ± {np.std(means, ddof=1):.3f}",
    ]
    assert "Of its other rows not evaluated here: U-Net, ToFlow U-Net, DeU-Net(d)." in papers
    assert "Not reproduced: kU-Net, GridNet, Attention U-Net." in papers
    qin = papers.split("Qin et al.")[1]
    lv = [(7 / 8 + 3 / 4) / 2, (9 / 10 + 4 / 5) / 2]
    assert row(qin, "DeU-Net(t) (`no TDAM`)")[1] == f"{np.mean(lv):.4f} ({np.std(lv, ddof=1):.4f})"


def test_figures_show_the_hearts(write_blocks: Any, reader: Any, tmp_path: Path) -> None:
    folder = write_blocks({"a": (8, 4), "b": (10, 5), "c": (6, 3), "d": (6, 5)}, unlabelled={"d": [1]})
    models = {"true": reader(), "shifted by/1": reader(shift=1)}
    report = evaluate_segmentation(folder, models=models, output=tmp_path / "e", figures=True)
    assert sorted(report.figures) == sorted(
        f"figures/{path.name}" for path in (tmp_path / "e" / "figures").iterdir()
    )
    assert set(report.figures) == {
        "figures/dice.png",
        "figures/hausdorff.png",
        "figures/contours_true.png",
        "figures/contours_shifted-by-1.png",
    }
    for name in report.figures:
        with Image.open(tmp_path / "e" / name) as image:
            assert np.asarray(image.convert("L")).std() > 10, f"{name} shows nothing"
    evaluate_segmentation(folder, models=models, output=tmp_path / "e")
    assert not (tmp_path / "e" / "figures").exists(), "figures of the report that was replaced"


def test_nothing_is_written_if_it_is_stopped_or_wrong(write_blocks: Any, reader: Any, tmp_path: Path) -> None:
    folder = write_blocks({"a": (8, 4), "b": (10, 5)})

    def stop(fraction: float, _message: str) -> None:
        if fraction > 0.6:
            raise Cancelled

    with pytest.raises(Cancelled):
        evaluate_segmentation(folder, models={"true": reader()}, output=tmp_path / "e", progress=stop)
    with pytest.raises(InputError, match="expected at least one segmentation model, got none"):
        evaluate_segmentation(folder, models={}, output=tmp_path / "e")
    (folder / "b_labels.nii.gz").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"case b: .*b_labels"):
        evaluate_segmentation(folder, models={"true": reader()}, output=tmp_path / "e")
    assert not (tmp_path / "e").exists()
    report = evaluate_segmentation(
        folder, models={"true": reader()}, output=tmp_path / "e", selection=Selection(keep_going=True)
    )
    assert ([case.name for case in report.cases], [each.id for each in report.skipped]) == (["a"], ["b"])
    written = json.loads((tmp_path / "e" / "report.json").read_text())
    assert written == report.to_json()
