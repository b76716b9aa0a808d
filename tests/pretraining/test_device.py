"""The device: what is there is taken, what is not is refused, and compiling is an offer."""

from __future__ import annotations

from contextlib import suppress

import pytest
import torch

from llm101.model import ModelConfig
from llm101.pretraining.device import DeviceError, bfloat16_pays, choose_device, compiled, threads_that_pay


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(None) == choose_device("cpu") == torch.device("cpu")
    for name in ("cuda", "cuda:1", "tpu", ""):
        with pytest.raises(DeviceError, match=f"no device '{name}' here; there is cpu"):
            choose_device(name)


def test_a_name_that_is_no_device_is_refused() -> None:
    with pytest.raises(DeviceError, match="no device 'cpu:one'; a device is cpu, cuda, mps"):
        choose_device("cpu:one")


def test_bfloat16_is_left_to_wide_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert bfloat16_pays(torch.device("cpu"), 192)
    assert not bfloat16_pays(torch.device("cpu"), 128)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert not bfloat16_pays(torch.device("cpu"), 192)


@pytest.mark.parametrize(("d_model", "tokens", "n_threads"), [(16, 64, 1), (64, 512, 1), (256, 4096, 2), (512, 64, 2)])
def test_a_small_model_gets_one_thread_for_as_long_as_it_works(
    one_thread: None, d_model: int, tokens: int, n_threads: int
) -> None:
    config = ModelConfig(vocab_size=300, d_model=d_model, n_layers=2, n_heads=2)
    torch.set_num_threads(2)
    with suppress(KeyboardInterrupt), threads_that_pay(config, tokens):
        assert torch.get_num_threads() == n_threads
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    with threads_that_pay(config, tokens):
        assert torch.get_num_threads() == 1  # never more than there were


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, while it compiles
def test_without_a_compiler_compiling_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/nowhere/c++"))
    torch._dynamo.reset()
    loss = compiled(lambda ids, targets: ((ids - targets) * 0.123).exp().sum())
    with pytest.raises(DeviceError, match=r"^torch.compile cannot be used here \(.*\); leave it out$"):
        loss(torch.ones(3, 5), torch.zeros(3, 5))
