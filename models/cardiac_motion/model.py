"""What models of every kind say about themselves."""

from __future__ import annotations

from typing import Any, Protocol


class Model(Protocol):
    """A model of a registry."""

    @property
    def name(self) -> str:
        """In the registry or the pipeline."""
        ...

    @property
    def version(self) -> str:
        """Of the model's code; part of the keys of caches."""
        ...

    @property
    def views(self) -> tuple[str, ...]:
        """Views that it is made for: "sax", "lax"."""
        ...

    @property
    def weights_checksum(self) -> str | None:
        """SHA-256 of the weights, None for a model without."""
        ...

    @property
    def default_options(self) -> Any:
        """A frozen dataclass of typed options with their defaults."""
        ...
