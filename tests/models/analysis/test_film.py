from pathlib import Path

import numpy as np
import pytest
from cardiac_motion.analysis.film import outlines, write_film
from cardiac_motion.cine import Cine
from cardiac_motion.errors import Cancelled, InputError
from cardiac_motion.labels import COLOURS, Label
from PIL import Image, ImageSequence

T, Z, Y, X = 5, 4, 60, 70
AFFINE = np.diag([1.5, 1.5, 8.0, 1.0])


def beating_disc() -> tuple[Cine, np.ndarray]:
    """A ring with a cavity that shrinks; nothing in the last slice."""
    y, x = np.mgrid[:Y, :X]
    distance = np.hypot(y - 32.0, x - 40.0)
    labels = np.zeros((T, Z, Y, X), dtype=np.uint8)
    for t in range(T):
        labels[t, : Z - 1, distance < 14] = Label.MYO
        labels[t, : Z - 1, distance < 10 - t] = Label.LV
    rng = np.random.default_rng(0)
    frames = np.where(labels == Label.LV, 200, 60) + rng.normal(0, 10, labels.shape)
    return Cine(frames.astype(np.float32), AFFINE, np.arange(T) * 0.05), labels


def has_colour(frame: Image.Image, colour: tuple[float, float, float]) -> bool:
    pixels = np.asarray(frame.convert("RGB")).astype(int)[30:]
    return bool((np.abs(pixels - np.round(np.array(colour) * 255)).max(axis=-1) < 12).sum() > 20)


def test_the_film_has_every_frame_loops_and_shows_the_outlines(tmp_path: Path) -> None:
    cine, labels = beating_disc()
    seen: list[float] = []
    path = tmp_path / "film.gif"
    write_film(
        path,
        cine,
        labels,
        truth=np.roll(labels, 1, axis=3),
        key_frames={0: "drawn"},
        progress=lambda fraction, _message: seen.append(fraction),
    )
    assert [entry.name for entry in tmp_path.iterdir()] == ["film.gif"]
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    with Image.open(path) as film:
        assert film.info["loop"] == 0
        pictures, durations = [], []
        for frame in ImageSequence.Iterator(film):
            pictures.append(frame.convert("RGB"))
            durations.append(frame.info["duration"])
    assert durations == [100] * T, "50 ms a frame, twice slower"
    for picture in pictures:
        assert has_colour(picture, COLOURS[Label.LV])
        assert has_colour(picture, COLOURS[Label.MYO])
        assert not has_colour(picture, COLOURS[Label.RV])
    corners = [np.asarray(picture)[1, 1].max() for picture in pictures]
    assert corners[0] > 200, "the key frame has a frame around it"
    assert max(corners[1:]) < 20


def test_the_film_shrinks_to_the_size_that_is_asked_for(tmp_path: Path) -> None:
    cine, labels = beating_disc()
    write_film(tmp_path / "large.gif", cine, labels)
    size = (tmp_path / "large.gif").stat().st_size
    write_film(tmp_path / "small.gif", cine, labels, largest_bytes=size // 3)
    assert (tmp_path / "small.gif").stat().st_size <= size // 3
    with pytest.raises(InputError, match="does not fit into 300 bytes"):
        write_film(tmp_path / "tiny.gif", cine, labels, largest_bytes=300)
    assert not (tmp_path / "tiny.gif").exists()


def test_labels_of_another_cine_are_refused(tmp_path: Path) -> None:
    cine, labels = beating_disc()
    with pytest.raises(InputError, match=r"labels must be \(T, Z, Y, X\)"):
        write_film(tmp_path / "film.gif", cine, labels[:3])


def test_stopping_leaves_nothing_behind(tmp_path: Path) -> None:
    cine, labels = beating_disc()

    def stop(fraction: float, _message: str) -> None:
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        write_film(tmp_path / "film.gif", cine, labels, progress=stop)
    assert not list(tmp_path.iterdir())


def test_a_cine_without_labels_is_shown_whole(tmp_path: Path) -> None:
    cine, labels = beating_disc()
    write_film(tmp_path / "film.gif", cine, np.zeros_like(labels))
    with Image.open(tmp_path / "film.gif") as film:
        assert len(list(ImageSequence.Iterator(film))) == T
        assert film.size[0] >= 2 * X


def test_an_outline_runs_along_the_edge_between_pixels() -> None:
    y, x = np.mgrid[:41, :41]
    mask = np.hypot(y - 20.0, x - 20.0) < 12.3
    (line,) = outlines(mask)
    radii = np.hypot(*(line - 20).T)
    assert radii.mean() == pytest.approx(np.sqrt(mask.sum() / np.pi), abs=0.1)
    assert radii.std() < 0.25
    np.testing.assert_allclose(line[0], line[-1])


def test_a_straight_edge_stays_where_it_is_and_single_pixels_are_kept() -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[:, 10:] = True
    (line,) = outlines(mask)
    edge = line[(line[:, 0] > 4) & (line[:, 0] < 15) & (line[:, 1] < 15)]
    np.testing.assert_allclose(edge[:, 1], 9.5, atol=0.05)
    single = np.zeros((9, 9), dtype=bool)
    single[4, 4] = True
    assert len(outlines(single)) == 1
    assert outlines(np.zeros((9, 9), dtype=bool)) == []
