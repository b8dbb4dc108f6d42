"""The DICOM importer on a real folder, on the same folder as it comes elsewhere, and with one thing broken.

    python -m benchmarks.dicom_import [--variants 20] [--repeats 3] [--seed 0] [--phantom] [--markdown FILE]

1. The folder ``cine_dicom`` of the real data: its short-axis stack must equal ``cine_sax.nii.gz`` voxel for voxel,
   up to the order and direction of the axes, with an affine within 0.01 mm; beside it two 4-chamber, two 2-chamber
   and one cine of the outflow tract of the right ventricle, nothing else.
2. The same files shuffled, renamed and nested, with other series and other files between them: the same result.
3. The same files with one thing broken: one error that says so and names file or slice; if the importer is to keep
   going, the other cines as before, and what was left.

Without the real data, or with ``--phantom``, 2 and 3 run on a phantom that was written as DICOM.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.dicom.cine_series import CineSeries
from cardiac_motion.dicom.importer import DicomImport, import_dicom
from cardiac_motion.dicom.writer import write_dicom
from cardiac_motion.errors import InputError
from cardiac_motion.io import read_cine
from cardiac_motion.phantom import REPORT_SEEDS, PhantomOptions, make_study

from benchmarks.dicom_faults import FAULTS, Broken
from benchmarks.dicom_folders import Files, other_series, read_files, shuffled, write_files
from benchmarks.pairs import data_folder

REAL = ["2ch", "2ch_2", "4ch", "4ch_2", "rvot", "sax"]
AFFINE_MM = 0.01


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        runs: how often.
        wrong: what was not as it should be, one line each.
        detail: a figure.
    """

    name: str
    runs: int
    wrong: tuple[str, ...] = ()
    detail: str = ""


def same_grid(one: Cine, other: Cine) -> tuple[bool, float]:
    """Whether two cines are the same up to order and direction of the axes, and how far their corners differ.

    Returns:
        Equality of the voxels in the best order, and the largest distance of a corner there, mm.
    """
    best = (False, np.inf)
    z, y, x = other.shape[1:]
    corners = np.array([(*c, 1.0) for c in product((0, x - 1), (0, y - 1), (0, z - 1))]).T
    for order, flips in product(permutations((1, 2, 3)), product((1, -1), repeat=3)):
        if tuple(one.shape[axis] for axis in order) != other.shape[1:]:
            continue
        turned = one.frames.transpose(0, *order)[:, :: flips[0], :: flips[1], :: flips[2]]
        # Voxel (i, j, k) of the turned array is at this voxel of the first one.
        back = np.eye(4)
        back[:3, :3] = 0
        for new, (axis, flip) in enumerate(zip(order, flips, strict=True)):
            back[3 - axis, 2 - new] = flip
            back[3 - axis, 3] = 0 if flip == 1 else one.shape[axis] - 1
        apart = float(np.abs((one.affine @ back - other.affine) @ corners).max())
        found = (bool(np.array_equal(turned, other.frames)), apart)
        best = max(best, found, key=lambda each: (each[0], -each[1]))
    return best


def check_real(folder: Path, truth: Cine, repeats: int) -> Check:
    """The real folder: what it must give, and the seconds that it takes."""
    seconds = []
    wrong: list[str] = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = import_dicom(folder)
        seconds.append(time.perf_counter() - start)
    names = sorted(cine.name for cine in found.cines)
    if names != REAL or found.left:
        wrong.append(f"expected {REAL} and nothing left, got {names}, left {list(map(str, found.left))}")
    wrong += [
        f"{cine.name}: expected 25 frames, got {cine.cine.shape}"
        for cine in found.cines
        if cine.cine.n_frames != 25
    ]
    sax = next(cine.cine for cine in found.cines if cine.name == "sax")
    is_equal, apart = same_grid(sax, truth)
    if not is_equal or apart > AFFINE_MM:
        wrong.append(f"sax: voxels equal: {is_equal}, corners {apart:.4f} mm apart")
    files = sum(1 for path in folder.iterdir() if path.is_file())
    detail = f"{files} files in {min(seconds):.2f} s (best of {repeats}); corners within {apart:.5f} mm"
    return Check("real folder", repeats, tuple(wrong), detail)


def differences(found: DicomImport, expected: DicomImport, *, lost: frozenset[str] = frozenset()) -> list[str]:
    """What differs between two imports beside the cines that are lost, or have lost a slice and say so."""
    ours = {
        cine.name: cine for cine in found.cines if not (cine.name in lost and any("ends" in n for n in cine.notes))
    }
    wanted = {cine.name: cine for cine in expected.cines if cine.name not in lost}
    if set(ours) != set(wanted):
        return [f"expected {sorted(wanted)}, got {sorted(ours)}; left {list(map(str, found.left))}"]
    return [
        name
        for name, cine in ours.items()
        if cine.cine.content_hash != wanted[name].cine.content_hash
        or (cine.view, cine.rr_seconds, cine.series)
        != (wanted[name].view, wanted[name].rr_seconds, wanted[name].series)
    ]


