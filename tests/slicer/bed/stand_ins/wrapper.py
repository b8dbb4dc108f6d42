"""``parameterNodeWrapper``: typed attributes of a parameter node, connected to widgets."""

# ruff: noqa: N803, N815 - names are Slicer's
from __future__ import annotations

import importlib
from typing import Any

from tests.slicer.bed.stand_ins.gui_connectors import GuiConnector, createGuiConnector
from tests.slicer.bed.stand_ins.parameter_pack import data_type, members_of
from tests.slicer.bed.stand_ins.serializers import Serializer, slicer

vtk: Any = importlib.import_module("vtk")
SlicerParameterNamePropertyName = "SlicerParameterName"


def isParameterNodeWrapper(thing: Any) -> bool:
    return bool(getattr(thing, "_is_parameter_node_wrapper", False))


def parameterNodeWrapper(cls: Any = None) -> Any:
    """Class decorator."""
    return _process if cls is None else _process(cls)


def _process(cls: Any) -> Any:
    members = members_of(cls)
    for name, (_, serializer, _) in members.items():
        setattr(cls, name, _attribute(name, serializer))
    for name in [name for name in vars(Wrapper) if not name.startswith("__")]:
        if name in vars(cls):
            raise ValueError(f"a parameterNodeWrapper cannot have the reserved name {name!r}")
        setattr(cls, name, vars(Wrapper)[name])
    cls.__init__ = Wrapper.__init__
    cls.allParameters, cls._is_parameter_node_wrapper = members, True
    cls.dataType = staticmethod(lambda name: data_type(cls, name))
    return cls


def _attribute(name: str, serializer: Serializer) -> property:
    def read(self: Any) -> Any:
        if not serializer.is_in(self.parameterNode, self._key(name)):
            serializer.write(self.parameterNode, self._key(name), self.allParameters[name][2].value)
        return serializer.read(self.parameterNode, self._key(name))

    def write(self: Any, value: Any) -> None:
        serializer.validate(value)
        with slicer.util.NodeModify(self.parameterNode):
            serializer.write(self.parameterNode, self._key(name), value)

    return property(read, write)


class Wrapper:
    """The members that every wrapped class gets."""

    parameterNode: Any
    allParameters: dict[str, Any]

    def __init__(self, parameterNode: Any, prefix: str | None = None) -> None:
        self.parameterNode = parameterNode
        self._prefix = prefix or ""
        self._connected: dict[int, dict[str, GuiConnector]] = {}
        self._next_tag = 0
        self._updating = False
        for name, (_, serializer, default) in self.allParameters.items():
            if not serializer.is_in(parameterNode, self._key(name)):
                serializer.checked_write(parameterNode, self._key(name), default.value)

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name}"

    def default(self, name: str) -> Any:
        data_type(type(self), name)
        return self.allParameters[name][2]

    def getValue(self, name: str) -> Any:
        data_type(type(self), name)
        top, _, rest = name.partition(".")
        value = getattr(self, top)
        return value.getValue(rest) if rest else value

    def setValue(self, name: str, value: Any) -> None:
        data_type(type(self), name)
        top, _, rest = name.partition(".")
        if rest:
            getattr(self, top).setValue(rest, value)
        else:
            setattr(self, top, value)

    def connectGui(self, gui: Any) -> int:
        """Connects every widget with the property SlicerParameterName: below a widget, or of a ``ui`` object."""
        widgets = gui.findChildren() if hasattr(gui, "isWidgetType") else vars(gui).values()
        named = {each.property(SlicerParameterNamePropertyName): each for each in widgets}
        return self.connectParametersToGui({name: each for name, each in named.items() if name})

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        """Connects named parameters to widgets; the widgets take the parameters' values. Returns a tag."""
        made = {
            name: each if isinstance(each, GuiConnector) else createGuiConnector(each, data_type(type(self), name))
            for name, each in mapping.items()
        }
        tag, self._next_tag = self._next_tag, self._next_tag + 1
        self._connected[tag] = made
        for name, connector in made.items():
            connector.write(self.getValue(name))
            connector.onChanged(self._from_gui(name, connector))
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._to_gui())
        return tag

    def _from_gui(self, name: str, connector: GuiConnector) -> Any:
        def changed() -> None:
            if not self._updating:
                with slicer.util.NodeModify(self):
                    self.setValue(name, connector.read())

        return changed

    def _to_gui(self) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            for connected in self._connected.values():
                for name, connector in connected.items():
                    connector.write(self.getValue(name))
        finally:
            self._updating = False

    def disconnectGui(self, tag: int) -> None:
        for connector in self._connected.pop(tag, {}).values():
            connector.onChanged(None)

    def StartModify(self) -> Any:
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified: Any) -> Any:
        return self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return int(self.parameterNode.AddObserver(event, callback, priority))

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()
