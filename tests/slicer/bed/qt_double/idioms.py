"""The manners of PythonQt on PySide6 objects: properties as attributes, ``connect`` with a signature, strictness.

A *double* of a Qt class ``QX`` is a class of the same name that derives from `Idioms` and from PySide6's ``QX``.
Objects that Qt itself makes (a layout of a .ui file, a combo box's line edit) cannot become doubles; they are
handed out as `Adopted`, which stands before the object and has the same manners.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, ClassVar

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

from tests.slicer.bed.qt_double.immortals import keep_singletons_alive
from tests.slicer.bed.qt_double.signals import Signal, normalized, signals_of

QT_MODULES = (QtCore, QtGui, QtWidgets)
_OWN = frozenset({"_connections", "_kept"})
_Raw = Callable[[str], Any]
LOADING: list[bool] = []
"""Not empty while a .ui file is loaded: PySide6 then sets each child as an attribute, which PythonQt does not."""
keep_singletons_alive()


class DoubleMeta(type(QtCore.QObject)):  # type: ignore[misc]
    """Makes ``isinstance(x, qt.QWidget)`` true for every QWidget, whichever way it came to be."""

    def __instancecheck__(cls, instance: object) -> bool:
        base = cls.__dict__.get("_double_of")
        return isinstance(instance, base) if base is not None else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        base = cls.__dict__.get("_double_of")
        return issubclass(subclass, base) if base is not None else super().__subclasscheck__(subclass)


@functools.cache
def _properties(cls: type) -> dict[str, bool]:
    """Names of the properties, and whether each can be written. Qt's own descriptions must not be kept: PySide6
    makes a class's meta-object anew when it learns of another signal or slot.
    """
    meta = cls.staticMetaObject  # type: ignore[attr-defined]
    return {str(meta.property(i).name()): bool(meta.property(i).isWritable()) for i in range(meta.propertyCount())}


def _is_double(cls: type) -> bool:
    return "_double_of" in cls.__dict__ or "_stands_for" in cls.__dict__


@functools.cache
def _written_in_python(cls: type, name: str) -> bool:
    """Whether a class that a module derived from a double defines the name."""
    for each in cls.__mro__:
        if _is_double(each):
            return False
        if name in each.__dict__:
            return True
    return False


@functools.cache
def _function_of_double(cls: type, name: str) -> types.FunctionType | None:
    """A method that a double adds or replaces; where Qt has a static one of the name (QMenu.exec), PySide6 would
    find its own first.
    """
    for each in cls.__mro__:
        found = vars(each).get(name)
        if each is Idioms or found is not None:
            return found if isinstance(found, types.FunctionType) else None
    return None


@functools.cache
def _own_property(cls: type, name: str) -> bool:
    """Whether a stand-in declares the property; inspect.getattr_static does not survive PySide6's metaclass."""
    found = next((vars(each)[name] for each in cls.__mro__ if name in vars(each)), None)
    return isinstance(found, QtCore.Property)


def adopt(value: Any) -> Any:
    """The value, where every Qt object in it has the manners of PythonQt."""
    if type(value) in {list, tuple}:
        return type(value)(adopt(each) for each in value)
    if type(type(value)) is DoubleMeta or type(value) is Adopted or not isinstance(value, QtCore.QObject):
        return value
    if isinstance(value, QtCore.QCoreApplication):
        return value
    known = value.__dict__.get("_adopted")
    if known is None:
        known = value._adopted = Adopted(value)  # type: ignore[attr-defined]
    return known


def plain(value: Any) -> Any:
    """What PySide6 can take: the object behind an `Adopted`."""
    if type(value) in {list, tuple}:
        return type(value)(plain(each) for each in value)
    return object.__getattribute__(value, "_it") if type(value) is Adopted else value


