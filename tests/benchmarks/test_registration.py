"""The comparison of methods, on a made pair with methods of which the result is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label

from benchmarks.methods import METHODS, StackFields
from benchmarks.pairs import SIZE, Pair, cropped, data_folder, make_pair, real_pairs
from benchmarks.registration import compare, main, tables
from benchmarks.scores import UNREGISTERED

SPACING = (8.0, 1.5, 1.5)


def shifted_disc(shift: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc with a wall around it in two of three slices, moved down: image and labels."""
    y, x = np.mgrid[:150, :140]
    distance = np.hypot(y - 70.0 - shift, x - 66.0)
    labels = np.zeros((3, 150, 140), np.uint8)
    labels[:2, distance < 20] = Label.MYO
    labels[:2, distance < 12] = Label.LV
    return np.array([10, 0, 60, 200], np.float32)[labels], labels


@pytest.fixture(scope="module")
def pair() -> Pair:
    ed, ed_labels = shifted_disc(0)
    es, es_labels = shifted_disc(6)
    es_labels[1] = 0  # the base has left the second slice
    truth = np.zeros((3, 2, 150, 140), np.float32)
    truth[:, 0] = -6 * SPACING[1]
    return make_pair("disc", [ed, es], [ed_labels, es_labels], SPACING, truth=truth)


def known_method(share: float, seconds: float = 0.5) -> object:
    def register(fixed: np.ndarray, _moving: np.ndarray, spacing: tuple[float, ...]) -> StackFields:
        field = np.zeros((len(fixed), 2, *fixed.shape[1:]), np.float32)
        field[:, 0] = -6 * share * spacing[1]
        return StackFields(field, -field, (seconds,) * len(fixed))

    return register


def test_a_pair_is_scaled_and_cropped_around_what_moves(pair: Pair) -> None:
    assert pair.fixed.shape == pair.moving.shape == (3, SIZE, SIZE)
    assert pair.fixed.min() == 0.0
    assert pair.fixed.max() == 1.0
    assert pair.structures == (Label.MYO, Label.LV)
    rows, columns = np.nonzero(pair.moving_labels[0])
    # The difference of the two discs lies between their centres, 3 pixels below the first.
    assert rows.mean() == pytest.approx(SIZE / 2 - 3, abs=2)
    assert columns.mean() == pytest.approx(SIZE / 2, abs=2)


def test_the_way_to_find_the_heart_can_be_chosen() -> None:
    ed, labels = shifted_disc(0)
    found = make_pair(
        "disc", [ed, np.float32(1) + ed], [labels, labels], SPACING, find_heart=lambda *_: (70.0, 66.0)
    )
    rows, columns = np.nonzero(found.moving_labels[0])
    assert (rows.mean(), columns.mean()) == (64.0, 64.0)


def test_small_images_are_padded_and_crops_stay_inside() -> None:
    image = np.arange(100 * 140, dtype=np.float32).reshape(1, 100, 140)
    square = cropped(image, (3.0, 139.0))
    assert square.shape == (1, SIZE, SIZE)
    np.testing.assert_array_equal(square[0, 14:114], image[0, :, 12:])
    np.testing.assert_array_equal(square[0, 0], square[0, 14])


def test_the_known_motion_has_the_known_scores(pair: Pair) -> None:
    scores = compare([pair], {"right": known_method(1.0), "half": known_method(0.5)}, repeats=2)  # type: ignore[dict-item]
    assert list(scores) == [UNREGISTERED, "right", "half"]
    none, right, half = (each[0] for each in scores.values())
    for structure in (Label.MYO, Label.LV):
        assert right.dice_shared[structure] == 1.0
        assert right.hausdorff[structure] == 0.0
        # The second slice holds no label at ES, but what is carried there does.
        assert right.dice_stack[structure] == pytest.approx(2 / 3)
        assert none.dice_shared[structure] < half.dice_shared[structure] < 1
    assert right.end_point_error == pytest.approx(0.0, abs=1e-5)
    assert half.end_point_error == pytest.approx(3 * 1.5)
    assert none.end_point_error == pytest.approx(6 * 1.5)
    assert (right.folded, right.folds) == (0, 0.0)
    assert right.inverse_error == pytest.approx(0.0, abs=1e-5)
    assert np.isnan(none.inverse_error)
    assert right.seconds == (0.5, 0.5, 0.5)


def test_slow_methods_are_not_repeated(pair: Pair) -> None:
    calls = []

    def slow(fixed: np.ndarray, moving: np.ndarray, spacing: tuple[float, ...]) -> StackFields:
        calls.append(len(fixed))
        return known_method(1.0, seconds=60.0)(fixed, moving, spacing)  # type: ignore[operator]

    compare([pair], {"slow": slow}, repeats=3)
    assert calls == [1, 3], "one slice to warm up, then the pair once"


def test_the_tables_hold_the_unregistered_and_the_ratio_to_demons(pair: Pair) -> None:
    methods = {"demons": known_method(0.5, seconds=0.2), "right": known_method(1.0, seconds=0.3)}
    text = tables(compare([pair], methods), [pair], "A pair")  # type: ignore[arg-type]
    assert text.count("| unregistered |") == 5
    assert "| right | 1.000 | 1.000 | 1.000 | 1.000 |" in text
    last = next(line for line in text.splitlines() if line.startswith("| right |") and "%" in line)
    assert last.endswith("| 0.300 | 1.50 |")
    assert "| 1.000 / 0.667 |" in text


def test_wrong_arguments_and_missing_data_end_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--methods", "demons,magic"])
    assert stopped.value.code == 2
    assert "magic" in capsys.readouterr().err
    monkeypatch.setenv("CARDIAC_MOTION_DATA", str(tmp_path / "nowhere"))
    assert main(["--methods", "demons"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_methods_have_names_of_their_own() -> None:
    assert len(set(METHODS)) == len(METHODS)
    assert {"demons", "syn", "bspline", "recursive", "recursive-paper"} == set(METHODS)


def test_the_real_pairs() -> None:
    if not data_folder().is_dir():
        pytest.skip(f"real data are not there: {data_folder()} (set CARDIAC_MOTION_DATA)")
    pairs = real_pairs()
    assert [pair.name for pair in pairs] == ["SCD0003701", "HF-I-05", "HYP-08", "cine_sax"]
    assert [len(pair.fixed) for pair in pairs] == [4, 8, 9, 6]
    assert pairs[0].structures == (Label.LV,)
    assert pairs[3].structures == (Label.RV, Label.MYO, Label.LV)
    for pair in pairs:
        for labels in (pair.fixed_labels, pair.moving_labels):
            border = [labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]]
            assert not any(edge.any() for edge in border), "the crop holds the whole heart"


def test_missing_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="CARDIAC_MOTION_DATA"):
        real_pairs(tmp_path / "nowhere")


def test_the_variable_names_another_folder_of_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDIAC_MOTION_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    repository = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("CARDIAC_MOTION_DATA", "")
    assert data_folder() == repository.parent / "shared" / "data"
    monkeypatch.delenv("CARDIAC_MOTION_DATA")
    assert data_folder() == repository.parent / "shared" / "data"
