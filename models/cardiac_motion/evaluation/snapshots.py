"""What the figures of single cases need: the heart at ED and ES, cropped, so that hundreds fit into memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cardiac_motion.evaluation.cases import Case
from cardiac_motion.evaluation.scores import heart_box, scaled
from cardiac_motion.labels import Label
from cardiac_motion.motion import Motion

Volume = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Spacing = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class ModelSnapshot:
    """One model at ES; displacements (3, Z, Y, X) in mm.

    Attributes:
        labels: carried from the source.
        warped: the source image, warped.
        from_source: at each voxel of the source frame, the way to its place at ES.
        to_source: at each voxel of ES, the way to the source frame.
    """

    labels: Labels
    warped: Volume
    from_source: Volume
    to_source: Volume


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One case in the box of its heart, images from 0 to 1, (Z, Y, X)."""

    name: str
    spacing: Spacing
    structures: tuple[Label, ...]
    source_image: Volume
    target_image: Volume
    source_labels: Labels
    target_labels: Labels
    models: dict[str, ModelSnapshot] = field(default_factory=dict)

    @classmethod
    def of(cls, case: Case) -> Snapshot:
        """The case without any model yet."""
        box = heart_box(case.labels, case.cine.spacing)
        frames = scaled(case.cine.frames)
        return cls(
            name=case.name,
            spacing=case.cine.spacing,
            structures=case.structures,
            source_image=frames[case.source][box].copy(),
            target_image=frames[case.es][box].copy(),
            source_labels=case.labels[case.source][box].copy(),
            target_labels=case.labels[case.es][box].copy(),
        )

    def add(self, case: Case, name: str, labels: Labels, motion: Motion) -> None:
        """Keep what a model found."""
        box = heart_box(case.labels, case.cine.spacing)
        frames = scaled(case.cine.frames)
        warped = motion.warp(frames[case.source], source=case.source, target=case.es)
        self.models[name] = ModelSnapshot(
            labels=labels[case.es][box].copy(),
            warped=warped[box].copy(),
            from_source=motion.from_reference[case.es][(slice(None), *box)].copy(),
            to_source=motion.to_reference[case.es][(slice(None), *box)].copy(),
        )

    @property
    def window(self) -> dict[str, float]:
        """The intensities from black to white that show the heart best: `vmin` and `vmax` of matplotlib."""
        low, high = np.percentile(np.stack([self.source_image, self.target_image]), (1, 99))
        return {"vmin": float(low), "vmax": float(max(high, low + 1e-3))}

    @property
    def middle_slice(self) -> int:
        """The slice in the middle of those that hold labels at both frames; of either where there is none."""
        held = [labels.any(axis=(1, 2)) for labels in (self.source_labels, self.target_labels)]
        shared = np.flatnonzero(held[0] & held[1])
        places = shared if shared.size else np.flatnonzero(held[0] | held[1])
        return int(places[len(places) // 2])

    def shown_slices(self, count: int) -> list[int]:
        """So many slices, evenly through those that hold labels at ES; fewer if there are fewer."""
        held = np.flatnonzero(self.target_labels.any(axis=(1, 2)))
        if held.size <= count:
            return [int(z) for z in held]
        places = np.linspace(0, held.size - 1, count + 2)[1:-1] if held.size > count + 1 else np.arange(count)
        return [int(held[round(place)]) for place in places]
