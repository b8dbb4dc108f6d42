"""Cines as DICOM, read back by programs that share no code with the writer."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dcm2niix
import nibabel as nib
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK
from cardiac_motion.cine import Cine
from cardiac_motion.dicom.cine_series import CineSeries
from cardiac_motion.dicom.writer import Layout, write_dicom
from cardiac_motion.errors import InputError
from cardiac_motion.io import read_cine
from cardiac_motion.phantom import TEST_SEEDS, AppearanceOptions, PhantomOptions, make_study
from cardiac_motion.phantom.write import DicomKind, write_study

SEED = TEST_SEEDS[6]
Found = tuple[npt.NDArray[np.floating], npt.NDArray[np.float64]]
"""An image (T, Z, Y, X) or (Z, Y, X), and its affine to RAS."""
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
BOTH = pytest.mark.parametrize("enhanced", [False, True], ids=["single", "enhanced"])
LAYOUTS = pytest.mark.parametrize("layout", list(Layout))


@pytest.fixture(autouse=True)
def _strict_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that its VR does not allow is an error, in writing and in reading."""
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.RAISE)
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.RAISE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies of the same phantom: ``single`` and ``enhanced``, each with NIfTI and DICOM."""
    options = PhantomOptions(
        frames=4,
        slices=3,
        matrix=(48, 64),
        pixel_spacing=4.0,
        slice_thickness_mm=7.0,
        long_axis_views=True,
        motion_truth=False,
        appearance=AppearanceOptions.clean(),
    )
    study = make_study(SEED, options)
    place = tmp_path_factory.mktemp("phantoms")
    write_study(study, place / "single", dicom=DicomKind.MR)
    write_study(study, place / "enhanced", dicom=DicomKind.ENHANCED_MR)
    return place


@pytest.fixture(scope="module")
def whole_numbers() -> Cine:
    """Unequal in all sizes, oblique, left-handed, off-centre; up to the largest number that 16 bits hold."""
    rng = np.random.default_rng(5)
    frames = rng.integers(0, 2**16, (5, 3, 10, 14)).astype(np.float32)
    frames[0, 0, 0, :2] = 0, 2**16 - 1
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn * np.array([1.25, 1.75, -9.5]) * (1 if np.linalg.det(turn) > 0 else -1)
    affine[:3, 3] = 12.5, -101.25, 33.0
    return Cine(frames, affine, np.array([0, 0.03, 0.08, 0.11, 0.15]))


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.dcm"))


def planes(image: npt.NDArray[np.floating], affine: npt.NDArray[np.float64]) -> Iterator[tuple[npt.NDArray, ...]]:
    """Every slice of an image (T, Z, Y, X) with the places of three of its corners in RAS, first in mid-slice."""
    y, x = image.shape[2:]
    corners = np.array([[0, 0], [x - 1, 0], [0, y - 1]])
    for z in range(image.shape[1]):
        voxels = np.column_stack([corners, np.full(3, z), np.ones(3)])
        yield image[:, z], (affine @ voxels.T)[:3].T


def assert_same(found: Found, cine: Cine, *, tolerance: float) -> None:
    """The same slices in the same places, whatever the order of slices, rows and columns.

    ``found`` is (T, Z, Y, X) with its affine; a row that runs the other way is turned first, as some readers do.
    """
    image, affine = found
    for axis, column in ((2, 1), (3, 0)):
        if affine[:3, column] @ cine.affine[:3, column] < 0:
            affine = affine.copy()
            affine[:3, 3] += affine[:3, column] * (image.shape[axis] - 1)
            affine[:3, column] *= -1
            image = np.flip(image, axis)
    expected = list(planes(cine.frames, cine.affine))
    assert image.shape[1] == len({index for index, _ in matched(image, affine, expected)})
    for index, values in matched(image, affine, expected):
        assert values == pytest.approx(expected[index][0], abs=tolerance)


def matched(
    image: npt.NDArray[np.floating], affine: npt.NDArray[np.float64], expected: list[tuple[npt.NDArray, ...]]
) -> Iterator[tuple[int, npt.NDArray[np.floating]]]:
    """For every slice the index of the expected one that lies in the same place."""
    for values, corners in planes(image, affine):
        distances = [float(np.abs(corners - place).max()) for _, place in expected]
        index = int(np.argmin(distances))
        assert distances[index] < 1e-3
        yield index, values


def with_dcm2niix(folder: Path, output: Path) -> dict[str, Found]:
    """What dcm2niix makes of a folder: (T, Z, Y, X) and affine by series number and description."""
    output.mkdir()
    command = [dcm2niix.bin, "-f", "%s_%d", "-z", "n", "-o", str(output), str(folder)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Error" not in told
    found = {}
    for path in output.glob("*.nii"):
        image = nib.nifti1.Nifti1Image.from_filename(path)
        values = np.asarray(image.dataobj, dtype=np.float64)
        found[path.stem] = np.transpose(values.reshape(*values.shape[:3], -1)), image.affine
    return found


def with_gdcm(names: list[str]) -> Found:
    """What SimpleITK's series reader makes of files of one volume: (Z, Y, X), and the affine to RAS."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(names)
    return as_affine(reader.Execute())


