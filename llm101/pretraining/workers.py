"""Several processes that train one model: each takes its share of every batch, then they agree on the gradient.

It knows processes and tensors, nothing of models. `torchrun` starts the processes and tells each its number;
a single process is the case of one worker, in which nothing here does anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as distributed
from torch import Tensor


@dataclass(frozen=True)
class Workers:
    """This process among all of them."""

    rank: int = 0
    """This worker's number, from 0."""
    count: int = 1
    """How many there are."""

    @classmethod
    def join(cls, device: torch.device) -> Workers:
        """Meet the other workers that torchrun started; alone if it did not start this process."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def is_first(self) -> bool:
        """The first worker is the one that writes files and talks."""
        return self.rank == 0

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over all workers, in one exchange."""
        if self.count == 1:
            return
        tensors = list(tensors)
        flat = torch.cat([t.reshape(-1) for t in tensors])
        distributed.all_reduce(flat)
        flat /= self.count
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def total(self, *numbers: float) -> list[float]:
        """The sum of each number over all workers."""
        if self.count == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64)
        distributed.all_reduce(sums)
        return sums.tolist()

    def wait(self) -> None:
        """Go on once all workers are here."""
        if self.count > 1:
            distributed.barrier()
