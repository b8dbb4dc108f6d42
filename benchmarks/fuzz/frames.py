"""Folders of 3D frames, compared with what other readers make of each of them."""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cardiac_motion.cine import Cine
from cardiac_motion.io import load_cine, write_cine, write_labels

from benchmarks.dicom_folders import Files, read_files
from benchmarks.fuzz import nifti, nrrd
from benchmarks.fuzz.compare import Independent, compare
from benchmarks.fuzz.folders import files_moved
from benchmarks.fuzz.hearts import heart, whole_numbers
from benchmarks.fuzz.target import CannotTellError, Mutant, Sample


class FramesTarget:
    """A file for each frame, NIfTI or NRRD."""

    name = "frames"

    def samples(self) -> list[Sample]:
        """As this package writes them, and NRRD."""
        cine = whole_numbers(heart().cine)
        with tempfile.TemporaryDirectory() as place:
            write_cine(Path(place) / "cine", cine)
            packed = read_files(Path(place) / "cine")
            both = Path(place) / "nrrd"
            both.mkdir()
            for t, frame in enumerate(heart().labels):
                write_labels(both / f"frame{t + 8}.nrrd", frame, cine)
            plain = {
                f"f_{t}.nii": nifti.written(frame, cine.affine, scaled=(2.0, 1.0))
                for t, frame in enumerate(cine.frames)
            }
            return [Sample(packed, ""), Sample(read_files(both), ""), Sample(plain, "")]

    def mutate(self, samples: Sequence[Sample], luck: random.Random) -> Mutant:
        """One frame, or all in the same way, damaged; or other files."""
        files: Files = dict(luck.choice(samples).files)
        if luck.random() < 0.3:
            return Mutant(files, files_moved(files, luck), "")
        seed = luck.randrange(10**9)
        names = sorted(files)
        what = ""
        for name in luck.choice(([luck.choice(names)], [luck.choice(names)], names)):
            change = nrrd.mutated if name.endswith(".nrrd") else nifti.mutated
            files[name], what = change(files[name], random.Random(seed))
        return Mutant(files, what, "")

    def read(self, folder: Path, kind: str) -> Cine:  # noqa: ARG002 - there is one
        """As a cine."""
        return load_cine(folder)[0]

    def judge(self, folder: Path, kind: str, result: Cine) -> str | None:  # noqa: ARG002 - there is one
        """Each frame as other readers have it, in the order of the number that varies."""
        names = [
            p
            for p in folder.iterdir()
            if p.name.lower().endswith((".nii", ".nii.gz", ".nrrd")) and p.name[0] != "."
        ]
        paths = sorted(names, key=lambda path: [int(number) for number in re.findall(r"\d+", path.name)])
        if len(paths) != result.n_frames:
            return f"{result.n_frames} frames of {len(paths)} files"
        frames = [
            nrrd.independent(path) if path.name.lower().endswith(".nrrd") else nifti.independent(path)
            for path in paths
        ]
        values = [each.values if each.values.ndim == 3 else each.values[0] for each in frames]
        if len({each.shape for each in values}) > 1:
            raise CannotTellError("other readers have frames of several shapes")
        for each in frames:
            wrong = compare(result, Independent(np.stack(values), each.itk, each.places))
            if wrong:
                return wrong
        return None