def as_affine(image: SimpleITK.Image) -> Found:
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image).astype(np.float64), LPS @ affine


@BOTH
def test_dcm2niix_reads_a_phantom_as_its_nifti(folder: Path, tmp_path: Path, enhanced: bool) -> None:
    study = folder / ("enhanced" if enhanced else "single")
    found = with_dcm2niix(study / "dicom", tmp_path / "nifti")
    assert sorted(name.split("_", 1)[1] for name in found) == [
        "cine_2ch",
        "cine_3ch",
        "cine_4ch",
        *["cine_sax"] * 3,
    ]
    sax = read_cine(study / "cine.nii.gz")
    step = float(sax.frames.max()) / 65535
    for z in range(3):
        assert_same(found[f"{z + 1}_cine_sax"], one_slice(sax, z), tolerance=0.6 * step)
    for name in ("2ch", "3ch", "4ch"):
        (key,) = (key for key in found if key.endswith(name))
        cine = read_cine(study / f"{name}.nii.gz")
        assert_same(found[key], cine, tolerance=0.6 * float(cine.frames.max()) / 65535)


def shifted(affine: npt.NDArray[np.float64], z: int) -> npt.NDArray[np.float64]:
    moved = affine.copy()
    moved[:3, 3] += z * affine[:3, 2]
    return moved


