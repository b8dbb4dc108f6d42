import numpy as np
import pytest
from cardiac_motion.analysis.curves import end_diastole, end_systole, without_outliers
from cardiac_motion.analysis.volumes import cardiac_function, ejection_fraction, mass_g, volumes_ml
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from hypothesis import given, settings
from hypothesis import strategies as st

FRAMES = 25


def beat(frames: int = FRAMES, *, ed: int = 0, es: int = 9, edv: float = 150.0, esv: float = 60.0) -> np.ndarray:
    """A volume curve that falls to ES and rises again, faster at first, as the heart does."""
    t = (np.arange(frames) - ed) % frames
    length = (es - ed) % frames
    systole = 0.5 * (1 + np.cos(np.pi * np.minimum(t / length, 1)))
    diastole = np.sin(0.5 * np.pi * np.clip((t - length) / (frames - length), 0, 1))
    return esv + (edv - esv) * np.where(t <= length, systole, diastole)


def labels_of_counts(counts: dict[Label, list[int]]) -> np.ndarray:
    """Labels (T, 2, 10, 10) with so many voxels of each structure in each frame."""
    frames = len(next(iter(counts.values())))
    labels = np.zeros((frames, 200), dtype=np.uint8)
    for t in range(frames):
        start = 0
        for label, numbers in counts.items():
            labels[t, start : start + numbers[t]] = label
            start += numbers[t]
    return labels.reshape(frames, 2, 10, 10)


def test_volume_is_voxels_times_their_size() -> None:
    labels = labels_of_counts({Label.LV: [50, 20], Label.MYO: [40, 42]})
    volumes = volumes_ml(labels, (8.0, 1.5, 1.25))
    assert set(volumes) == {Label.LV, Label.MYO}
    np.testing.assert_allclose(volumes[Label.LV], [50 * 15 / 1000, 20 * 15 / 1000])
    np.testing.assert_allclose(volumes[Label.MYO], [0.6, 0.63])


def test_one_frame_is_a_curve_of_one_value() -> None:
    labels = labels_of_counts({Label.RV: [100]})[0]
    np.testing.assert_allclose(volumes_ml(labels, (10, 1, 1))[Label.RV], [1.0])


@pytest.mark.parametrize("spacing", [(8, 1.5), (8, 0, 1), (8, np.nan, 1)])
def test_bad_spacing_is_refused(spacing: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"spacing \(z, y, x\)"):
        volumes_ml(np.zeros((2, 1, 4, 4), np.uint8), spacing)


def test_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(T, Z, Y, X\), got shape \(4, 4\)"):
        volumes_ml(np.zeros((4, 4), np.uint8), (1, 1, 1))


@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(16, 50),
    ed=st.integers(0, 49),
    share=st.floats(0.25, 0.6),
    ef=st.floats(0.1, 0.8),
)
def test_phases_of_a_clean_curve_are_found_exactly(frames: int, ed: int, share: float, ef: float) -> None:
    ed %= frames
    es = (ed + max(2, round(share * frames))) % frames
    curve = beat(frames, ed=ed, es=es, esv=150 * (1 - ef))
    assert end_diastole(curve) == ed
    assert end_systole(curve) == es
    np.testing.assert_array_equal(without_outliers(curve), curve)


@pytest.mark.parametrize("value", [0.0, 20.0, 400.0])
@pytest.mark.parametrize("frame", [0, 4, 9, 16, 24])
def test_a_frame_that_sticks_out_does_not_count(value: float, frame: int) -> None:
    curve = beat()
    curve[frame] = value
    # Where the extreme itself is lost, the frame beside it is the best that can be known.
    assert min(abs(end_diastole(curve) - 0), abs(end_diastole(curve) - FRAMES)) <= 1
    assert abs(end_systole(curve) - 9) <= 1
    assert np.abs(without_outliers(curve) - beat()).max() < 12


def test_frames_without_labels_are_bridged() -> None:
    curve = beat()
    curve[10:15] = 0
    assert end_systole(curve) == 9
    assert end_diastole(curve) == 0
    assert (without_outliers(curve) > 0).all()


