"""A film of contours over a cine, as an animated GIF: a montage of the slices, cropped to the heart."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import contourpy
import numpy as np
import numpy.typing as npt
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.labels import COLOURS, STRUCTURES, Label

Labels = npt.NDArray[np.integer[Any]]
Progress = Callable[[float, str], None]

_GREYS = 96
"""Grey levels of the film: more would double the file and hardly show."""

_OVERSAMPLING = 2
"""Contours are drawn so many times larger and averaged, which smooths their edges."""

_MARGIN_MM = 12.0
_BAR = 26
"""Height in pixels of the line above the montage."""

_GAP = 2


@dataclass(frozen=True)
class _Crop:
    """Part of a slice that is shown, in pixels: rows y0 to y1, columns x0 to x1, ends not included."""

    y0: int
    y1: int
    x0: int
    x1: int


def write_film(
    path: Path | str,
    cine: Cine,
    labels: Labels,
    *,
    truth: Labels | None = None,
    key_frames: Mapping[int, str] | None = None,
    slow_motion: float = 2.0,
    largest_bytes: int = 5_000_000,
    progress: Progress | None = None,
) -> None:
    """Write a looping GIF of the cine with the outlines of the labels.

    Args:
        path: the file to write; it appears whole or not at all.
        cine: (T, Z, Y, X).
        labels: (T, Z, Y, X); outlines in `labels.COLOURS`.
        truth: the same from the truth, drawn as thin white outlines beneath.
        key_frames: frames with labels of their own and what to call them ("drawn", "corrected"); they have a
            yellow frame.
        slow_motion: how many times slower than the heart the film runs.
        largest_bytes: the film is made smaller until its file is.
        progress: called as progress(fraction, message); may raise to stop.

    Raises:
        InputError: labels of another shape, or a film that cannot be made small enough.
    """
    for name, array in (("labels", labels), ("truth", truth)):
        if array is not None and np.shape(array) != cine.shape:
            raise InputError(f"{name} must be (T, Z, Y, X) = {cine.shape} as the cine, got {np.shape(array)}")
    if slow_motion <= 0 or largest_bytes <= 0:
        raise InputError(f"expected positive slow_motion and largest_bytes, got {slow_motion}, {largest_bytes}")
    report = progress or (lambda _fraction, _message: None)
    scene = _Scene(cine, labels, truth, dict(key_frames or {}))
    scale = scene.first_scale()
    for attempt in range(6):
        frames = []
        for t in range(cine.n_frames):
            report(t / cine.n_frames, "drawing the film" if attempt == 0 else "drawing the film smaller")
            frames.append(scene.draw(t, scale))
        data = _encode(frames, _durations(cine, slow_motion))
        if len(data) <= largest_bytes:
            with atomic_path(path) as temporary:
                temporary.write_bytes(data)
            report(1.0, "film written")
            return
        scale *= 0.95 * math.sqrt(largest_bytes / len(data))
        if scale * min(scene.height, scene.width) < 16:
            break
    raise InputError(f"a film of {cine.shape} does not fit into {largest_bytes} bytes")


class _Scene:
    """What every frame of the film shares: the crop, the window of the intensities, the layout."""

    def __init__(self, cine: Cine, labels: Labels, truth: Labels | None, key_frames: Mapping[int, str]) -> None:
        self.cine = cine
        self.labels = np.asarray(labels)
        self.truth = None if truth is None else np.asarray(truth)
        self.key_frames = key_frames
        shown = self.labels if self.truth is None else np.maximum(self.labels, self.truth)
        self.crop = _crop(shown, cine.spacing)
        self.slices = _shown_slices(shown)
        c = self.crop
        part = cine.frames[:, self.slices, c.y0 : c.y1, c.x0 : c.x1]
        low, high = np.percentile(part, (0.5, 99.5))
        self.images = np.clip((part - low) / max(float(high - low), 1e-6), 0, 1)
        self.structures = [s for s in STRUCTURES if (shown == s).any()]
        pixel = min(cine.spacing[1:])
        self.height = (c.y1 - c.y0) * cine.spacing[1] / pixel
        self.width = (c.x1 - c.x0) * cine.spacing[2] / pixel
        self.columns = _columns(len(self.slices), self.width / self.height)

    def first_scale(self) -> float:
        """Magnification: 3 where the montage stays within 1200 x 900, less otherwise, never below 1."""
        rows = math.ceil(len(self.slices) / self.columns)
        fit = min(1200 / (self.columns * self.width), 900 / (rows * self.height))
        return float(np.clip(fit, 1.0, 3.0))

    def draw(self, t: int, scale: float) -> Image.Image:
        """Frame t of the film, in true colours."""
        height, width = round(self.height * scale), round(self.width * scale)
        rows = math.ceil(len(self.slices) / self.columns)
        montage = Image.new(
            "RGB",
            (
                max(self.columns * (width + _GAP) + _GAP, self._bar_width()),
                _BAR + rows * (height + _GAP) + _GAP,
            ),
        )
        for i, z in enumerate(self.slices):
            tile = self._tile(t, i, z, (height, width))
            row, column = divmod(i, self.columns)
            montage.paste(tile, (_GAP + column * (width + _GAP), _BAR + _GAP + row * (height + _GAP)))
        self._bar(montage, t)
        return montage

    def _tile(self, t: int, i: int, z: int, size: tuple[int, int]) -> Image.Image:
        height, width = (n * _OVERSAMPLING for n in size)
        grey = Image.fromarray((self.images[t, i] * 255).astype(np.uint8))
        tile = grey.resize((width, height), Image.Resampling.BICUBIC).convert("RGB")
        pen = ImageDraw.Draw(tile)
        c = self.crop
        if self.truth is not None:
            self._outline(pen, self.truth[t, z, c.y0 : c.y1, c.x0 : c.x1], (height, width), truth=True)
        self._outline(pen, self.labels[t, z, c.y0 : c.y1, c.x0 : c.x1], (height, width), truth=False)
        tile = tile.resize(size[::-1], Image.Resampling.BOX)
        ImageDraw.Draw(tile).text(
            (3, 1), f"slice {z}", fill=(255, 255, 255), font=_font(10), stroke_width=1, stroke_fill=(0, 0, 0)
        )
        return tile

    def _outline(self, pen: ImageDraw.ImageDraw, labels: Labels, size: tuple[int, int], *, truth: bool) -> None:
        for structure in self.structures:
            colour = (255, 255, 255) if truth else _rgb(structure)
            stroke = _OVERSAMPLING if truth else 2 * _OVERSAMPLING
            for line in outlines(labels == structure):
                y, x = (line + 0.5).T * np.array([[size[0] / labels.shape[0]], [size[1] / labels.shape[1]]])
                pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=colour, width=stroke, joint="curve")

    def _bar_width(self) -> int:
        return 210 + 58 * len(self.structures) + (60 if self.truth is not None else 0)

    def _bar(self, montage: Image.Image, t: int) -> None:
        """The line above: frame number, what kind of frame, and the colours."""
        pen = ImageDraw.Draw(montage)
        text = f"frame {t} (0 to {self.cine.n_frames - 1})"
        pen.text((6, 6), text, fill=(235, 235, 235), font=_font(13))
        if t in self.key_frames:
            x = 6 + int(pen.textlength(text, font=_font(13))) + 10
            name = self.key_frames[t] or "key frame"
            pen.text((x, 6), f"● {name}", fill=_KEY_COLOUR, font=_font(13))
            pen.rectangle((0, 0, montage.width - 1, montage.height - 1), outline=_KEY_COLOUR, width=3)
        x = montage.width - 8
        names = [(s.name, _rgb(s)) for s in self.structures]
        if self.truth is not None:
            names.append(("truth", (255, 255, 255)))
        for name, colour in reversed(names):
            x -= int(pen.textlength(name, font=_font(12)))
            pen.text((x, 6), name, fill=colour, font=_font(12))
            x -= 18
            pen.line([(x, 14), (x + 13, 14)], fill=colour, width=3 if name != "truth" else 1)
            x -= 10


_KEY_COLOUR = (255, 215, 60)


def outlines(mask: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.float64]]:
    """Outlines of a mask (Y, X) as lines (N, 2) of points (y, x) in pixels, sub-pixel, closed at the borders, too.

    The mask is slightly smoothed first, which takes its staircase away and moves a straight edge by nothing.
    """
    if not mask.any():
        return []
    padded = np.pad(mask.astype(np.float64), 2)
    smooth = ndimage.gaussian_filter(padded, 0.7)
    # What smoothing would wipe out, single pixels and thin lines, keeps its own outline.
    smooth = np.maximum(smooth, 0.51 * padded)
    lines = contourpy.contour_generator(z=smooth, line_type=contourpy.LineType.Separate).lines(0.5)
    return [np.asarray(line, dtype=np.float64)[:, ::-1] - 2 for line in lines]


def _crop(labels: Labels, spacing: tuple[float, float, float]) -> _Crop:
    """What holds every label of every frame, with a margin; everything where there is no label."""
    rows, columns = np.flatnonzero(labels.any(axis=(0, 1, 3))), np.flatnonzero(labels.any(axis=(0, 1, 2)))
    if not rows.size:
        return _Crop(0, labels.shape[2], 0, labels.shape[3])
    y, x = (math.ceil(_MARGIN_MM / s) for s in spacing[1:])
    return _Crop(
        max(0, int(rows[0]) - y),
        min(labels.shape[2], int(rows[-1]) + y + 1),
        max(0, int(columns[0]) - x),
        min(labels.shape[3], int(columns[-1]) + x + 1),
    )


def _shown_slices(labels: Labels) -> list[int]:
    """Slices with a label in any frame, and those between them; all where there is no label."""
    found = np.flatnonzero(labels.any(axis=(0, 2, 3)))
    return list(range(int(found[0]), int(found[-1]) + 1)) if found.size else list(range(labels.shape[1]))


def _columns(count: int, aspect: float) -> int:
    """Number of columns that brings the montage closest to four by three with few empty places."""

    def misfit(columns: int) -> float:
        rows = math.ceil(count / columns)
        return abs(math.log(columns * aspect / rows / (4 / 3))) + 0.5 * (rows * columns - count) / count

    return min(range(1, count + 1), key=misfit)


def _rgb(structure: Label) -> tuple[int, int, int]:
    red, green, blue = (round(255 * value) for value in COLOURS[structure])
    return red, green, blue


def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font that comes with matplotlib, so that the film looks the same everywhere."""
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)


