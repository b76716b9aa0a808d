"""Several processes that train one model: each takes its share of every batch, then they agree on the gradient.

It knows processes and tensors, nothing of models. `torchrun` starts the processes and tells each its number;
a single process is the case of one worker, in which nothing here does anything.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as distributed
from torch import Tensor

from llm101.outside.strict_json import shown


class WorkerError(ValueError):
    """Another worker is gone, so this one cannot go on."""


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
            # Imported later, its functions would hold the group as their default for good; see leave.
            importlib.import_module("torch.distributed.nn.functional")
            if device.type == "cuda":
                torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
            # The others wait while the first one encodes the corpus, for hours if need be. A worker that dies is
            # noticed at once all the same.
            distributed.init_process_group(backend, timeout=timedelta(days=1))
        return cls(distributed.get_rank(), distributed.get_world_size())

    def leave(self) -> None:
        """Say goodbye, at the end.

        gloo's threads let go of the last tensors in their own time, which Python does not survive once it is on its
        way out. They end with the group, and the group with the last that refers to it: hence the collection.
        """
        if self.count > 1 and distributed.is_initialized():
            distributed.destroy_process_group()
            gc.collect()

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
        with _others_alive():
            distributed.all_reduce(flat)
        flat /= self.count
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def total(self, *numbers: float) -> list[float]:
        """The sum of each number over all workers."""
        if self.count == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64)
        with _others_alive():
            distributed.all_reduce(sums)
        return sums.tolist()

    def share(self, tensors: dict[str, Tensor] | None) -> dict[str, Tensor] | None:
        """Give the first worker's named tensors to all."""
        if self.count == 1:
            return tensors
        shapes = {name: (str(t.dtype).removeprefix("torch."), list(t.shape)) for name, t in (tensors or {}).items()}
        (length,) = self.total(len(json.dumps(shapes)) if self.is_first else 0)
        header = torch.zeros(int(length), dtype=torch.uint8)
        if self.is_first:
            header.copy_(torch.frombuffer(bytearray(json.dumps(shapes).encode()), dtype=torch.uint8))
        with _others_alive():
            distributed.broadcast(header, 0)
            received: dict[str, Tensor] = {}
            for name, (dtype, shape) in json.loads(bytes(header.tolist())).items():
                blank = torch.empty(shape, dtype=getattr(torch, dtype))
                received[name] = tensors[name].contiguous() if tensors else blank
                distributed.broadcast(received[name], 0)
        return received or None

    def wait(self) -> None:
        """Go on once all workers are here."""
        if self.count > 1:
            with _others_alive():
                distributed.barrier()


@contextmanager
def _others_alive() -> Iterator[None]:
    """Turn torch's report of a lost connection into one clear line."""
    try:
        yield
    except RuntimeError as error:
        raise WorkerError(
            f"another worker stopped ({shown(str(error))}); the same command goes on from the last checkpoint"
        ) from None
