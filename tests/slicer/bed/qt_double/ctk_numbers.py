"""ctk's widgets for numbers: spin boxes, sliders, a range."""

# ruff: noqa: N801, N815 - names are ctk's
from __future__ import annotations

from typing import Any

from PySide6 import QtCore

from tests.slicer.bed.qt_double.declare import Property, Signal
from tests.slicer.bed.qt_double.namespace import qt_module

qt: Any = qt_module()


def _of_spin(kind: Any, name: str) -> Any:
    """A Qt property that is the inner spin box's."""

    def read(self: Any) -> Any:
        return getattr(self._stand_in_spin, name)

    def write(self: Any, value: Any) -> None:
        setattr(self._stand_in_spin, name, value)

    return Property(kind, read, write)


class ctkDoubleSpinBox(qt.QWidget):
    """A spin box in a widget of its own (ctk's is no QDoubleSpinBox either)."""

    _stands_for = "ctkDoubleSpinBox"
    valueChanged = Signal(float)
    editingFinished = Signal()
    value = _of_spin(float, "value")
    minimum = _of_spin(float, "minimum")
    maximum = _of_spin(float, "maximum")
    singleStep = _of_spin(float, "singleStep")
    decimals = _of_spin(int, "decimals")
    prefix = _of_spin(str, "prefix")
    suffix = _of_spin(str, "suffix")
    readOnly = _of_spin(bool, "readOnly")

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._stand_in_spin = qt.QDoubleSpinBox()
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stand_in_spin)
        self._stand_in_spin.valueChanged.connect(self.valueChanged)
        self._stand_in_spin.editingFinished.connect(self.editingFinished)

    def setRange(self, minimum: float, maximum: float) -> None:
        self._stand_in_spin.setRange(minimum, maximum)

    def setValue(self, value: float) -> None:
        self.value = value


