"""What `fit` needs to know of a model to train it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

Batch = tuple[Tensor, ...]
"""Tensors whose first axis is that of the samples."""


@runtime_checkable
class TrainingTask(Protocol):
    """A network, its data, its loss and its score.

    With `FitOptions.workers` a task is pickled into the processes that make batches.
    """

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def description(self) -> str:
        """What it is trained on and how, in a few sentences, for the model card."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """Everything that decides what batches, network and loss are, as JSON can hold it.

        A run resumes only with the settings that it was started with.
        """
        ...

    def network(self) -> nn.Module:
        """A new network on the CPU; torch's generator is seeded before."""
        ...

    def batch(self, index: int, size: int) -> Batch:
        """Samples for the step of this index, counted from 0: each tensor (size, ...), on the CPU.

        A pure function of the task's settings and of the arguments. That makes resuming exact, and lets each of
        several processes make the whole batch and take its share of it.
        """
        ...

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """The mean over the samples of a loss of each sample, a tensor without axes, in float32.

        The samples are a part of a step's batch (`FitOptions.parts`).
        """
        ...

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Figures by name; the first is the score, larger is better. The network is in evaluation mode."""
        ...
