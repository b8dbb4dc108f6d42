"""Several processes that train one network together, each on its share of every batch.

Started by ``torchrun … -m cardiac_motion.train MODEL …``; on GPUs they talk through NCCL, on CPUs through gloo.
The first process alone validates, writes and reports. Each process makes the whole batch of a step and takes every
n-th sample of it, so that the samples of a step are the same however many processes there are; n processes then
differ from one by rounding alone, which training lets grow, and by what dropout draws. A loss of all samples of a
batch together, not the mean of a loss of each, is of what all processes have (`World.gathered`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx
from torch.nn.parallel import DistributedDataParallel

from cardiac_motion.errors import InputError
from cardiac_motion.training.task import Batch

Value = TypeVar("Value")
_PATIENCE = timedelta(hours=6)
"""How long processes wait for the first one, which may be drawing synthetic hearts."""


@dataclass(frozen=True)
class World:
    """The processes that train together, as one of them sees them; by default there is no other."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> World:
        """Those of torch's process group, if there is one."""
        if distributed.is_available() and distributed.is_initialized():
            return cls(distributed.get_rank(), distributed.get_world_size())
        return cls()

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that validates, writes and reports."""
        return self.rank == 0

    def check_batch(self, size: int) -> None:
        """Refuse a batch that cannot be shared evenly, of which the mean would not be the mean of the shares.

        Raises:
            InputError: says what would do.
        """
        if size % self.size:
            raise InputError(f"expected a batch that {self.size} processes can share evenly, got {size}")

    def share(self, batch: Batch) -> Batch:
        """The samples of a batch that are for this process."""
        return tuple(each[self.rank :: self.size] for each in batch)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over all processes."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.size

    def gathered(self, value: Tensor) -> Tensor:
        """The samples (B, ...) of all processes, (n B, ...), those of the first one first; differentiable.

        A loss of them is the same in all processes, and its gradient reaches the samples of each n-fold, as those
        of n losses; `shared` takes the mean.
        """
        return value if self.size == 1 else _Gathered.apply(value, self)

    def of_first(self, value: Value) -> Value:
        """What the first process has, in all of them."""
        if self.size == 1:
            return value
        box: list[Value | None] = [value if self.is_first else None]
        distributed.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[return-value]

    def wait(self) -> None:
        """Until all have come here."""
        if self.size > 1:
            distributed.barrier()

    def shared(self, module: nn.Module, device: torch.device) -> nn.Module:
        """A module whose gradients are means over all processes, and whose weights are those of the first."""
        if self.size == 1:
            return module
        return DistributedDataParallel(module, device_ids=[device] if device.type == "cuda" else None)


class _Gathered(Function):
    """The samples of all processes; the gradient of each is the sum of what all processes have for it."""

    @staticmethod
    def forward(ctx: FunctionCtx, value: Tensor, world: World) -> Tensor:
        ctx.world = world  # type: ignore[attr-defined]
        value = value.contiguous()
        parts = [torch.empty_like(value) for _ in range(world.size)]
        distributed.all_gather(parts, value)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        world: World = ctx.world  # type: ignore[attr-defined]
        total = gradients[0].contiguous().clone()
        distributed.all_reduce(total)
        return total.chunk(world.size)[world.rank], None


def is_started_by_torchrun() -> bool:
    """Whether this process is one of several that were started together, by what their environment says."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "MASTER_ADDR" in os.environ


@contextmanager
def process_group() -> Iterator[torch.device | None]:
    """Join the processes that torchrun has started; yield the device of this one, None for a single process.

    Raises:
        InputError: more processes on a machine than it has GPUs.
    """
    if not is_started_by_torchrun():
        yield None
        return
    device = torch.device("cpu")
    if torch.cuda.is_available():
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise InputError(
                f"expected at most one process per GPU, {torch.cuda.device_count()} on this machine, got number "
                f"{local + 1}"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield device
    finally:
        distributed.destroy_process_group()
