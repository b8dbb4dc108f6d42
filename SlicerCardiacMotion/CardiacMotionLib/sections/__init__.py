"""The sections of the panel: each is a file here and a .ui file in `Resources/UI`, and joins in by being there."""

from __future__ import annotations

import importlib
import pkgutil

from CardiacMotionLib.sections.section import Section


def section_classes() -> list[type[Section]]:
    """Classes of the sections in this package, from top to bottom."""
    found = []
    for each in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{each.name}")
        for value in vars(module).values():
            is_section = isinstance(value, type) and issubclass(value, Section) and value is not Section
            # What a file merely imports is another file's.
            if is_section and value.__module__ == module.__name__:
                found.append(value)
    return sorted(found, key=lambda section: (section.ORDER, section.UI))
