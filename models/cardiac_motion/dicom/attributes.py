"""What single-frame and enhanced images say of a frame: place, size of pixels, times, rescaling."""

from __future__ import annotations

import re

import numpy as np

from cardiac_motion.dicom.header import Elements


def positive(value: float | None) -> float | None:
    """The number, or None if there is none above 0."""
    return value if value is not None and value > 0 else None


class Plain:
    """Attributes of a single-frame image."""

    def __init__(self, values: Elements) -> None:
        self._values = values

    def image_type(self) -> tuple[str, ...]:
        """Values of the type of the image."""
        return self._values.texts("ImageType")

    def position(self) -> tuple[float, ...] | None:
        """(x, y, z) of the first pixel, LPS in mm."""
        return self._values.numbers("ImagePositionPatient", 3)

    def orientation(self) -> tuple[float, ...] | None:
        """Directions of the rows, then of the columns, LPS."""
        return self._values.numbers("ImageOrientationPatient", 6)

    def pixel_spacing(self) -> tuple[float, ...] | None:
        """Between rows, then between columns, mm."""
        return self._values.numbers("PixelSpacing", 2)

    def thickness_mm(self) -> float | None:
        """Of the slice."""
        return self._values.number("SliceThickness")

    def trigger_ms(self) -> float | None:
        """Time after the R wave, the nominal one where there are two."""
        return self._values.number("TriggerTime")

    def actual_ms(self) -> float | None:
        """The same as measured, where a file has it beside the nominal one."""
        return None

    def rr_ms(self) -> float | None:
        """Nominal length of the heart cycle."""
        rate = positive(self._values.number("HeartRate"))
        return positive(self._values.number("NominalInterval")) or (60_000 / rate if rate else None)

    def contrast(self) -> tuple[float | None, float | None]:
        """Echo and inversion time."""
        return self._values.number("EchoTime"), self._values.number("InversionTime")

    def acquired(self) -> str:
        """Year to second as 14 digits; empty where unknown."""
        values = self._values
        found = _moment(values.text("AcquisitionDateTime"))
        for what in ("Acquisition", "Content", "Series"):
            found = found or _moment(values.text(f"{what}Date"), values.text(f"{what}Time"))
        return found

    def rescale(self) -> tuple[float, float]:
        """Slope and intercept; NaN where they are no numbers."""
        return _slope_and_intercept(self._values)


def _moment(*parts: str) -> str:
    """Year to second as 14 digits, of a date and time or of both in one; empty if any of it is missing."""
    digits = "".join(re.sub("[^0-9]", "", part.split(".")[0]) for part in parts)
    return digits[:14] if len(digits) >= 14 else ""


def _slope_and_intercept(values: Elements) -> tuple[float, float]:
    """1 and 0 where they are not stated; NaN where they are, and are no numbers."""
    found = []
    for keyword, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0)):
        number = values.number(keyword)
        found.append(default if not values.text(keyword) else np.nan if number is None else number)
    slope, intercept = found
    return (slope, intercept) if np.isfinite(intercept) else (np.nan, intercept)


class FunctionalGroups(Plain):
    """Attributes of a frame of an enhanced image: its own group, else the one that all share."""

    def __init__(self, own: Elements, shared: Elements, values: Elements) -> None:
        super().__init__(values)
        self._own, self._shared = own, shared

    def _group(self, keyword: str) -> Elements:
        items = self._own.items(keyword) or self._shared.items(keyword)
        return items[0] if items else Elements(lambda _: None)

    def image_type(self) -> tuple[str, ...]:
        """Type of the frame, and which part of the complex signal it is."""
        group = self._group("MRImageFrameTypeSequence")
        component = group.text("ComplexImageComponent") or self._values.text("ComplexImageComponent")
        return (*(group.texts("FrameType") or super().image_type()), component)

    def position(self) -> tuple[float, ...] | None:
        """(x, y, z) of the first pixel, LPS in mm."""
        return self._group("PlanePositionSequence").numbers("ImagePositionPatient", 3)

    def orientation(self) -> tuple[float, ...] | None:
        """Directions of the rows, then of the columns, LPS."""
        return self._group("PlaneOrientationSequence").numbers("ImageOrientationPatient", 6)

    def pixel_spacing(self) -> tuple[float, ...] | None:
        """Between rows, then between columns, mm."""
        return self._group("PixelMeasuresSequence").numbers("PixelSpacing", 2)

    def thickness_mm(self) -> float | None:
        """Of the slice."""
        return self._group("PixelMeasuresSequence").number("SliceThickness")

    def trigger_ms(self) -> float | None:
        """Time after the R wave, the nominal one where there are two."""
        nominal = self._group("CardiacSynchronizationSequence").double("NominalCardiacTriggerDelayTime")
        # Legacy converted images keep the tag of the single-frame ones.
        others = (self.actual_ms(), self._unassigned().number("TriggerTime"))
        return nominal if nominal is not None else next((each for each in others if each is not None), None)

    def actual_ms(self) -> float | None:
        """The same as measured."""
        return self._group("CardiacSynchronizationSequence").double("ActualCardiacTriggerDelayTime")

    def rr_ms(self) -> float | None:
        """Nominal length of the heart cycle."""
        interval = positive(self._group("CardiacSynchronizationSequence").double("RRIntervalTimeNominal"))
        return interval or positive(self._unassigned().number("NominalInterval"))

    def _unassigned(self) -> Elements:
        return self._group("UnassignedPerFrameConvertedAttributesSequence")

    def contrast(self) -> tuple[float | None, float | None]:
        """Echo and inversion time."""
        inversion = self._group("MRModifierSequence").double("InversionTimes")
        return self._group("MREchoSequence").double("EffectiveEchoTime"), inversion

    def acquired(self) -> str:
        """Year to second as 14 digits; empty where unknown."""
        return _moment(self._group("FrameContentSequence").text("FrameAcquisitionDateTime")) or super().acquired()

    def rescale(self) -> tuple[float, float]:
        """Slope and intercept; NaN where they are no numbers."""
        return _slope_and_intercept(self._group("PixelValueTransformationSequence"))