def check_variants(files: Files, expected: DicomImport, variants: int, seed: int) -> Check:
    """Shuffled, renamed, nested and mixed: the same result."""
    wrong = []
    template = next(iter(files.values()))
    for number in range(variants):
        luck = random.Random(1000 * seed + number)
        mixed = shuffled({**files, **other_series(template, luck)}, luck)
        with TemporaryDirectory(prefix="dicom-") as name:
            try:
                found = import_dicom(write_files(mixed, Path(name)))
            except InputError as error:
                wrong.append(f"variant {number}: {error}")
                continue
        wrong += [f"variant {number}: {each}" for each in differences(found, expected)]
        print(f"  variant {number + 1} of {variants}: {len(mixed)} files", file=sys.stderr)
    return Check("shuffled, renamed, nested, mixed", variants, tuple(wrong))


def check_broken(name: str, broken: Broken, expected: DicomImport) -> list[str]:
    """What is wrong about how a broken folder is reported, and about what is imported nevertheless."""
    with TemporaryDirectory(prefix="dicom-") as place:
        folder = write_files(broken.files, Path(place))
        try:
            import_dicom(folder)
        except InputError as error:
            message = str(error).replace(f"{folder}", "FOLDER")
        else:
            return [f"{name}: no error"]
        wrong = []
        if broken.expected not in message:
            wrong.append(f"{name}: expected {broken.expected!r}, got: {message}")
        if broken.named and not any(each in message for each in broken.named):
            wrong.append(f"{name}: names none of {broken.named[:3]}: {message}")
        try:
            kept = import_dicom(folder, keep_going=True)
        except InputError as error:
            return wrong if broken.lost is None else [*wrong, f"{name}: nothing imported: {error}"]
    if broken.lost is None:
        return [*wrong, f"{name}: something was imported"]
    if not any(each.is_error and broken.expected in each.reason for each in kept.left):
        wrong.append(f"{name}: not listed as left: {list(map(str, kept.left))}")
    return wrong + [f"{name}, keep going: {each}" for each in differences(kept, expected, lost=broken.lost)]


def check_faults(files: Files, expected: DicomImport, runs: int, seed: int) -> list[Check]:
    """Every fault, several times."""
    checks = []
    for name, fault in FAULTS.items():
        wrong: list[str] = []
        for number in range(runs):
            wrong += check_broken(name, fault(files, random.Random(1000 * seed + number)), expected)
        checks.append(Check(name, runs, tuple(wrong)))
        print(f"  {name}: {len(wrong)} wrong", file=sys.stderr)
    return checks


def write_phantom(folder: Path) -> Path:
    """A phantom's study as single-frame DICOM."""
    study = make_study(
        REPORT_SEEDS[0],
        PhantomOptions(
            frames=12, slices=6, matrix=(64, 72), pixel_spacing=4.5, long_axis_views=True, motion_truth=False
        ),
    )
    cines = [CineSeries(study.cine, "sax"), *(CineSeries(v.cine, n) for n, v in study.long_axis.items())]
    write_dicom(cines, folder, seed=REPORT_SEEDS[0])
    return folder


def table(checks: Sequence[Check]) -> str:
    """For people, Markdown."""
    lines = ["| what | runs | wrong | |", "| --- | --- | --- | --- |"]
    lines += [f"| {check.name} | {check.runs} | {len(check.wrong)} | {check.detail} |" for check in checks]
    problems = [f"- {each}" for check in checks for each in check.wrong]
    return "\n".join([*lines, *(["", *problems] if problems else [])])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 if everything was as it should be, else 1."""
    parser = argparse.ArgumentParser(description="The DICOM importer on whole, mixed and broken folders.")
    parser.add_argument("--variants", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3, help="of the timing, and of every fault")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--phantom", action="store_true", help="not the real folder")
    parser.add_argument("--markdown", type=Path, help="write the table to this file, too")
    chosen = parser.parse_args(arguments)
    real = data_folder() / "cine_dicom"
    with TemporaryDirectory(prefix="dicom-") as place:
        checks = []
        if chosen.phantom or not real.is_dir():
            folder = write_phantom(Path(place) / "phantom")
        else:
            folder = real
            checks.append(check_real(real, read_cine(data_folder() / "cine_sax.nii.gz"), chosen.repeats))
        files, expected = read_files(folder), import_dicom(folder)
        checks.append(check_variants(files, expected, chosen.variants, chosen.seed))
        checks += check_faults(files, expected, chosen.repeats, chosen.seed)
    text = table(checks)
    print(text)
    if chosen.markdown:
        with atomic_path(chosen.markdown) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    return int(any(check.wrong for check in checks))


if __name__ == "__main__":
    raise SystemExit(main())
