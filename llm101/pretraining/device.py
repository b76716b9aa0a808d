"""The device: where the arithmetic of training runs, in which precision, on how many threads, compiled or not.

It knows the machine and the size of a model, nothing of data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from llm101.model import ModelConfig


class DeviceError(ValueError):
    """A device that is not there, or that cannot do what it was asked to."""


def choose_device(name: str | None) -> torch.device:
    """The device of that name; CUDA or else the CPU without one. MPS only when asked: its losses differ.

    Raises:
        DeviceError: the device is unknown or not there.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(name.split(":")[0], False):
        available = ", ".join(device for device, is_there in there.items() if is_there)
        raise DeviceError(f"no device {name!r} here; there is {available}")
    try:
        return torch.device(name)
    except RuntimeError:
        raise DeviceError(f"no device {name!r}; a device is cpu, cuda, mps, or one of several as in cuda:1") from None


def bfloat16_pays(device: torch.device, d_model: int) -> bool:
    """Whether bfloat16 is faster than float32: on GPUs that have it, on CPUs that have it and models wide enough.

    Below a width of about 192 the conversions cost a CPU more than the products gain.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type == "cpu":
        features = torch.cpu.get_capabilities()
        return d_model >= 192 and bool(features.get("avx512_bf16") or features.get("amx_bf16"))
    return False


SMALL_WORK = 100_000_000
"""Multiplications in a layer, of the tokens put through it at once, below which one thread does: with several, each
waits for the slowest. Two threads on two cores take 0.86 times as long as one at 16 million and 0.73 times at 63 when
nothing else runs, and 3 times as long beside a program that keeps one core busy, as a browser or a second notebook may
(tests/benchmarks/bench_threads.py). So below this a quarter is given away at most, and a factor of three is not risked;
above it the gain is larger than a third."""


@contextmanager
def threads_that_pay(config: ModelConfig, tokens_at_once: int) -> Iterator[None]:
    """One thread for a small model, for which more are slower; else, and afterwards, as many as there were."""
    usual = torch.get_num_threads()
    if config.n_parameters / config.n_layers * tokens_at_once < SMALL_WORK:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def compiled(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """The same arithmetic, fused by torch.compile.

    Raises:
        DeviceError: when it is first called, for only then is it compiled.
    """
    from torch._dynamo.exc import TorchDynamoException  # here, because it takes seconds to import

    fused = torch.compile(loss, dynamic=False)

    def compiled_loss(token_ids: Tensor, targets: Tensor) -> Tensor:
        try:
            return fused(token_ids, targets)
        except TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0]
            raise DeviceError(f"torch.compile cannot be used here ({reason}); leave it out") from None

    return compiled_loss
