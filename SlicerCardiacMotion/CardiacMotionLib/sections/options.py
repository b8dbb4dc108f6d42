"""The options of a model: a box that opens, in the sections that choose a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from CardiacMotionLib.client import OfferedModel
from CardiacMotionLib.model_options import (
    Kind,
    Option,
    Value,
    as_text,
    chosen_among,
    from_text,
    options_of,
    read_chosen,
    write_chosen,
)
from CardiacMotionLib.sections.section import Section


class OptionsBox:
    """Made of what the server says of a model; what is chosen is kept with the scene.

    Args:
        section: that has the box.
        box: a ctkCollapsibleGroupBox with a layout.

    Attributes:
        widgets: by name of the option.
    """

    def __init__(self, section: Section, box: Any) -> None:
        self._section, self._box = section, box
        self._model: OfferedModel | None = None
        self._options: tuple[Option, ...] = ()
        # It stays, so that what is put into it is not seen while the box is closed.
        self._holder, self._content = qt.QWidget(box), None
        holder = qt.QVBoxLayout(self._holder)
        holder.setContentsMargins(0, 0, 0, 0)
        self.widgets: dict[str, Any] = {}
        self.reset_button = qt.QPushButton(_("As the model has them"), box)
        self.reset_button.objectName = "resetOptionsButton"
        self.reset_button.toolTip = _("Forget what was chosen here")
        section.on_click(self.reset_button, self._reset)
        holder.addWidget(self.reset_button)
        box.layout().addWidget(self._holder)
        box.collapsed = True

    def update(self, model: OfferedModel | None) -> None:
        """Show the options of a model, and what is chosen."""
        if model != self._model:
            self._model = model
            self._options = () if model is None else options_of(model.options)
            self._make()
        self._box.setVisible(bool(self._options))
        values = self.values
        for option in self._options:
            self._show(option, values.get(option.name, option.default))
        count = len(values)
        self._box.title = _("Options") if not count else _("Options ({count} changed)").format(count=count)
        self.reset_button.enabled = count > 0

    @property
    def model(self) -> OfferedModel | None:
        """Whose options they are."""
        return self._model

    @property
    def values(self) -> dict[str, Value]:
        """What is chosen and not the model's own, by name."""
        if self._model is None:
            return {}
        kept = read_chosen(self._section.panel.parameters.modelOptions)
        return chosen_among(self._options, kept.get(self._model.name, {}))

    def _make(self) -> None:
        if self._content is not None:
            self._holder.layout().removeWidget(self._content)
            self._content.hide()
            self._content.deleteLater()
        self._content = qt.QWidget(self._holder)
        form = qt.QFormLayout(self._content)
        form.setContentsMargins(0, 0, 0, 0)
        self.widgets = {}
        for option in self._options:
            widget = self._widget(option)
            widget.objectName = f"{option.name}Option"
            widget.toolTip = option.help
            self.widgets[option.name] = widget
            if option.kind is Kind.YES_NO:
                form.addRow(widget)
            else:
                label = qt.QLabel(f"{option.title}:", self._content)
                label.toolTip = option.help
                form.addRow(label, widget)
        self._holder.layout().insertWidget(0, self._content)

    def _widget(self, option: Option) -> Any:
        make: Callable[[Option], Any] = {Kind.YES_NO: self._check_box, Kind.CHOICE: self._combo}.get(
            option.kind, self._line
        )
        return make(option)

    def _check_box(self, option: Option) -> Any:
        box = qt.QCheckBox(option.title, self._content)
        box.connect("clicked()", lambda: self._choose(option, bool(box.checked)))
        return box

    def _combo(self, option: Option) -> Any:
        combo = qt.QComboBox(self._content)
        for value in option.choices:
            combo.addItem(_choice(value))
        combo.connect("activated(int)", lambda index: self._choose(option, option.choices[index]))
        return combo

    def _line(self, option: Option) -> Any:
        line = qt.QLineEdit(self._content)
        line.placeholderText = _choice(option.default)
        # At every key: a button that is pressed next may not take the focus.
        line.connect("textEdited(QString)", lambda text: self._typed(option, text))
        line.connect("editingFinished()", lambda: self._typing_ends(option, line))
        return line

    def _typed(self, option: Option, text: str) -> None:
        is_right, value = from_text(option, text)
        if is_right:
            self._choose(option, value)

    def _typing_ends(self, option: Option, line: Any) -> None:
        if option.name not in self.widgets or self.widgets[option.name] is not line:
            return  # it was left because another model's took its place
        text = line.text
        if not from_text(option, text)[0]:
            expected = _("Expected a whole number") if option.kind is Kind.WHOLE else _("Expected a number")
            told = _("{expected} for {option}, got {text}; it is as it was.")
            said = told.format(expected=expected, option=option.title, text=repr(text[:20]))
            self._section.panel.say(said, self._section, is_error=True)
        self._show(option, self.values.get(option.name, option.default), is_typed=False)

    def _show(self, option: Option, value: Value, *, is_typed: bool | None = None) -> None:
        widget = self.widgets[option.name]
        if option.kind is Kind.YES_NO:
            widget.checked = bool(value)
        elif option.kind is Kind.CHOICE:
            index = next(i for i, each in enumerate(option.choices) if type(each) is type(value) and each == value)
            if widget.currentIndex != index:
                widget.setCurrentIndex(index)
        elif is_typed is False or not widget.hasFocus():
            # Nobody's typing is changed under the fingers.
            text = "" if value == option.default else as_text(value)
            if widget.text != text:
                widget.text = text

    def _choose(self, option: Option, value: Value) -> None:
        if self._model is None:
            return
        self._keep({**self.values, option.name: value})

    def _reset(self) -> None:
        self._keep({})
        for option in self._options:
            self._show(option, option.default, is_typed=False)

    def _keep(self, values: dict[str, Value]) -> None:
        if self._model is None:
            return
        parameters = self._section.panel.parameters
        kept = chosen_among(self._options, values)
        parameters.modelOptions = write_chosen(parameters.modelOptions, self._model.name, kept)
        self._section.panel.update_soon()


def _choice(value: Value) -> str:
    return _("automatic") if value is None else as_text(value)
