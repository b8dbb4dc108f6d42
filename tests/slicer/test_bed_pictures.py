"""Slice views and panels become pictures that show something."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.slicer.bed.rendering import why_no_rendering

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed


def test_slice_view_with_segments_over_the_image(bed: Bed, pictures: Path) -> None:
    reason = why_no_rendering()
    if reason:
        pytest.skip(f"not run: {reason}")
    z, y, x = np.mgrid[:8, :96, :80]
    image = (120 + 60 * np.sin(x / 7.0) * np.cos(y / 9.0) + 0 * z).astype(np.int16)
    volume = bed.slicer.util.addVolumeFromArray(image, name="Cine")
    volume.SetSpacing(1.5, 1.5, 8.0)
    volume.CreateDefaultDisplayNodes()
    segmentation = bed.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Contours")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    radius = np.hypot(x - 40, y - 48)
    for name, colour, mask in (
        ("LV", (1.0, 0.0, 0.0), radius < 12),
        ("MYO", (0.0, 1.0, 0.0), (radius >= 12) & (radius < 20)),
    ):
        segmentation.GetSegmentation().AddEmptySegment(name, name, colour)
        bed.slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation, name, volume)
    bed.slicer.util.setSliceViewerLayers(background=volume, fit=True)
    with bed.slicer.app.layoutManager().picture("Red", (400, 320)) as view:
        pixels = view.pixels().astype(int)
        view.save(pictures / "bed_slice.png")
        segmentation.GetDisplayNode().SetVisibility(False)
        bare = view.pixels().astype(int)
    assert pixels.shape == (320, 400, 3)
    red, green = (pixels[..., k] - np.delete(pixels, k, axis=2).max(axis=2) > 40 for k in (0, 1))
    assert 0.4 < red.sum() / green.sum() < 0.75  # pi 12**2 over pi (20**2 - 12**2) is 0.56
    assert np.ptp(bare, axis=2).max() == 0
    assert bare.max() - bare.min() > 100
    inside = red & (bare[..., 0] > 0)
    assert np.unique(pixels[inside][:, 1]).size > 5  # the image is seen through the fill


def test_panel_with_letters(bed: Bed, pictures: Path) -> None:
    qt, ctk = bed.qt, bed.ctk
    panel = bed.slicer.qMRMLWidget()
    layout = qt.QVBoxLayout(panel)
    for title, collapsed in (("Case", False), ("Propagate", False), ("Learn", True)):
        section = ctk.ctkCollapsibleButton()
        section.text = title
        form = qt.QFormLayout(section)
        selector = bed.slicer.qMRMLNodeComboBox()
        selector.nodeTypes = ["vtkMRMLSequenceNode"]
        selector.setMRMLScene(bed.scene)
        slider = ctk.ctkSliderWidget()
        slider.minimum, slider.maximum, slider.value, slider.suffix = 0, 10, 4, " mm"
        progress = qt.QProgressBar()
        progress.value = 40
        for label, widget in (
            ("Cine:", selector),
            ("File:", ctk.ctkPathLineEdit()),
            ("Smoothness:", slider),
            ("Progress:", progress),
            ("Play:", bed.slicer.qMRMLSequenceBrowserPlayWidget()),
        ):
            form.addRow(label, widget)
        section.collapsed = collapsed
        layout.addWidget(section)
    layout.addStretch(1)
    path = bed.grab(panel, pictures / "bed_panel.png", width=440)
    assert len(np.unique(np.asarray(Image.open(path))[..., :3].reshape(-1, 3), axis=0)) > 20
    assert panel.width == 440


def test_fonts_have_letters(bed: Bed) -> None:
    font = bed.qt.QRawFont.fromFont(bed.qt.QApplication.font())
    assert all(font.supportsCharacter(ord(letter)) for letter in "Amm³äÉ°µ")


def test_a_system_without_fonts(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("tests.slicer.bed.pictures")
    added: list[str] = []
    monkeypatch.setattr(bed.qt.QFontDatabase, "families", list)
    monkeypatch.setattr(bed.qt.QFontDatabase, "addApplicationFont", added.append)
    module.use_readable_font()
    assert len(added) == 3
    assert all(Path(path).is_file() for path in added)
