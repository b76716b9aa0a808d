"""The engines that are compared, each in a process of its own that does what it is told, line by line.

    python -m tests.benchmarks.engines '["LlamaCpp", {"path": "model.gguf", "n_threads": 2}]'

So each has its own memory to be measured, and its threads sleep while another is timed. It knows nothing of rounds or
ratios. An engine's packages are imported by itself alone: what it does not need must not count as its memory.

Reading order: LLM101, Generate, LlamaCpp; then answer, the process's loop, and EngineProcess, its other end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
CONTEXT_NEEDED = 512


class LLM101:
    """Ours: whole completions, with all that a reader's call does, but that no token ends them."""

    def __init__(self, model: str, n_threads: int, precision: str | None = None, fast: bool = True) -> None:
        import torch

        import llm101

        torch.set_num_threads(n_threads)
        lm = llm101.load(model, precision=precision)
        self.engine = (
            lm.engine
            if fast
            else llm101.InferenceEngine(lm.model, lm.tokenizer, start_ids=lm.engine.start_ids, fast=False)
        )
        self.engine.end_ids = frozenset()
        self.engine.compile()
        self.weight_bytes = self.engine.weight_bytes

    def prefill(self, ids: list[int]) -> None:
        self.engine.prefill(ids)

    def decode(self, ids: list[int], n: int) -> list[int]:
        """The n likeliest tokens after these, one after another."""
        return list(self.engine.complete(ids, max_tokens=n, temperature=0).token_ids)

    def nats(self, ids: list[int]) -> float:
        """How improbable the tokens after the first are, all together."""
        return -float(self.engine.logprobs(ids).sum())


class Generate:
    """Hugging Face's `generate`."""

    def __init__(self, folder: str, n_threads: int, dtype: str) -> None:
        import torch
        import transformers

        torch.set_num_threads(n_threads)
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
        self.model, self.torch = loaded.eval(), torch
        self.weight_bytes = sum(p.nbytes for p in self.model.parameters() if p.ndim == 2)

    def prefill(self, ids: list[int]) -> None:
        self.decode(ids, 1)

    def decode(self, ids: list[int], n: int) -> list[int]:
        found = self.model.generate(
            self.torch.tensor([ids]), max_new_tokens=n, min_new_tokens=n, do_sample=False, pad_token_id=0
        )
        return found[0, len(ids) :].tolist()

    def nats(self, ids: list[int]) -> float:
        with self.torch.no_grad():
            logprobs = self.model(self.torch.tensor([ids])).logits[0, :-1].float().log_softmax(dim=-1)
        return -float(logprobs.gather(1, self.torch.tensor(ids[1:])[:, None]).sum())


class LlamaCpp:
    """llama.cpp at its best: its C function llama_decode and nothing around it but the choice of the likeliest."""

    def __init__(self, path: str, n_threads: int) -> None:
        import llama_cpp  # pyright: ignore[reportMissingImports] - from the extra `bench`

        self.library = llama_cpp
        self.llama = llama_cpp.Llama(
            path, n_ctx=CONTEXT_NEEDED, n_batch=CONTEXT_NEEDED, n_threads=n_threads, n_threads_batch=n_threads,
            flash_attn=True, verbose=False,
        )  # fmt: skip
        self.token = (llama_cpp.llama_token * 1)()
        self.weight_bytes = llama_cpp.llama_model_size(self.llama.model)

    def prefill(self, ids: list[int]) -> None:
        self.llama.reset()
        self.llama.eval(ids)

    def decode(self, ids: list[int], n: int) -> list[int]:
        self.prefill(ids)
        found = []
        for _ in range(n):
            found.append(int(self._logits().argmax()))
            self._read(found[-1])
        return found

    def nats(self, ids: list[int]) -> float:
        self.prefill(ids[:1])
        total = 0.0
        for token_id in ids[1:]:
            logits = self._logits().astype(np.float64)
            total += logits.max() + np.log(np.exp(logits - logits.max()).sum()) - logits[token_id]
            self._read(token_id)
        return float(total)

    def _logits(self) -> np.ndarray:
        return np.ctypeslib.as_array(self.library.llama_get_logits(self.llama.ctx), shape=(self.llama.n_vocab(),))

    def _read(self, token_id: int) -> None:
        self.token[0] = token_id
        self.library.llama_decode(self.llama.ctx, self.library.llama_batch_get_one(self.token, 1))


ENGINES = {kind.__name__: kind for kind in (LLM101, Generate, LlamaCpp)}


def peak_bytes() -> int:
    """The most memory that this process had at once.

    Linux's ru_maxrss is not asked: it begins with that of the process which started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(status.read_text(encoding="utf-8").partition("VmHWM:")[2].split()[0])
    import resource  # which Windows does not have

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes, on macOS


def answer(kind: str, settings: dict[str, Any]) -> None:
    """Do what is asked for on standard input, until it ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer

    def say(**said: Any) -> None:
        print(json.dumps(said), file=answers, flush=True)

    start = time.perf_counter()
    try:
        engine = ENGINES[kind](**settings)
    except ImportError as error:
        return say(missing=str(error))
    say(seconds=time.perf_counter() - start, result=engine.weight_bytes)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        start, processor = time.perf_counter(), time.process_time()
        result = peak_bytes() if name == "peak_bytes" else getattr(engine, name)(*arguments)
        seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor
        say(seconds=seconds, processor_seconds=processor_seconds, result=result)


class EngineProcess:
    """An engine in another process.

    Args:
        kind: one of ENGINES.
        environment: what its process finds in the environment beside what this one has.
        settings: the engine's own.

    Attributes:
        missing: what is not installed, if it cannot run for that.
        start_seconds, weight_bytes: how long it took to get ready, and the bytes that it reads for each token.
        processor_seconds: how long, since then, all cores together have worked for it.
    """

    def __init__(self, kind: str, environment: dict[str, str] | None = None, **settings: Any) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.engines", json.dumps([kind, settings])]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen(command, cwd=ROOT, env=os.environ | (environment or {}), **pipes)
        first = self._answer()
        self.missing: str | None = first.get("missing")
        self.processor_seconds = 0.0
        self.start_seconds, self.weight_bytes = first.get("seconds", 0.0), first.get("result", 0)

    def ask(self, what: str, *arguments: Any) -> Any:
        """The result of one of the engine's functions, or `peak_bytes`."""
        return self._asked(what, *arguments)["result"]

    def seconds(self, what: str, *arguments: Any) -> float:
        """How long that takes, on the engine's own clock."""
        return self._asked(what, *arguments)["seconds"]

    def _asked(self, *line: Any) -> dict[str, Any]:
        assert self._process.stdin
        print(json.dumps(line), file=self._process.stdin, flush=True)
        answer = self._answer()
        self.processor_seconds += answer["processor_seconds"]
        return answer

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"an engine's process ended with {self._process.wait()}: {self._process.args}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


if __name__ == "__main__":
    answer(*json.loads(sys.argv[1]))
