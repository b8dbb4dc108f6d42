"""Frame times: taken from the file, guessed with a warning where it says little or nonsense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.errors import GeometryWarning
from cardiac_motion.io import read_cine, write_cine
from cardiac_motion.io.timing import Timing, frame_times, uniform_step

MakeCine = Callable[..., Cine]


def write_with_time(path: Path, step: float, unit: int, n_frames: int = 5) -> None:
    """A cine with any number as pixdim[4] and any code of a unit of time."""
    image = nib.Nifti1Image(np.zeros((5, 6, 2, n_frames), dtype=np.int16), np.diag([1.5, 1.5, 8.0, 1.0]))
    image.header["pixdim"][4] = step
    image.header["xyzt_units"] = 2 | unit
    image.to_filename(path)


UNKNOWN, SECONDS, MILLISECONDS, MICROSECONDS, HERTZ = 0, 8, 16, 24, 32


@pytest.mark.parametrize(
    ("step", "unit"),
    [(0.03104, SECONDS), (31.04, MILLISECONDS), (31040, MICROSECONDS), (0.3, SECONDS), (0.9, SECONDS)],
)
def test_time_between_frames_in_every_unit(tmp_path: Path, step: float, unit: int) -> None:
    write_with_time(tmp_path / "cine.nii", step, unit)
    seconds = step * {SECONDS: 1, MILLISECONDS: 1e-3, MICROSECONDS: 1e-6}[unit]
    times = read_cine(tmp_path / "cine.nii").frame_times
    # As the decimal that was meant, not as float32 has it.
    np.testing.assert_allclose(times, seconds * np.arange(5), rtol=1e-12)


@pytest.mark.parametrize(
    ("step", "unit", "seconds", "message"),
    [
        (0.031, UNKNOWN, 0.031, r"0\.031 without a unit, is taken as 0\.031 s"),
        (31.0, UNKNOWN, 0.031, "31 without a unit, is taken as 31 ms"),
        (31.0, SECONDS, 0.031, "31 s, is taken as 31 ms"),
        (0.031, MILLISECONDS, 0.031, r"0\.031 ms, is taken as 0\.031 s"),
        (31000, MILLISECONDS, 0.031, "3.1e.04 ms, is taken as 3.1e.04 us"),
        (1.0, SECONDS, 0.2, "1 s, is not plausible; the 5 frames are spread over a cycle of 1 s"),
        (1.0, UNKNOWN, 0.2, "1 without a unit, is not plausible"),
        (0.0, SECONDS, 0.2, "does not say when its frames were taken"),
        (-0.03, SECONDS, 0.2, "does not say when"),
        (np.nan, SECONDS, 0.2, "does not say when"),
        (np.inf, SECONDS, 0.2, "does not say when"),
        (0.031, HERTZ, 0.2, "does not say when"),
    ],
)
def test_guesses_are_told_once(tmp_path: Path, step: float, unit: int, seconds: float, message: str) -> None:
    write_with_time(tmp_path / "cine.nii", step, unit)
    with pytest.warns(GeometryWarning, match=message) as caught:
        cine = read_cine(tmp_path / "cine.nii")
    assert len(caught) == 1
    assert str(caught[0].message).startswith(str(tmp_path / "cine.nii"))
    np.testing.assert_allclose(cine.frame_times, seconds * np.arange(5), rtol=1e-6)


def uneven(cine: Cine) -> Cine:
    return Cine(cine.frames, cine.affine, np.array([0.0, 0.02, 0.07, 0.11]))


def test_nifti_gets_the_mean_of_uneven_times_with_a_warning(tmp_path: Path, make_cine: MakeCine) -> None:
    with pytest.warns(GeometryWarning, match=r"room for one time between frames: 0\.03667 s"):
        write_cine(tmp_path / "cine.nii.gz", uneven(make_cine()))
    read = read_cine(tmp_path / "cine.nii.gz")
    np.testing.assert_allclose(read.frame_times, np.arange(4) * 0.11 / 3, rtol=1e-6)


@pytest.mark.parametrize("name", ["cine.nrrd", "cine.seq.nrrd", "cine"])
def test_other_formats_keep_uneven_times(tmp_path: Path, make_cine: MakeCine, name: str) -> None:
    cine = uneven(make_cine())
    write_cine(tmp_path / name, cine)
    np.testing.assert_allclose(read_cine(tmp_path / name).frame_times, cine.frame_times, rtol=1e-6)


def test_whole_milliseconds_are_even_enough(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine()
    rounded = Cine(cine.frames, cine.affine, np.array([0.0, 0.031, 0.062, 0.094]))
    write_cine(tmp_path / "cine.nii", rounded)


def test_times_start_at_the_first_frame() -> None:
    times, note = frame_times(Timing((12.0, 43.0, 75.0), "ms"), 3)
    np.testing.assert_allclose(times, [0, 0.031, 0.063])
    assert note is None


@pytest.mark.parametrize(
    ("times", "step", "off"),
    [([0.0, 0.1, 0.2, 0.3], 0.1, 0.0), ([0.0, 0.12, 0.2, 0.3], 0.1, 0.2), ([0.0, 0.5], 0.5, 0.0)],
)
def test_uniform_step(times: list[float], step: float, off: float) -> None:
    assert uniform_step(times) == pytest.approx((step, off))


def sequence(folder: Path, cine: Cine, replace: dict[str, str]) -> Path:
    """A .seq.nrrd with words of its header replaced."""
    path = folder / "cine.seq.nrrd"
    write_cine(path, cine)
    header, voxels = path.read_bytes().split(b"\n\n", maxsplit=1)
    text = header.decode()
    for old, new in replace.items():
        assert old in text
        text = text.replace(old, new)
    path.write_bytes(text.encode() + b"\n\n" + voxels)
    return path


VALUES = "axis 0 index values:=0.0 0.031 0.062 0.093"


@pytest.mark.parametrize(
    ("replace", "times"),
    [
        ({'units: "s"': 'units: "ms"', VALUES: "axis 0 index values:=5 36 67 100"}, [0, 0.031, 0.062, 0.095]),
        ({VALUES: "axis 0 index values:=0 0%2E02 0%2E05 0%2E1"}, [0, 0.02, 0.05, 0.1]),
        ({'units: "s" "" "" ""\n': "", VALUES: "axis 0 index unit:=s\n" + VALUES}, [0, 0.031, 0.062, 0.093]),
        ({"axis 0 index": "axis 3 index"}, [0, 0.031, 0.062, 0.093]),
    ],
)
def test_index_values_of_sequences(
    tmp_path: Path, make_cine: MakeCine, replace: dict[str, str], times: list[float]
) -> None:
    cine = read_cine(sequence(tmp_path, make_cine(), replace))
    np.testing.assert_allclose(cine.frame_times, times, atol=1e-12)


@pytest.mark.parametrize(
    ("replace", "message"),
    [
        (
            {VALUES: "axis 0 index values:=0 1 2 3", 'units: "s" "" "" ""\n': ""},
            "1 without a unit, is not plausible",
        ),
        ({VALUES: "axis 0 index values:=0 25 50 75", 'units: "s"': 'units: "%"'}, "does not say when"),
        ({VALUES: "axis 0 index values:=a b c d"}, "does not say when"),
        ({VALUES: "other:=1"}, "does not say when"),
    ],
)
def test_sequences_that_hold_no_times(
    tmp_path: Path, make_cine: MakeCine, replace: dict[str, str], message: str
) -> None:
    with pytest.warns(GeometryWarning, match=message):
        cine = read_cine(sequence(tmp_path, make_cine(), replace))
    np.testing.assert_allclose(cine.frame_times, [0, 0.25, 0.5, 0.75])


def test_spacing_along_the_list_axis_counts_without_index_values(tmp_path: Path, make_cine: MakeCine) -> None:
    path = sequence(tmp_path, make_cine(), {VALUES: "other:=1", "endian:": "spacings: 0.04 nan nan nan\nendian:"})
    expected: npt.NDArray[np.float64] = np.arange(4) * 0.04
    np.testing.assert_allclose(read_cine(path).frame_times, expected)
