"""The doubles of qt and ctk behave as PythonQt's wrappers do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed


def test_properties_are_attributes_and_not_methods(bed: Bed) -> None:
    button = bed.qt.QPushButton("Go")
    assert button.text == "Go"
    button.enabled = False
    assert not button.enabled
    with pytest.raises(TypeError, match="not callable"):
        button.text()
    button.setText("Stop")
    button.checkable = True
    assert (button.text, button.checked, button.isChecked()) == ("Stop", False, False)


def test_the_object_name_is_also_the_name(bed: Bed) -> None:
    label = bed.qt.QLabel("x")
    label.name = "a"
    assert (label.objectName, label.name) == ("a", "a")


def test_no_new_attribute_on_a_widget(bed: Bed) -> None:
    with pytest.raises(AttributeError, match="colour"):
        bed.qt.QLabel("x").colour = "red"


def test_a_derived_class_may_have_attributes(bed: Bed) -> None:
    class Panel(bed.qt.QWidget):  # type: ignore[name-defined]
        told = bed.qt.Signal(int)

        def __init__(self) -> None:
            super().__init__()
            self.count = 3

    panel = Panel()
    got: list[int] = []
    panel.told.connect(got.append)
    panel.told(7)
    panel.windowTitle = "Title"
    assert (panel.count, got, panel.windowTitle) == (3, [7], "Title")


def test_connect_with_a_signature(bed: Bed) -> None:
    button = bed.qt.QPushButton("Go")
    got: list[Any] = []

    def clicked(checked: bool) -> None:
        got.append(checked)

    def plain() -> None:
        got.append("plain")

    assert button.connect("clicked(bool)", clicked)
    assert button.connect("clicked()", plain)
    button.click()
    assert got == [False, "plain"]
    assert button.disconnect("clicked(bool)", clicked)
    assert not button.disconnect("clicked(bool)", clicked)
    button.click()
    assert got == [False, "plain", "plain"]


def test_a_signal_that_does_not_exist(bed: Bed) -> None:
    with pytest.raises(RuntimeError, match="no signal pressed_hard"):
        bed.qt.QPushButton().connect("pressed_hard()", print)
    with pytest.raises(RuntimeError, match=r"clicked\(bool\)"):
        bed.qt.QPushButton().connect("clicked(int)", print)


def test_a_slot_gets_as_many_values_as_it_takes(bed: Bed) -> None:
    combo = bed.qt.QComboBox()
    got: list[Any] = []
    combo.addItems(["a", "b"])
    combo.currentIndexChanged.connect(lambda: got.append("none"))
    combo.currentIndexChanged.connect(lambda index, also=None: got.append((index, also)))
    combo.currentIndexChanged.connect(lambda *values: got.append(values))
    combo.currentIndex = 1
    assert got == ["none", (1, None), (1,)]
    assert (combo.currentText, combo.count, combo.itemText(0)) == ("b", 2, "a")


def test_objects_that_qt_made_are_doubles_too(bed: Bed) -> None:
    qt = bed.qt
    widget = qt.QWidget()
    layout = qt.QVBoxLayout(widget)
    label = qt.QLabel("inside")
    layout.addWidget(label)
    combo = qt.QComboBox()
    combo.editable = True
    combo.lineEdit().text = "typed"
    assert combo.currentText == "typed"
    assert widget.layout() is layout
    assert layout.itemAt(0).widget() is label
    assert isinstance(label, qt.QWidget)
    assert not isinstance(label, qt.QPushButton)
    assert [child.text for child in widget.findChildren(qt.QLabel)] == ["inside"]
    assert widget.findChild("QLabel").className() == "QLabel"


def test_named_arguments_are_refused(bed: Bed) -> None:
    with pytest.raises(TypeError, match="named"):
        bed.qt.QLabel(text="x")


def test_an_error_in_a_slot_is_kept(bed: Bed) -> None:
    button = bed.qt.QPushButton()
    button.clicked.connect(lambda: 1 / 0)
    button.click()
    assert [type(error) for error in bed.errors] == [ZeroDivisionError]
    with pytest.raises(AssertionError, match="division by zero"):
        bed.check()
    bed.errors.clear()


def test_timers(bed: Bed) -> None:
    got: list[str] = []
    timer = bed.qt.QTimer()
    timer.interval = 1
    timer.singleShot = True
    timer.connect("timeout()", lambda: got.append("timer"))
    timer.start()
    assert timer.active
    bed.qt.QTimer.singleShot(0, lambda: got.append("once"))
    bed.pump(lambda: len(got) == 2)
    assert sorted(got) == ["once", "timer"]
    assert not timer.isActive()


def test_settings_are_in_memory_and_become_text_after_a_restart(bed: Bed) -> None:
    settings = bed.qt.QSettings()
    settings.setValue("CardiacMotion/AskFirst", False)
    assert bed.slicer.app.userSettings().value("CardiacMotion/AskFirst") is False
    bed.restart_settings()
    assert settings.value("CardiacMotion/AskFirst") == "false"
    ask = bed.slicer.util.settingsValue("CardiacMotion/AskFirst", True, converter=bed.slicer.util.toBool)
    assert ask is False
    settings.beginGroup("CardiacMotion")
    assert (settings.allKeys(), settings.contains("AskFirst")) == (["AskFirst"], True)
    settings.remove("AskFirst")
    settings.endGroup()
    assert bed.slicer.util.settingsValue("CardiacMotion/AskFirst", True) is True


def test_settings_of_another_test_are_gone(bed: Bed) -> None:
    assert bed.qt.QSettings().allKeys() == []


@pytest.mark.parametrize("name", ["ctkSliderWidget", "ctkDoubleSpinBox", "ctkDoubleSlider"])
def test_number_widgets(bed: Bed, name: str) -> None:
    widget: Any = getattr(bed.ctk, name)()
    got: list[float] = []
    widget.connect("valueChanged(double)", got.append)
    widget.minimum, widget.maximum, widget.singleStep = -2.0, 5.0, 0.5
    widget.value = 2.5
    widget.value = 9.0
    assert (widget.value, got) == (5.0, [2.5, 5.0])


def test_range_widget_keeps_its_order(bed: Bed) -> None:
    widget = bed.ctk.ctkRangeWidget()
    got: list[Any] = []
    widget.minimum, widget.maximum = 0.0, 10.0
    widget.valuesChanged.connect(lambda lower, upper: got.append((lower, upper)))
    widget.setValues(7.0, 3.0)
    assert (widget.minimumValue, widget.maximumValue, got[-1]) == (3.0, 7.0, (3.0, 7.0))


def test_collapsible_button_hides_what_it_holds(bed: Bed) -> None:
    section = bed.ctk.ctkCollapsibleButton()
    got: list[bool] = []
    section.text = "Case"
    label = bed.qt.QLabel("inside")
    bed.qt.QVBoxLayout(section).addWidget(label)
    section.connect("contentsCollapsed(bool)", got.append)
    section.show()
    assert label.visible
    section.collapsed = True
    assert (label.visible, section.checked, got) == (False, False, [True])


def test_path_line_edit(bed: Bed, tmp_path: Any) -> None:
    edit = bed.ctk.ctkPathLineEdit()
    got: list[str] = []
    edit.filters = bed.ctk.ctkPathLineEdit.Files
    edit.currentPathChanged.connect(got.append)
    bed.dialogs.answer(str(tmp_path), containing="file")
    edit.browse()
    assert (edit.currentPath, got, edit.validInput) == (str(tmp_path), [str(tmp_path)], True)
