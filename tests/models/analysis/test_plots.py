from pathlib import Path

import numpy as np
import pytest
from cardiac_motion.analysis.plots import save_figure, volume_time_curve
from cardiac_motion.errors import InputError
from cardiac_motion.labels import COLOURS, Label
from matplotlib.figure import Figure
from PIL import Image

TIMES = np.arange(10) * 0.08
LV = np.array([120, 110, 90, 65, 50, 60, 85, 100, 110, 118.0])


def figure_of_both_ventricles() -> Figure:
    volumes = {Label.LV: LV, Label.RV: LV + 20, Label.MYO: np.full(10, 90.0)}
    return volume_time_curve(
        volumes, TIMES, truth={Label.LV: LV - 5}, key_frames={0: "drawn", 4: "corrected"}, title="a study"
    )


def test_curves_are_in_ms_and_ml_with_the_truth_dashed() -> None:
    axes = figure_of_both_ventricles().axes[0]
    lines = {str(line.get_label()): line for line in axes.get_lines()}
    by_name = {name: line for name, line in lines.items() if not name.startswith("_")}
    left = by_name["LV cavity, EF 58 %"]
    np.testing.assert_allclose(np.asarray(left.get_xydata()), np.stack([1000 * TIMES, LV], axis=1))
    truth = by_name["LV cavity, truth, EF 61 %"]
    assert left.get_linestyle() == "-"
    assert truth.get_linestyle() == "--"
    assert left.get_color() == truth.get_color() == COLOURS[Label.LV]
    assert len(by_name) == 3, "the myocardium is no cavity and is not drawn"
    assert "ms" in axes.get_xlabel()
    assert "ml" in axes.get_ylabel()
    assert {text.get_text() for text in axes.texts} == {"ED (frame 0)", "ES (frame 4)"}


@pytest.mark.parametrize(
    ("key_frames", "says"),
    [
        ({0: "drawn", 4: "corrected"}, "key frame 0 (drawn), 4 (corrected)"),
        ({0: "drawn", 4: "drawn", 9: "corrected"}, "key frame 0 (drawn), 4 (drawn), 9 (corrected)"),
        ({4: ""}, "key frame 4"),
        (dict.fromkeys(range(10), "drawn"), "key frames: 10 drawn"),
        ({**dict.fromkeys(range(10), "drawn"), 4: "corrected"}, "key frames: 9 drawn, frame 4 corrected"),
    ],
)
def test_the_legend_lies_within_the_figure_however_many_key_frames_there_are(
    key_frames: dict[int, str], says: str
) -> None:
    volumes = dict.fromkeys((Label.LV, Label.RV, Label.LA, Label.RA), LV)
    figure = volume_time_curve(volumes, TIMES, truth=volumes, key_frames=key_frames)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert legend.get_texts()[-1].get_text() == says
    within, whole = legend.get_window_extent(), figure.bbox
    assert whole.x0 <= within.x0 < within.x1 <= whole.x1
    assert whole.y0 <= within.y0 < within.y1 <= whole.y1


def test_the_file_appears_whole(tmp_path: Path) -> None:
    save_figure(figure_of_both_ventricles(), tmp_path / "curve.png")
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]
    with Image.open(tmp_path / "curve.png") as image:
        assert image.size[0] > 600
        assert np.asarray(image.convert("RGB")).std() > 5


def test_curves_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="truth of LV: expected 10 frames"):
        volume_time_curve({Label.LV: LV}, TIMES, truth={Label.LV: LV[:5]})
