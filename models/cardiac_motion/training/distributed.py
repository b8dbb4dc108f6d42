"""Several processes that train one network together, each on its share of every batch.

Started by ``torchrun … -m cardiac_motion.train MODEL …``; on GPUs they talk through NCCL, on CPUs through gloo.
The first process alone validates, writes and reports. Each process makes the whole batch of a step and takes its
share of the parts into which the batch is divided, so that the samples of a part are the same however many
processes there are, and so is what dropout draws for it. Two processes of a part each then make on a CPU the very
steps that one makes, given as many threads in each; where gradients are added up in another order, they differ by
rounding, which training lets grow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from cardiac_motion.errors import InputError

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

    def check_parts(self, parts: int) -> None:
        """Refuse parts of a batch that cannot be shared evenly: the mean would not be that of the shares.

        Raises:
            InputError: says what would do.
        """
        if parts % self.size:
            raise InputError(
                f"expected batches in parts that {self.size} processes can share evenly, got {parts}: give "
                f"--option parts={self.size}"
            )

    def share(self, parts: int) -> range:
        """The parts of a batch that are for this process."""
        return range(self.rank, parts, self.size)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over all processes."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.size

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

    @staticmethod
    def unshared(module: nn.Module) -> AbstractContextManager[None]:
        """In which a shared module adds up gradients of this process; the next outside shares them all."""
        return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()


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
