"""Models from the hub: fetched once, gone on with after a break, and one line for all that can go wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from llm101.model import ModelConfig, Transformer
from llm101.outside import hub as hub_module
from llm101.outside.hub import HubError, download
from llm101.parameters.model_folder import save_model
from llm101.tokenizer import Tokenizer
from tests.hub_server import Hub, serving

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed; pip install '.[hub]'")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    config = ModelConfig(vocab_size=262, d_model=8, n_layers=1, n_heads=2, d_mlp=2**18, context_length=16)  # 12.6 MB
    model = Transformer(config).initialise(seed=0)
    save_model(tmp_path / "little", model, Tokenizer.train(["once upon a time"] * 3, vocab_size=262))
    for name in ("pytorch_model.bin", "modeling_little.py", "README.md"):
        (tmp_path / "little" / name).write_text("no part of a model", encoding="utf-8")
    with serving(tmp_path / "little") as hub:
        yield hub


LOAD = "import llm101; print(llm101.load(NAME).complete('once', max_tokens=3, temperature=0).token_ids)"


def load(hub: Hub, home: Path, name: str = "owner/little", program: str = LOAD) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the package reads its settings when it is imported."""
    environment = os.environ | {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    environment |= {"NO_PROXY": "127.0.0.1", "NUMBA_DISABLE_JIT": "1"}
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-W", "ignore", "-c", program.replace("NAME", repr(name))]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def said(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.strip().splitlines()[-1]


def test_a_model_is_fetched_without_code_or_pickles_and_opens(hub: Hub, tmp_path: Path) -> None:
    done = load(hub, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    fetched = {path.name for path in (tmp_path / "home").rglob("*") if path.is_symlink() or path.is_file()}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= fetched
    assert not fetched & {"pytorch_model.bin", "modeling_little.py"}
    assert "%|" in done.stderr  # a bar, on standard error


@pytest.mark.slow
def test_what_was_fetched_opens_without_a_network(hub: Hub, tmp_path: Path) -> None:
    first = load(hub, tmp_path / "home")
    hub.shutdown()
    hub.server_close()
    again = load(hub, tmp_path / "home")
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout


@pytest.mark.slow
def test_a_download_that_broke_off_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.break_off_after = 11_000_000
    done = load(hub, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    (gone_on,) = (asked for asked in hub.asked if "model.safetensors bytes=" in asked)
    assert int(gone_on.split("bytes=")[1].rstrip("-")) > 10_000_000


@pytest.mark.slow
def test_nobody_answers_and_the_line_says_so(hub: Hub, tmp_path: Path) -> None:
    hub.shutdown()
    hub.server_close()
    done = load(hub, tmp_path / "home")
    assert "owner/little is not on this machine, and the hub cannot be reached: go online and run it again" in said(
        done
    )


@pytest.mark.slow
def test_a_model_that_is_not_there_is_named(hub: Hub, tmp_path: Path) -> None:
    assert "the hub has no model owner/gone" in said(load(hub, tmp_path / "home", "owner/gone"))


def info(*files: tuple[str, int], n_parameters: int = 0) -> SimpleNamespace:
    siblings = [SimpleNamespace(rfilename=name, size=size) for name, size in files]
    return SimpleNamespace(siblings=siblings, safetensors=SimpleNamespace(total=n_parameters))


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """huggingface_hub, with answers of the test's own."""
    package = SimpleNamespace(
        constants=SimpleNamespace(HF_HUB_CACHE=str(tmp_path)),
        model_info=lambda name, files_metadata: info(("model.safetensors", 100), ("config.json", 10)),
        snapshot_download=lambda name, allow_patterns: str(tmp_path),
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", package)  # type: ignore[arg-type]
    return package


def test_a_disk_without_room_is_seen_before_anything_is_fetched(package: SimpleNamespace) -> None:
    package.model_info = lambda name, files_metadata: info(("model.safetensors", 10**18), ("model.bin", 10**19))
    package.snapshot_download = None
    with pytest.raises(HubError, match=r"owner/huge takes 1000000000\.0 GB, and .* GB free: make room, or set HF_HOME"):
        download("owner/huge")


def test_a_disk_that_fills_on_the_way_is_one_line(package: SimpleNamespace) -> None:
    def fill(name: str, allow_patterns: list[str]) -> str:
        raise OSError(28, "No space left on device")

    package.snapshot_download = fill
    with pytest.raises(
        HubError, match="the disk is full: owner/little is not here in full. Make room and run it again"
    ):
        download("owner/little")


def test_a_model_too_large_for_this_machine_is_refused_before_it_is_fetched(package: SimpleNamespace) -> None:
    import llm101

    package.model_info = lambda name, files_metadata: info(("model.safetensors", 100), n_parameters=10**13)
    package.snapshot_download = None
    with pytest.raises(ValueError, match=r"owner/huge has 10,000,000,000,000 parameters, .* 20000\.0 GB .* fits"):
        llm101.load("owner/huge")


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (["pytorch_model.bin"], "holds pickled parameters only"),
        (["a.Q4_0.gguf", "b.Q8_0.gguf"], "holds GGUF files: name the one you mean, such as owner/odd/a.Q4_0.gguf"),
        (["README.md"], r"holds no \.safetensors file"),
    ],
)
def test_a_model_without_what_can_be_opened_says_what_it_has(
    package: SimpleNamespace, files: list[str], complaint: str
) -> None:
    package.model_info = lambda name, files_metadata: info(*((file, 1) for file in files))
    with pytest.raises(HubError, match=complaint):
        download("owner/odd")


def test_one_file_of_several_is_asked_for_by_its_name(package: SimpleNamespace, tmp_path: Path) -> None:
    package.model_info = lambda name, files_metadata: info(("a.gguf", 1), ("b.gguf", 1))
    asked: list[list[str]] = []
    package.snapshot_download = lambda name, allow_patterns: asked.append(allow_patterns) or str(tmp_path)
    assert download("owner/odd/b.gguf") == tmp_path / "b.gguf"
    assert asked == [["b.gguf"]]


def test_whatever_the_package_raises_is_one_line(package: SimpleNamespace) -> None:
    def fail(name: str, allow_patterns: list[str]) -> str:
        raise RuntimeError("first line\nsecond line " + "x" * 1000)

    package.snapshot_download = fail
    with pytest.raises(HubError, match="cannot get owner/little: first line second line") as refused:
        download("owner/little")
    assert len(str(refused.value)) < 300


def test_the_reason_may_lie_deep() -> None:
    try:
        try:
            raise ConnectionRefusedError(111, "refused")
        except OSError as error:
            raise RuntimeError("retries are over") from error
    except RuntimeError as error:
        deep = error
    assert hub_module._is_unreachable(deep)
    assert not hub_module._is_unreachable(RuntimeError("no"))