def test_a_pair_of_frames_has_its_phases() -> None:
    assert (end_diastole([120.0, 50.0]), end_systole([120.0, 50.0])) == (0, 1)


@pytest.mark.parametrize("curve", [[0.0, 0.0], [1.0, np.nan], [1.0, -2.0], [[1.0]]])
def test_what_is_no_curve_is_refused(curve: list[float]) -> None:
    with pytest.raises(InputError, match="volume curve"):
        end_diastole(curve)


def test_ejection_fraction_is_in_percent_of_the_volume_at_ed() -> None:
    assert ejection_fraction([100.0, 70.0, 40.0], ed=0, es=2) == pytest.approx(60.0)


def test_ejection_fraction_needs_a_volume_and_frames_that_are_there() -> None:
    with pytest.raises(InputError, match="frame 0 has 0 ml"):
        ejection_fraction([0.0, 1.0], ed=0, es=1)
    with pytest.raises(InputError, match="ES = 2"):
        ejection_fraction([2.0, 1.0], ed=0, es=2)


def test_function_of_both_ventricles_at_the_phases_of_the_left_one() -> None:
    volumes = {
        Label.LV: beat(es=9, edv=140, esv=56),
        Label.RV: beat(es=11, edv=160, esv=80),
        Label.MYO: np.full(FRAMES, 100.0),
    }
    function = cardiac_function(volumes)
    assert (function.ed, function.es) == (0, 9)
    left, right = function.ventricles[Label.LV], function.ventricles[Label.RV]
    assert left.ejection_fraction == pytest.approx(60.0)
    assert left.stroke_ml == pytest.approx(84.0)
    assert right.end_diastolic_ml == pytest.approx(160.0)
    assert right.end_systolic_ml == pytest.approx(volumes[Label.RV][9])
    assert function.mass_g == pytest.approx(105.0)
    assert mass_g(100.0) == pytest.approx(105.0)
    assert function.to_json()["ejection_fraction"]["LV"] == pytest.approx(60.0)


@pytest.mark.parametrize(
    ("esv", "says"),
    [
        (95.0, None),
        (10.0, None),
        (95.1, "an ejection fraction of 4.9 % of LV is implausible (expected 5 to 90 %; ED is frame 0, ES "),
        (9.9, "an ejection fraction of 90.1 % of LV is implausible"),
        (101.0, "the volume of LV at ES (101.0 ml, frame 1) is larger than at ED (100.0 ml, frame 0)"),
    ],
)
def test_function_that_no_heart_has_is_warned_of(esv: float, says: str | None) -> None:
    volumes = {Label.LV: [100.0, esv, 97.0], Label.RV: [90.0, 45.0, 80.0]}
    found = cardiac_function(volumes, ed=0, es=1).warnings()
    assert len(found) == (says is not None)
    assert says is None or found[0].startswith(says)
    assert len(cardiac_function({**volumes, Label.RV: [90.0, 1.0, 80.0]}, ed=0, es=1).warnings()) == len(found) + 1


def test_given_phases_are_kept() -> None:
    function = cardiac_function({Label.LV: beat()}, ed=24, es=8)
    assert (function.ed, function.es) == (24, 8)
    assert function.mass_g is None
    assert function.to_json()["mass_g"] == {}


def test_the_right_ventricle_leads_where_there_is_no_left_one() -> None:
    function = cardiac_function({Label.RV: beat(es=11), Label.MYO: np.ones(FRAMES)})
    assert function.es == 11
    assert set(function.ventricles) == {Label.RV}


def test_atria_alone_have_no_such_function() -> None:
    with pytest.raises(InputError, match="LV or RV, got the structures LA"):
        cardiac_function({Label.LA: beat()})


def test_few_frames_may_have_a_single_one_at_end_systole() -> None:
    # A phantom of 12 frames as a network saw it.
    curve = np.array([120, 96, 88, 80, 72, 56, 71, 87, 96, 96, 96, 98], float)
    np.testing.assert_array_equal(without_outliers(curve), curve)
    assert end_systole(curve) == 5