class ctkDoubleSlider(qt.QWidget):
    """A slider over real numbers."""

    _stands_for = "ctkDoubleSlider"
    valueChanged = Signal(float)
    sliderReleased = Signal()
    sliderPressed = Signal()

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._stand_in_numbers = {"minimum": 0.0, "maximum": 99.0, "singleStep": 1.0, "pageStep": 10.0}
        self._stand_in_value = 0.0
        self._stand_in_slider = qt.QSlider(QtCore.Qt.Orientation.Horizontal)
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stand_in_slider)
        self._stand_in_follow()
        self._stand_in_slider.valueChanged.connect(self._stand_in_moved)
        self._stand_in_slider.sliderReleased.connect(self.sliderReleased)
        self._stand_in_slider.sliderPressed.connect(self.sliderPressed)

    def _stand_in_moved(self, tick: int) -> None:
        if not self._stand_in_following:
            self.value = self.minimum + tick * self.singleStep

    def _stand_in_follow(self) -> None:
        """Sets the ticks of the slider after the numbers; the numbers stay as they are."""
        self._stand_in_following = True
        numbers = self._stand_in_numbers
        step, span = numbers["singleStep"] or 1.0, numbers["maximum"] - numbers["minimum"]
        finite = abs(span) < 1e9 * step
        self._stand_in_slider.setRange(0, round(span / step) if finite else 0)
        self._stand_in_slider.setValue(round((self._stand_in_value - numbers["minimum"]) / step) if finite else 0)
        self._stand_in_following = False

    def _value(self) -> float:
        return self._stand_in_value

    def setValue(self, value: float) -> None:
        numbers = self._stand_in_numbers
        value = min(max(value, numbers["minimum"]), numbers["maximum"])
        if value == self._stand_in_value:
            return
        self._stand_in_value = value
        self._stand_in_follow()
        self.valueChanged(value)

    value = Property(float, _value, setValue)

    @staticmethod
    def _number(name: str) -> Any:
        def read(self: Any) -> float:
            return float(self._stand_in_numbers[name])

        def write(self: Any, value: float) -> None:
            self._stand_in_numbers[name] = value
            self._stand_in_follow()
            self.setValue(self._stand_in_value)

        return Property(float, read, write)

    minimum, maximum = _number("minimum"), _number("maximum")
    singleStep, pageStep = _number("singleStep"), _number("pageStep")

    def setRange(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum


class ctkSliderWidget(qt.QWidget):
    """A slider with a spin box."""

    _stands_for = "ctkSliderWidget"
    valueChanged = Signal(float)
    valueIsChanging = Signal(float)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._stand_in_slider = ctkDoubleSlider()
        self._stand_in_spin = ctkDoubleSpinBox()
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stand_in_slider)
        layout.addWidget(self._stand_in_spin)
        self._stand_in_tracking = True
        self._stand_in_slider.valueChanged.connect(self._stand_in_slider_moved)
        self._stand_in_spin.valueChanged.connect(self.setValue)

    def _stand_in_slider_moved(self, value: float) -> None:
        self._stand_in_spin.value = value
        self.valueIsChanging(value)
        self.valueChanged(value)

    def _value(self) -> float:
        return float(self._stand_in_slider.value)

    def setValue(self, value: float) -> None:
        self._stand_in_slider.value = value

    value = Property(float, _value, setValue)

    @staticmethod
    def _both(name: str) -> Any:
        def read(self: Any) -> float:
            return float(getattr(self._stand_in_slider, name))

        def write(self: Any, value: float) -> None:
            setattr(self._stand_in_slider, name, value)
            if name != "pageStep":
                setattr(self._stand_in_spin, name, value)

        return Property(float, read, write)

    minimum, maximum = _both("minimum"), _both("maximum")
    singleStep, pageStep = _both("singleStep"), _both("pageStep")
    decimals, prefix, suffix = _of_spin(int, "decimals"), _of_spin(str, "prefix"), _of_spin(str, "suffix")

    def _tracking(self) -> bool:
        return self._stand_in_tracking

    def setTracking(self, value: bool) -> None:
        self._stand_in_tracking = value

    tracking = Property(bool, _tracking, setTracking)

    def _spin_visible(self) -> bool:
        return not self._stand_in_spin.isHidden()

    def setSpinBoxVisible(self, value: bool) -> None:
        self._stand_in_spin.setVisible(value)

    spinBoxVisible = Property(bool, _spin_visible, setSpinBoxVisible)

    def setRange(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum


class ctkRangeWidget(qt.QWidget):
    """Two values, the lower at most the upper."""

    _stands_for = "ctkRangeWidget"
    valuesChanged = Signal(float, float)
    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._stand_in_values = (0.0, 99.0)
        self._stand_in_spins = (ctkDoubleSpinBox(), ctkDoubleSpinBox())
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for spin in self._stand_in_spins:
            spin.setRange(0, 99)
            layout.addWidget(spin)
        self._stand_in_show()
        self._stand_in_spins[0].valueChanged.connect(lambda value: self.setValues(value, self.maximumValue))
        self._stand_in_spins[1].valueChanged.connect(lambda value: self.setValues(self.minimumValue, value))

    def _stand_in_show(self) -> None:
        for spin, value in zip(self._stand_in_spins, self._stand_in_values, strict=True):
            was = spin.blockSignals(True)
            spin.value = value
            spin.blockSignals(was)

    def setValues(self, lower: float, upper: float) -> None:
        first, last = self.minimum, self.maximum
        new = (min(max(min(lower, upper), first), last), min(max(lower, upper, first), last))
        old, self._stand_in_values = self._stand_in_values, new
        self._stand_in_show()
        if new[0] != old[0]:
            self.minimumValueChanged(new[0])
        if new[1] != old[1]:
            self.maximumValueChanged(new[1])
        if new != old:
            self.valuesChanged(*new)

    minimumValue = Property(
        float, lambda self: self._stand_in_values[0], lambda self, value: self.setValues(value, self.maximumValue)
    )
    maximumValue = Property(
        float, lambda self: self._stand_in_values[1], lambda self, value: self.setValues(self.minimumValue, value)
    )

    @staticmethod
    def _shared(kind: Any, name: str) -> Any:
        def read(self: Any) -> Any:
            return getattr(self._stand_in_spins[0], name)

        def write(self: Any, value: Any) -> None:
            for spin in self._stand_in_spins:
                was = spin.blockSignals(True)
                setattr(spin, name, value)
                spin.blockSignals(was)
            self.setValues(*self._stand_in_values)

        return Property(kind, read, write)

    minimum, maximum, singleStep = (
        _shared(float, "minimum"),
        _shared(float, "maximum"),
        _shared(float, "singleStep"),
    )
    decimals, suffix = _shared(int, "decimals"), _shared(str, "suffix")


NUMBERS: tuple[type, ...] = (ctkDoubleSpinBox, ctkDoubleSlider, ctkSliderWidget, ctkRangeWidget)
