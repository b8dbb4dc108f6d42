"""Options of the `recursive` model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cardiac_motion.errors import InputError

Similarity = Literal["ssim", "mse", "ssim+mi", "ncc"]


@dataclass(frozen=True)
class RecursiveOptions:
    """How `recursive` registers; None stands for the parametrisation's own default.

    Attributes:
        parametrisation: "velocity", a pyramid of velocity fields that are optimised directly, or "network", the
            paper's network from coordinates to velocity.
        dimensions: 2, slice by slice, or 3, whole stacks.
        similarity: "ssim", "mse", "ssim+mi" (the paper's choice), "ncc" (the paper's table 2 and more). Default:
            "ssim" for the pyramid, "ssim+mi" for the network.
        levels: number of levels of the pyramid (the paper's table 3). Default: 4 and 2.
        iterations: Adam steps; of the pyramid at its coarsest level, others have their shares of it; of the
            network in all. Default: 30 and 800.
        bidirectional: images compared both ways (eq. 5), or forward only (eq. 4).
        small_motion: the frames follow each other in time: stronger regularity, for chains of registrations. Of
            the pyramid only.
        seed: of the network's first weights.
    """

    parametrisation: Literal["velocity", "network"] = "velocity"
    dimensions: Literal[2, 3] = 2
    similarity: Similarity | None = None
    levels: int | None = None
    iterations: int | None = None
    bidirectional: bool = True
    small_motion: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.levels is not None and not 1 <= self.levels <= 5:
            raise InputError(f"option levels is from 1 to 5, got {self.levels}")
        if self.iterations is not None and not 1 <= self.iterations <= 10_000:
            raise InputError(f"option iterations is from 1 to 10000, got {self.iterations}")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"option seed is from 0 to 2^63 - 1, got {self.seed}")
        if self.small_motion and self.parametrisation == "network":
            raise InputError("option small_motion belongs to parametrisation velocity, got network")

    def resolved(self) -> ResolvedOptions:
        """The options with every default filled in."""
        network = self.parametrisation == "network"
        return ResolvedOptions(
            parametrisation=self.parametrisation,
            dimensions=self.dimensions,
            similarity=self.similarity or ("ssim+mi" if network else "ssim"),
            levels=self.levels or (2 if network else 4),
            iterations=self.iterations or (800 if network else 30),
            bidirectional=self.bidirectional,
            small_motion=self.small_motion,
            seed=self.seed,
        )


@dataclass(frozen=True)
class ResolvedOptions:
    """As `RecursiveOptions`, nothing left open."""

    parametrisation: Literal["velocity", "network"]
    dimensions: Literal[2, 3]
    similarity: Similarity
    levels: int
    iterations: int
    bidirectional: bool
    small_motion: bool
    seed: int