def _durations(cine: Cine, slow_motion: float) -> list[int]:
    """Milliseconds for each frame; GIF counts in hundredths of a second, and players refuse less than two."""
    ends = np.append(cine.frame_times, cine.frame_times[0] + cine.cycle_seconds) * slow_motion * 100
    ticks = np.diff(np.round(ends)).clip(2)
    return [int(10 * tick) for tick in ticks]


def _encode(frames: list[Image.Image], durations: list[int]) -> bytes:
    """The frames as one GIF of one palette: greys, and the colours as they occur on grey."""
    palette = _palette()
    paletted = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    paletted[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=paletted[1:],
        duration=durations,
        loop=0,
        disposal=1,
        optimize=False,
    )
    return buffer.getvalue()


def _palette() -> Image.Image:
    """Greys, and each colour mixed with black, greys and white in steps, for smooth edges."""
    colours = [(g, g, g) for g in np.linspace(0, 255, _GREYS).round().astype(int).tolist()]
    for base in [*(_rgb(s) for s in STRUCTURES), _KEY_COLOUR]:
        for share in (1.0, 0.75, 0.5, 0.25):
            greys = (0,) if share == 1.0 else (0, 64, 128, 192, 255)
            colours += [
                tuple(round(share * value + (1 - share) * grey) for value in base)  # type: ignore[misc]
                for grey in greys
            ]
    image = Image.new("P", (1, 1))
    flat = [value for colour in colours[:256] for value in colour]
    image.putpalette(flat + flat[-3:] * (256 - len(flat) // 3))
    return image