def test_gdcm_reads_a_phantom_as_its_nifti(folder: Path) -> None:
    sax = read_cine(folder / "single" / "cine.nii.gz")
    by_trigger: dict[float, list[str]] = {}
    for path in files(folder / "single" / "dicom"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        if "sax" in header.SeriesDescription:
            by_trigger.setdefault(float(header.TriggerTime), []).append(str(path))
    assert np.diff(sorted(by_trigger)) == pytest.approx(np.diff(sax.frame_times) * 1000, abs=1e-4)
    found = gathered([with_gdcm(by_trigger[time]) for time in sorted(by_trigger)])
    assert_same(found, sax, tolerance=0.6 * float(sax.frames.max()) / 65535)


@BOTH
@LAYOUTS
def test_whole_numbers_come_back_exactly(
    whole_numbers: Cine, tmp_path: Path, enhanced: bool, layout: Layout
) -> None:
    series = CineSeries(whole_numbers, "sax", 6.0)
    count = write_dicom([series], tmp_path / "dicom", seed=1, enhanced=enhanced, layout=layout)
    n_series = 3 if layout is Layout.SERIES_PER_SLICE else 1
    assert count == len(files(tmp_path / "dicom")) == (n_series if enhanced else 15)
    assert len(list((tmp_path / "dicom").iterdir())) == n_series

    for path in files(tmp_path / "dicom"):
        ds = pydicom.dcmread(path)
        assert (ds.PixelRepresentation, ds.BitsAllocated, ds.BitsStored, ds.HighBit) == (0, 16, 16, 15)
        for values, t, z in frames_of(ds):
            assert np.array_equal(values, whole_numbers.frames[t, z])
    if layout is Layout.SLICE_MAJOR and not enhanced:
        # dcm2niix takes such a series for a stack in the order of frames, and warns; GDCM is told what belongs
        # together.
        names = [str(path) for path in files(tmp_path / "dicom")]
        n = whole_numbers.n_frames
        found = {"1": gathered([with_gdcm(names[t::n]) for t in range(n)])}
    else:
        found = with_dcm2niix(tmp_path / "dicom", tmp_path / "nifti")
    assert len(found) == n_series
    pieces = [
        (image[:, z : z + 1], shifted(affine, z))
        for image, affine in found.values()
        for z in range(image.shape[1])
    ]
    assert len(pieces) == 3
    for z, piece in enumerate(sorted(pieces, key=lambda piece: along(piece[1], whole_numbers))):
        assert piece[0].shape[0] == whole_numbers.n_frames
        assert_same(piece, one_slice(whole_numbers, z), tolerance=0)


def gathered(volumes: list[Found]) -> Found:
    """Volumes of one frame each as one image, (T, Z, Y, X)."""
    return np.stack([volume for volume, _ in volumes]), volumes[0][1]


def one_slice(cine: Cine, z: int) -> Cine:
    return Cine(cine.frames[:, z : z + 1], shifted(cine.affine, z), cine.frame_times)


def frames_of(ds: pydicom.Dataset) -> Iterator[tuple[npt.NDArray[np.uint16], int, int]]:
    """Each frame of a file with its (t, z) by the file's own indices."""
    if "NumberOfFrames" not in ds:
        yield ds.pixel_array, ds.TemporalPositionIdentifier - 1, ds.AcquisitionNumber - 1
        return
    first = int(ds.SeriesNumber) - 1
    for values, group in zip(ds.pixel_array, ds.PerFrameFunctionalGroupsSequence, strict=True):
        (content,) = group.FrameContentSequence
        assert content.DimensionIndexValues == [1, content.InStackPositionNumber, content.TemporalPositionIndex]
        yield values, content.TemporalPositionIndex - 1, first + content.InStackPositionNumber - 1


def along(affine: npt.NDArray[np.float64], cine: Cine) -> float:
    return float((affine[:3, 3] - cine.affine[:3, 3]) @ cine.affine[:3, 2])


def test_gdcm_reads_an_enhanced_stack(whole_numbers: Cine, tmp_path: Path) -> None:
    """In the order of frames, with slices along the normal: of the positions it uses the first two alone."""
    frames = whole_numbers.frames[:, ::-1]
    affine = shifted(whole_numbers.affine, 2) @ np.diag([1.0, 1.0, -1.0, 1.0])
    cine = replace(whole_numbers, frames=frames, affine=affine)
    series = CineSeries(cine, "sax")
    write_dicom([series], tmp_path / "dicom", seed=1, enhanced=True, layout=Layout.FRAME_MAJOR)
    (path,) = files(tmp_path / "dicom")
    values, affine = as_affine(SimpleITK.ReadImage(str(path)))
    assert_same((values.reshape(cine.shape), affine), cine, tolerance=0)


@BOTH
def test_times_are_those_of_the_slices_own_cycle(whole_numbers: Cine, tmp_path: Path, enhanced: bool) -> None:
    rr = (0.8, 0.9, 1.0)
    series = CineSeries(whole_numbers, "sax", 6.0, rr_seconds=rr)
    write_dicom([series], tmp_path / "dicom", seed=1, enhanced=enhanced)
    phases = whole_numbers.frame_times / whole_numbers.cycle_seconds
    for path in files(tmp_path / "dicom"):
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        cycle = 1000 * rr[int(ds.SeriesNumber) - 1]
        if enhanced:
            gating = [group.CardiacSynchronizationSequence[0] for group in ds.PerFrameFunctionalGroupsSequence]
            actual = [each.ActualCardiacTriggerDelayTime for each in gating]
            nominal = [each.NominalCardiacTriggerDelayTime for each in gating]
            assert actual == pytest.approx(phases * cycle)
            assert nominal == pytest.approx(whole_numbers.frame_times * 1000)
            assert {each.RRIntervalTimeNominal for each in gating} == {cycle}
        else:
            assert float(ds.TriggerTime) == pytest.approx(phases[ds.InstanceNumber - 1] * cycle, abs=1e-9)
            assert (ds.NominalInterval, ds.CardiacNumberOfImages, ds.HeartRate) == (
                cycle,
                5,
                round(60_000 / cycle),
            )
            assert (float(ds.SliceThickness), float(ds.SpacingBetweenSlices)) == (6.0, pytest.approx(9.5))
            assert [float(value) for value in ds.PixelSpacing] == pytest.approx([1.75, 1.25])


@BOTH
def test_identifiers_follow_from_seed_and_content(whole_numbers: Cine, tmp_path: Path, enhanced: bool) -> None:
    series = CineSeries(whole_numbers, "sax")
    other = CineSeries(replace(whole_numbers, affine=shifted(whole_numbers.affine, 1)), "sax")
    for name, what, seed in (("a", series, 7), ("b", series, 7), ("c", series, 8), ("d", other, 7)):
        write_dicom([what], tmp_path / name, seed=seed, enhanced=enhanced)
    content = {name: [path.read_bytes() for path in files(tmp_path / name)] for name in "ab"}
    assert content["a"] == content["b"]
    instances, studies = [], []
    for name in "acd":
        headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in files(tmp_path / name)]
        studies += sorted({header.StudyInstanceUID for header in headers})
        instances += [header.SOPInstanceUID for header in headers]
        seed = 8 if name == "c" else 7
        assert {str(header.PatientName) for header in headers} == {f"Phantom^{seed}"}
    assert len(studies) == 3
    assert len(instances) == len(set(instances))
    assert all(re.fullmatch(r"2\.25\.[1-9]\d{0,38}", uid) for uid in studies + instances)


