"""A segmentation model that is another network for each view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.progress import Progress, silent
from cardiac_motion.segmentation.base import Segmentation
from cardiac_motion.segmentation.network import NetworkSegmentation, SegmentationOptions, view_of, wrong_view


class ByView:
    """A `SegmentationModel` that asks the network of the cine's view.

    Args:
        name: in the registry.
        models: by view, at least one.
    """

    def __init__(self, name: str, models: Mapping[str, NetworkSegmentation]) -> None:
        self.name, self.models = name, dict(models)
        self._first = next(iter(self.models.values()))

    @property
    def version(self) -> str:
        """As the protocol says."""
        return self._first.version

    @property
    def views(self) -> tuple[str, ...]:
        """As the protocol says."""
        return tuple(self.models)

    @property
    def default_options(self) -> SegmentationOptions:
        """As the protocol says."""
        return self._first.default_options

    @property
    def weights_checksum(self) -> str:
        """SHA-256 of the weights for the first view; a `Segmentation` has that of those it was made with."""
        return self._first.weights_checksum

    def segment(
        self,
        cine: Cine,
        *,
        frames: Sequence[int] | None = None,
        options: SegmentationOptions | None = None,
        progress: Progress = silent,
    ) -> Segmentation:
        """See `SegmentationModel.segment`."""
        view = view_of(cine, options or self.default_options)
        if view not in self.models:
            raise InputError(wrong_view(self.name, self.views, cine, view))
        return self.models[view].segment(cine, frames=frames, options=options, progress=progress)