def _call(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: adopt(function(*[plain(value) for value in values]))


def _look_up(owner: Any, raw: _Raw, cls: type, name: str) -> Any:
    """An attribute in PythonQt's order: property, then signal, method, dynamic property."""
    if name in _properties(cls):
        return adopt(_read(raw, cls, name))
    if name == "name":
        return raw("objectName")()
    if name in signals_of(cls):
        return Signal(raw(name), signals_of(cls)[name][0], owner._connections, adopt)
    try:
        found = raw("exec" if name == "exec_" else name)
    except AttributeError:
        if name.encode() in raw("dynamicPropertyNames")():
            return raw("property")(name)
        raise AttributeError(f"{cls.__name__} has no attribute named {name!r}") from None
    return _call(found) if inspect.isbuiltin(found) else found


def _assign(raw: _Raw, raw_set: Callable[[str, Any], None], cls: type, name: str, value: Any) -> None:
    """Sets a property; anything else is refused."""
    if name == "name":
        raw("setObjectName")(value)
    elif name in _properties(cls):
        if not _properties(cls)[name]:
            raise AttributeError(f"property {name!r} of {cls.__name__} cannot be written")
        setter = f"set{name[0].upper()}{name[1:]}"
        if _own_property(cls, name):
            raw_set(name, value)
        elif callable(getattr(cls, setter, None)):
            raw(setter)(plain(value))
        else:
            raw("setProperty")(name, plain(value))
    elif name.encode() in raw("dynamicPropertyNames")():
        raw("setProperty")(name, value)
    else:
        raise AttributeError(f"{cls.__name__} has no attribute {name!r}; PythonQt lets nobody add one")


def _read(raw: _Raw, cls: type, name: str) -> Any:
    if _own_property(cls, name):
        return raw(name)
    for getter in (f"is{name[0].upper()}{name[1:]}", name):
        if callable(getattr(cls, getter, None)):
            return raw(getter)()
    return raw("property")(name)


class Manners:
    """The methods that PythonQt adds to every object."""

    extra_signals: ClassVar[dict[str, str]] = {}
    """Signatures that Qt could not know (``f(vtkMRMLNode*)``): the attribute that holds the signal of each."""

    def connect(self, signature: str, function: Callable[..., Any]) -> bool:
        """``button.connect("clicked(bool)", f)``; a signal that the class does not have is an error."""
        return _signal(self, signature).connect(function)

    def disconnect(self, signature: str, function: Callable[..., Any]) -> bool:
        """Undoes `connect`."""
        return _signal(self, signature).disconnect(function)

    def className(self) -> str:
        it = plain(self)
        return str(QtCore.QObject.metaObject(it).className())

    def delete(self) -> None:
        """Deletes the C++ object now."""
        shiboken6.delete(plain(self))

    def findChildren(self, wanted: Any = QtCore.QObject, name: str = "") -> list[Any]:
        """Descendants of a class (or of a class's name), all of them or those of one object name."""
        found = QtCore.QObject.findChildren(plain(self), QtCore.QObject)
        fits = [each for each in found if not name or QtCore.QObject.objectName(each) == name]
        if isinstance(wanted, str):
            return [adopt(each) for each in fits if each.inherits(wanted)]
        return [adopt(each) for each in fits if isinstance(each, wanted)]

    def findChild(self, wanted: Any = QtCore.QObject, name: str = "") -> Any:
        """The first of `findChildren`, or None."""
        return next(iter(self.findChildren(wanted, name)), None)


_MANNERS = frozenset(name for name in vars(Manners) if not name.startswith("__"))


def _signal(owner: Any, signature: str) -> Signal:
    it, wanted = plain(owner), normalized(signature)
    cls: Any = type(it)
    extra = owner.extra_signals
    name = extra.get(wanted) or wanted.partition("(")[0]
    known = signals_of(cls).get(name, ())
    if wanted not in extra and (wanted not in known or "PyObject" in wanted):
        listed = [each for each in (*known, *extra) if each.startswith(f"{name}(")]
        raise RuntimeError(f"{cls.__name__} has no signal {wanted}; of that name it has {listed}")
    bound = super(Idioms, it).__getattribute__(name) if isinstance(it, Idioms) else getattr(it, name)
    return Signal(bound, wanted, owner._connections, adopt)


class Idioms(Manners):
    """Mixed into every double; see the module's text."""

    def __init__(self, *values: Any, **named: Any) -> None:
        if named and _is_double(type(self)):
            raise TypeError(f"{type(self).__name__}: PythonQt takes no named arguments, got {sorted(named)}")
        super().__init__(*[plain(value) for value in values], **named)

    def __getattribute__(self, name: str) -> Any:
        raw = super().__getattribute__
        if name.startswith("__"):
            return raw(name)
        cls: Any = type(self)
        if name in {"connect", "disconnect"}:  # PySide6 looks these up in a way of its own
            return functools.partial(getattr(Manners, name), self)
        if name in _MANNERS:
            return raw(name)
        if name in _OWN:
            return raw("__dict__").setdefault(name, [])
        derived = _written_in_python(cls, name) or (not _is_double(cls) and name in raw("__dict__"))
        if derived and name not in signals_of(cls):
            return raw(name)
        function = _function_of_double(cls, "exec" if name == "exec_" else name)
        return function.__get__(self) if function is not None else _look_up(self, raw, cls, name)

    def __setattr__(self, name: str, value: Any) -> None:
        cls: Any = type(self)
        if LOADING and isinstance(value, QtCore.QObject) and not name.startswith("_stand_in_"):
            return
        kept = isinstance(value, QtCore.SignalInstance)  # PySide6 keeps the bound signals of an object in it
        if (
            kept
            or name.startswith("_stand_in_")
            or name in _OWN
            or _written_in_python(cls, name)
            or (not _is_double(cls) and name not in _properties(cls) and name != "name")
        ):
            super().__setattr__(name, value)
        else:
            _assign(super().__getattribute__, super().__setattr__, cls, name, value)


class Adopted(Manners):
    """Stands before an object that Qt made itself."""

    __slots__ = ("_connections", "_it", "_kept")

    def __init__(self, it: QtCore.QObject) -> None:
        object.__setattr__(self, "_it", it)
        object.__setattr__(self, "_connections", [])
        object.__setattr__(self, "_kept", [])

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """So that ``isinstance`` sees the class of the object behind."""
        return type(object.__getattribute__(self, "_it"))

    def __getattribute__(self, name: str) -> Any:
        own = object.__getattribute__
        if name.startswith("__") or name in _OWN or name in _MANNERS:
            return own(self, name)
        it = own(self, "_it")
        return _look_up(self, functools.partial(getattr, it), type(it), name)

    def __setattr__(self, name: str, value: Any) -> None:
        it = object.__getattribute__(self, "_it")
        _assign(functools.partial(getattr, it), functools.partial(setattr, it), type(it), name, value)

    def __repr__(self) -> str:
        return f"<{self.className()} {object.__getattribute__(self, '_it').objectName()!r}>"

    def __bool__(self) -> bool:
        return True


_extra_bases: list[tuple[type, type]] = []


def mix_into(qt_class: type, extra: type) -> None:
    """Every double of `qt_class` or of a class below it, made from now on, behaves as `extra` too."""
    _extra_bases.append((qt_class, extra))


@functools.cache
def double_of(qt_class: type) -> type:
    """The double of a PySide6 class."""
    if type(qt_class) is DoubleMeta:
        return qt_class
    extras = tuple(extra for base, extra in reversed(_extra_bases) if issubclass(qt_class, base))
    return DoubleMeta(
        qt_class.__name__,
        (*extras, Idioms, qt_class),
        {"_double_of": qt_class, "__module__": "qt", "__doc__": f"The double of {qt_class.__name__}."},
    )
