"""The error that readers and makers raise for what the user gave them."""

from __future__ import annotations


class InputError(ValueError):
    """One clear sentence for the user: what was expected and what came."""