def test_what_dicom_cannot_hold_is_refused_and_nothing_stays(whole_numbers: Cine, tmp_path: Path) -> None:
    skewed = np.array(whole_numbers.affine)
    skewed[:3, 1] += 0.05 * skewed[:3, 0]
    with pytest.raises(InputError, match="right angle"):
        CineSeries(replace(whole_numbers, affine=skewed), "sax")
    with pytest.raises(InputError, match="3 heart cycles"):
        CineSeries(whole_numbers, "sax", rr_seconds=(0.8,))
    with pytest.raises(InputError, match="plain characters"):
        CineSeries(whole_numbers, "a\\b")
    with pytest.raises(InputError, match="at least one cine"):
        write_dicom([], tmp_path / "dicom", seed=1)
    endless = replace(whole_numbers, frames=np.float32(1e30) * whole_numbers.frames)
    write_dicom([CineSeries(endless, "sax")], tmp_path / "large", seed=1)
    ds = pydicom.dcmread(files(tmp_path / "large")[0])
    assert ds.pixel_array * float(ds.RescaleSlope) == pytest.approx(endless.frames[0, 0], rel=1e-4, abs=1e30)
    assert [path.name for path in tmp_path.iterdir()] == ["large"]


def test_negative_and_fractional_intensities_keep_their_values(whole_numbers: Cine, tmp_path: Path) -> None:
    """dcm2niix and GDCM apply slope and intercept of MR images, each in its own way."""
    frames = (whole_numbers.frames - 30_000) / 7
    cine = replace(whole_numbers, frames=frames)
    write_dicom([CineSeries(cine, "4ch")], tmp_path / "dicom", seed=1, layout=Layout.FRAME_MAJOR)
    found = with_dcm2niix(tmp_path / "dicom", tmp_path / "nifti")
    (image, affine) = found["1_cine_4ch"]
    step = float(np.ptp(frames)) / 65535
    assert_same((image, affine), cine, tolerance=0.6 * step)
    names = [str(path) for path in files(tmp_path / "dicom")]
    assert_same(gathered([with_gdcm(names[3 * t : 3 * t + 3]) for t in range(5)]), cine, tolerance=0.6 * step)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="not run: dciodvfy (dicom3tools) is not on the PATH")
@pytest.mark.parametrize("kind", ["single", "enhanced"])
def test_dciodvfy_finds_no_error(folder: Path, kind: str) -> None:
    """It warns of the rescale slope alone, which plain MR images by the standard have not, but scanners write."""
    for path in files(folder / kind / "dicom"):
        done = subprocess.run(["dciodvfy", "-new", str(path)], check=False, capture_output=True, text=True)
        told = done.stderr.splitlines()
        assert f"{'EnhancedMR' if kind == 'enhanced' else 'MR'}Image" in told
        assert not [line for line in told if line.startswith(("Error", "Abort"))]
        assert all("Rescale" in line for line in told if line.startswith("Warning"))
    names = [str(path) for path in files(folder / kind / "dicom")]
    entities = subprocess.run(["dcentvfy", *names], check=False, capture_output=True, text=True)
    assert (entities.returncode, entities.stdout + entities.stderr) == (0, "")
