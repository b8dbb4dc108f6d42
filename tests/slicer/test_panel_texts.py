"""Every text that the panel shows can be translated: a literal within `_()`, its values put in afterwards."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

MODULE = Path(__file__).parents[2] / "SlicerCardiacMotion"
LIBRARY = MODULE / "CardiacMotionLib"
FILES = [
    *(LIBRARY / f"{name}.py" for name in ("panel", "messages", "frame_strip")),
    *sorted((LIBRARY / "sections").glob("*.py")),
]
SHOWN = {"text", "toolTip", "title", "placeholderText", "plainText"}
"""Attributes of widgets that are read."""
SAYING = {"say", "setText", "setToolTip", "setTitle", "addItem", "getOpenFileName", "getExistingDirectory"}
_LETTER = re.compile(r"[^\W\d_]")
_FIELD = re.compile(r"\{(\w*)[^{}]*\}")


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_call(node: ast.AST, *names: str) -> bool:
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    return (function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")) in names


def _literals(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Lines and strings of a node that nobody translates; not those that are logged."""
    if _is_docstring(node) or _is_call(node, "_", "translate", "getattr", "error"):
        return
    if isinstance(node, ast.Subscript | ast.Attribute):
        return  # keys and names
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, node.value
    for child in ast.iter_child_nodes(node):
        yield from _literals(child)


def _is_sentence(text: str) -> bool:
    """Words with spaces between them, but no style sheet."""
    is_style = "{" in text and ":" in text and ";" in text
    return bool(re.search(r"[^\W\d_]\s+[^\W\d_]", text)) and not is_style


def _shown_values(node: ast.AST) -> list[ast.AST]:
    """Expressions whose value the user reads."""
    match node:
        case ast.Assign(targets=targets, value=value):
            names = [
                each for target in targets for each in (target.elts if isinstance(target, ast.Tuple) else [target])
            ]
            is_shown = any(isinstance(name, ast.Attribute) and name.attr in SHOWN for name in names)
            return [value] if is_shown else []
        case ast.Call(args=args) if _is_call(node, "allow"):
            return [each.elts[1] for each in args[1:] if isinstance(each, ast.Tuple)]
        case ast.Call(args=args) if _is_call(node, *SAYING):
            return list(args)
    return []


def problems(source: str) -> list[str]:
    """What of a file's texts cannot be translated."""
    tree = ast.parse(source)
    found = []
    for node in ast.walk(tree):
        for value in _shown_values(node):
            for line, text in _literals(value):
                if _LETTER.search(text):
                    found.append(f"line {line}: shown, but not translated: {text!r}")
        if _is_call(node, "_"):
            found += _problems_of_a_call(node)
        if isinstance(node, ast.arg) and node.arg == "_":
            found.append(f"line {node.lineno}: _ is another thing here")
        if isinstance(node, ast.Name) and node.id == "_" and isinstance(node.ctx, ast.Store):
            found.append(f"line {node.lineno}: _ is another thing here")
    for line, text in _literals(tree):
        if _is_sentence(text):
            found.append(f"line {line}: a sentence that is not translated: {text!r}")
    return found


def _problems_of_a_call(node: ast.AST) -> list[str]:
    assert isinstance(node, ast.Call)
    first = node.args[0] if node.args else None
    if not (len(node.args) == 1 and isinstance(first, ast.Constant) and isinstance(first.value, str)):
        return [f"line {node.lineno}: _() takes one literal, got {ast.unparse(node)}"]
    if not all(_FIELD.findall(first.value)):
        return [f"line {node.lineno}: a translator has to know what {first.value!r} is filled with"]
    return []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_text_can_be_translated(path: Path) -> None:
    assert problems(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        'label.text = "Ready"',
        'a.text, a.toolTip = x, "Ready"',
        'label.text = f"{n} Frames"',
        'label.text = _("Ready") if ready else "Busy"',
        'panel.say("Done", section)',
        'hints.allow(button, (ready, "Wait"))',
        'why = "Draw contours first"',
        'label.text = _(f"Frame {frame}")',
        'label.text = _("Frame {}").format(frame)',
        "signal.connect(lambda _: update())",
        "for _ in range(3): pass",
    ],
)
def test_what_could_not_be_translated_is_found(source: str) -> None:
    assert problems(source)


def test_what_is_no_text_is_left_alone() -> None:
    fine = (
        '"""A docstring of words."""\n'
        'label.text = _("Frame {frame}").format(frame=3)\n'
        'label.text = "" if done else " · "\n'
        'label.styleSheet = "QLabel { color: red; font-weight: bold; }"\n'
        'button.connect("clicked()", call)\n'
        'logging.error("went wrong in some way")\n'
    )
    assert problems(fine) == []


@pytest.mark.parametrize("path", sorted((MODULE / "Resources" / "UI").glob("*.ui")), ids=lambda path: path.stem)
def test_names_of_classes_and_parameters_are_not_offered_for_translation(path: Path) -> None:
    for element in ET.parse(path).iter("property"):
        if element.get("name") in {"nodeTypes", "hideChildNodeTypes", "settingKey", "SlicerParameterName"}:
            assert all(value.get("notr") == "true" for value in element), element.get("name")
