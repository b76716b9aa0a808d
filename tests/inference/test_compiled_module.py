"""Without the compiler the plain path writes the same text; only one that cannot be loaded is worth a word."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llm101.inference.compiled import compiled_module as compiled
from llm101.inference.compiled.compiled_module import compiled_module
from llm101.outside.notice import Notice

COMPLETE = """
import sys, llm101
from llm101.compression import forward
lm = llm101.load("storyteller")
print(lm.complete("Once upon a time", max_tokens=3, temperature=0).text, lm.engine.is_fast, forward.exact.__name__)
"""


def test_a_compiler_that_is_switched_off_is_not_missed() -> None:
    environment = {"NUMBA_DISABLE_JIT": "1", "PATH": "", "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", COMPLETE], env=environment, capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == (", there was False llm101.compression.arithmetic\n", "")


@pytest.mark.parametrize("missing", ["numba", "llvmlite"])
def test_a_compiler_that_is_not_installed_is_not_missed(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(compiled.importlib, "import_module", absent)
    assert compiled_module("llm101.inference.compiled.kernels") is None


MAPPING = "libllvmlite.so: failed to map segment from shared object"


@pytest.mark.parametrize("error", [OSError(f"/a/{MAPPING}"), ImportError(MAPPING), MemoryError()], ids=repr)
def test_a_compiler_that_cannot_be_loaded_is_named_in_one_line(error, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise error

    monkeypatch.setattr(compiled.importlib, "import_module", broken)
    reason = "out of memory" if isinstance(error, MemoryError) else MAPPING
    with pytest.warns(Notice) as said:
        assert compiled_module("llm101.inference.compiled.kernels") is None
    assert str(said[0].message).startswith(f"numba cannot be loaded ({reason}): is there enough memory?")
    assert len(str(said[0].message).splitlines()) == 1


def test_a_fault_of_our_own_is_not_taken_for_a_missing_compiler() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        compiled_module("llm101.no_such_module")
