"""parameterNodeWrapper, as Slicer documents it; CARDIAC_MOTION_SLICER_SOURCE puts Slicer's own to these tests."""

from __future__ import annotations

import enum
import importlib
import pathlib
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any

import pytest

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed


class Quality(enum.Enum):
    FAST = 1
    BEST = 2


@pytest.fixture
def pnw(bed: Bed) -> Any:
    return importlib.import_module("slicer.parameterNodeWrapper")


@pytest.fixture
def node(bed: Bed) -> Any:
    return bed.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


def wrapped(pnw: Any, annotations: dict[str, Any], **defaults: Any) -> Any:
    """A wrapper class with these members."""

    def body(namespace: dict[str, Any]) -> None:
        namespace.update(defaults, __annotations__=annotations, __module__=__name__)

    return pnw.parameterNodeWrapper(types.new_class("Parameters", (), {}, body))


def test_defaults_and_types(pnw: Any, node: Any) -> None:
    made = wrapped(
        pnw,
        {
            "count": int,
            "factor": Annotated[float, pnw.Default(1.5)],
            "name": str,
            "on": bool,
            "quality": Quality,
            "path": pathlib.Path,
            "frames": list[int],
            "names": list[str],
            "values": dict[str, float],
            "pair": tuple[int, str],
        },
        name="cine",
        on=True,
    )(node)
    assert (made.count, made.factor, made.name, made.on) == (0, 1.5, "cine", True)
    assert (made.quality, made.path, made.frames, made.names) == (Quality.FAST, pathlib.Path(), [], [])
    assert made.values == {}
    assert node.GetParameter("on") == "True"
    made.count, made.quality, made.frames, made.pair = 7, Quality.BEST, [3, 1], (2, "b")
    made.factor = 4
    made.values = {"LV": 2.5}
    again = type(made)(node)
    assert (again.count, again.quality, again.frames, again.pair) == (7, Quality.BEST, [3, 1], (2, "b"))
    assert (again.factor, again.values) == (4.0, {"LV": 2.5})


def test_wrong_values_are_refused_and_change_nothing(pnw: Any, node: Any) -> None:
    made = wrapped(
        pnw, {"count": Annotated[int, pnw.Default(4), pnw.Maximum(37)], "frames": list[int], "factor": float}
    )(node)
    with pytest.raises(ValueError, match="37"):
        made.count = 38
    with pytest.raises(TypeError):
        made.factor = "much"
    with pytest.raises(ValueError, match="None"):
        made.count = None
    made.frames = [1, 2]
    with pytest.raises(TypeError):
        made.frames.append("three")
    assert (made.count, made.frames, made.factor) == (4, [1, 2], 0.0)


def test_lists_and_dicts_write_through(pnw: Any, node: Any) -> None:
    made = wrapped(pnw, {"frames": list[int], "values": dict[str, int]})(node)
    frames = made.frames
    frames.append(3)
    frames += [5]
    frames[0] = 4
    made.values["a"] = 1
    other = type(made)(node)
    assert (other.frames, other.values) == ([4, 5], {"a": 1})
    del frames[1]
    assert other.frames == [4]
    with pytest.raises(NotImplementedError):
        _ = frames + [1]  # noqa: RUF005 - the operator is what is tested
    with pytest.raises(TypeError):
        made.values.get("b", 0)


def test_nodes_are_references(bed: Bed, pnw: Any, node: Any) -> None:
    kinds = bed.slicer
    made = wrapped(
        pnw,
        {"volume": kinds.vtkMRMLScalarVolumeNode, "either": typing.Union[kinds.vtkMRMLModelNode, None]},  # noqa: UP007
    )(node)
    assert made.volume is None
    volume = bed.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    made.volume = volume
    assert made.volume is volume
    assert node.GetNodeReferenceID("volume") == volume.GetID()
    with pytest.raises(TypeError):
        made.volume = bed.scene.AddNewNodeByClass("vtkMRMLModelNode")
    bed.scene.RemoveNode(volume)
    assert made.volume is None


def test_optional(pnw: Any, node: Any) -> None:
    made = wrapped(pnw, {"limit": typing.Optional[int]})(node)  # noqa: UP045 - Slicer takes no `int | None`
    assert made.limit is None
    made.limit = 5
    assert made.limit == 5
    made.limit = None
    assert made.limit is None
    with pytest.raises(TypeError):
        made.limit = "five"


def test_the_new_way_to_write_optional_is_unknown_to_slicer(pnw: Any) -> None:
    with pytest.raises(Exception, match=r"serializer|type"):
        wrapped(pnw, {"limit": int | None})


def test_packs(pnw: Any, node: Any) -> None:
    def pack(name: str, annotations: dict[str, Any]) -> Any:
        body = {"__annotations__": annotations, "__module__": __name__}
        return pnw.parameterPack(types.new_class(name, (), {}, lambda namespace: namespace.update(body)))

    point = pack("Point", {"x": float, "y": Annotated[float, pnw.Default(2.0)]})
    box = pack("Box", {"corner": point, "size": Annotated[int, pnw.Minimum(0)]})
    made = wrapped(pnw, {"box": box})(node)
    assert (made.box.corner.x, made.box.corner.y, made.box.size) == (0.0, 2.0, 0)
    made.box.size = 3
    made.setValue("box.corner.x", 1.25)
    assert (type(made)(node).box.size, made.getValue("box.corner.x")) == (3, 1.25)
    assert box(corner=point(1.0, 2.0), size=1) == box(point(1.0, 2.0), 1)
    with pytest.raises(ValueError, match=r"size|Value|least|greater"):
        made.box.size = -1
    with pytest.raises(ValueError, match="height"):
        made.getValue("box.height")


def test_one_change_is_one_event(pnw: Any, node: Any) -> None:
    made = wrapped(pnw, {"frames": list[int], "count": int})(node)
    seen: list[str] = []
    made.AddObserver("ModifiedEvent", lambda *_: seen.append("changed"))
    made.frames = [1, 2, 3]
    assert len(seen) == 1
    slicer = importlib.import_module("slicer")
    with slicer.util.NodeModify(made):
        made.count = 1
        made.count = 2
    assert len(seen) == 2


def test_gui_follows_and_leads(bed: Bed, pnw: Any, node: Any) -> None:
    made = wrapped(
        pnw,
        {
            "on": bool,
            "count": Annotated[int, pnw.WithinRange(0, 9)],
            "factor": Annotated[float, pnw.WithinRange(0.5, 2.0), pnw.Default(1.0), pnw.Decimals(2)],
            "name": str,
            "quality": Quality,
            "frame": Annotated[str, pnw.Choice(["ED", "ES"]), pnw.Default("ED")],
            "path": pathlib.Path,
        },
    )(node)
    qt, ctk = bed.qt, bed.ctk
    widgets = {
        "on": qt.QCheckBox(),
        "count": qt.QSpinBox(),
        "factor": ctk.ctkSliderWidget(),
        "name": qt.QLineEdit(),
        "quality": qt.QComboBox(),
        "frame": qt.QComboBox(),
        "path": ctk.ctkPathLineEdit(),
    }
    tag = made.connectParametersToGui(widgets)
    assert (widgets["factor"].value, widgets["factor"].maximum, widgets["count"].maximum) == (1.0, 2.0, 9)
    assert widgets["quality"].itemText(1) == "BEST"
    widgets["on"].checked = True
    widgets["count"].value = 4
    widgets["factor"].value = 1.75
    widgets["name"].text = "Case 1"
    widgets["quality"].currentIndex = 1
    widgets["frame"].currentIndex = 1
    widgets["path"].currentPath = "/data/cine.nii.gz"
    assert (made.on, made.count, made.factor, made.name) == (True, 4, 1.75, "Case 1")
    assert (made.quality, made.frame, made.path) == (Quality.BEST, "ES", pathlib.Path("/data/cine.nii.gz"))
    made.count, made.quality = 2, Quality.FAST
    assert (widgets["count"].value, widgets["quality"].currentIndex) == (2, 0)
    made.disconnectGui(tag)
    made.count = 3
    widgets["name"].text = "Case 2"
    assert (widgets["count"].value, made.name) == (2, "Case 1")


def test_gui_of_a_ui_object(bed: Bed, pnw: Any, node: Any) -> None:
    made = wrapped(
        pnw, {"count": Annotated[int, pnw.WithinRange(0, 9)], "volume": bed.slicer.vtkMRMLScalarVolumeNode}
    )(node)
    panel = bed.qt.QWidget()
    spin, selector = bed.qt.QSpinBox(panel), bed.slicer.qMRMLNodeComboBox(panel)
    for widget, name in ((spin, "count"), (selector, "volume")):
        widget.name = f"{name}Widget"
        widget.setProperty("SlicerParameterName", name)
    selector.noneEnabled = True
    selector.setMRMLScene(bed.scene)
    made.connectGui(bed.slicer.util.childWidgetVariables(panel))
    assert selector.nodeTypes == ["vtkMRMLScalarVolumeNode"]
    volume = bed.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Cine")
    selector.setCurrentNode(volume)
    spin.value = 3
    assert (made.volume, made.count) == (volume, 3)
    made.volume = None
    assert selector.currentNode() is None


@pytest.mark.parametrize("widget", ["QLabel", "QSlider", "QLineEdit"])
def test_a_widget_that_does_not_fit(bed: Bed, pnw: Any, node: Any, widget: str) -> None:
    made = wrapped(pnw, {"count": int})(node)
    with pytest.raises(RuntimeError):
        made.connectParametersToGui({"count": getattr(bed.qt, widget)()})


def test_an_unknown_parameter(bed: Bed, pnw: Any, node: Any) -> None:
    made = wrapped(pnw, {"count": int})(node)
    with pytest.raises(ValueError, match="cuont"):
        made.connectParametersToGui({"cuont": bed.qt.QSpinBox()})
