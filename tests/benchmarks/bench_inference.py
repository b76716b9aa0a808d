"""How fast the engine is, beside others on the same file: python tests/benchmarks/bench_inference.py [--json]

The same weights are run by llm101, by Hugging Face `generate` (float32 and bfloat16) and by llama.cpp
(written out as f16 GGUF), all with the same number of threads. A shared machine's clock changes by a quarter from
one second to the next, so the engines take turns, each ratio is taken within a round, and every figure is the median
of the rounds. Decoding is greedy, one text at a time, and never stops early.

The roofline is what the memory allows: each token needs every weight once, so no engine that reads them
as they are can make more tokens per second than (bytes read per second) / (bytes of the weights).
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import llm101
from llm101.inference import InferenceEngine
from llm101.model import Transformer
from tests.benchmarks.history import record

N_PREFILL, N_PREFILLS, N_PROMPT, CONTEXT_NEEDED = 256, 5, 16, 512
Engine = tuple[Callable[[list[int], int], object], Callable[[list[int]], object]]  # decode n tokens; prefill


def ours(engine: InferenceEngine) -> Engine:
    return (
        lambda ids, n: engine.complete(ids, max_tokens=n, temperature=0),
        engine.prefill,
    )


def hugging_face(folder: Path, dtype: torch.dtype) -> Engine:
    import transformers

    transformers.logging.set_verbosity_error()
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()

    def generate(ids: list[int], n: int) -> object:
        return model.generate(  # pyright: ignore[reportAttributeAccessIssue]
            torch.tensor([ids]), max_new_tokens=n, min_new_tokens=n, do_sample=False, pad_token_id=0, use_cache=True
        )

    return generate, lambda ids: generate(ids, 1)


def llama_cpp(path: Path, n_threads: int) -> Engine:
    """llama.cpp at its best: its C function llama_decode and nothing around it but the choice of the likeliest."""
    import llama_cpp as lib  # pyright: ignore[reportMissingImports] - from the extra `bench`

    llama = lib.Llama(
        str(path), n_ctx=CONTEXT_NEEDED, n_batch=512, n_threads=n_threads, n_threads_batch=n_threads,
        flash_attn=True, verbose=False,
    )  # fmt: skip
    n_vocab, token = llama.n_vocab(), (lib.llama_token * 1)()

    def prefill(ids: list[int]) -> None:
        llama.reset()
        llama.eval(ids)

    def decode(ids: list[int], n: int) -> None:
        prefill(ids)
        for _ in range(n):
            token[0] = int(np.ctypeslib.as_array(lib.llama_get_logits(llama.ctx), shape=(n_vocab,)).argmax())
            lib.llama_decode(llama.ctx, lib.llama_batch_get_one(token, 1))

    return decode, prefill


def write_gguf(model: Transformer, path: Path) -> None:
    """The model as llama.cpp's file: matrices in float16, norms in float32, rotary pairs side by side."""
    import gguf  # pyright: ignore[reportMissingImports] - from the extra `bench`

    c = model.config
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(c.context_length)
    writer.add_embedding_length(c.d_model)
    writer.add_block_count(c.n_layers)
    writer.add_feed_forward_length(c.d_mlp)
    writer.add_head_count(c.n_heads)
    writer.add_head_count_kv(c.n_kv_heads)
    writer.add_key_length(c.d_head)
    writer.add_value_length(c.d_head)
    writer.add_rope_dimension_count(c.d_head)
    writer.add_rope_freq_base(c.rope_theta)
    writer.add_layer_norm_rms_eps(c.norm_eps)
    writer.add_vocab_size(c.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("gpt2")  # only ids go in and out: any names do for the tokens
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([f"t{i}" for i in range(c.vocab_size)])
    writer.add_token_types([gguf.TokenType.NORMAL] * c.vocab_size)
    writer.add_token_merges(["t 0"])
    for name, parameter in model.named_parameters():
        array = parameter.detach().numpy()
        for kind, n_heads in (("q_proj.weight", c.n_heads), ("k_proj.weight", c.n_kv_heads)):
            if name.endswith(kind):
                array = array.reshape(n_heads, 2, c.d_head // 2, -1).swapaxes(1, 2).reshape(array.shape)
        array = np.ascontiguousarray(array, dtype=np.float16 if array.ndim == 2 else np.float32)
        writer.add_tensor(gguf_name(name), array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_name(name: str) -> str:
    parts = {
        "input_layernorm": "attn_norm", "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v",
        "o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "gate_proj": "ffn_gate",
        "up_proj": "ffn_up", "down_proj": "ffn_down", "embed_tokens": "token_embd", "norm": "output_norm",
        "lm_head": "output",
    }  # fmt: skip
    words = name.removesuffix(".weight").split(".")
    prefix = f"blk.{words[2]}." if words[:2] == ["model", "layers"] else ""
    return f"{prefix}{parts[words[-1]]}.weight"


def read_bandwidth(n_bytes: int) -> float:
    """Bytes per second when a buffer of that size is read over and over (a small one comes from the cache)."""
    buffer = torch.ones(max(n_bytes // 4, 1))
    n_times = max(3, int(2e8 // n_bytes))
    best = 0.0
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(n_times):
            buffer.sum()
        best = max(best, n_times * n_bytes / (time.perf_counter() - start))
    return best


Rounds = dict[str, list[dict[str, float]]]  # for each engine, what each round measured


def measure(engines: dict[str, Engine], vocab_size: int, n_tokens: int, n_rounds: int) -> Rounds:
    ids = torch.randint(0, vocab_size, (N_PREFILL,), generator=torch.Generator().manual_seed(0)).tolist()
    rounds: Rounds = {name: [] for name in engines}
    for _ in range(n_rounds + 1):
        prefill_seconds = {name: [] for name in engines}
        for _ in range(N_PREFILLS):
            for name, (_, prefill) in engines.items():
                prefill(ids)  # not timed: another engine's threads may still be awake, and its weights in the caches
                prefill_seconds[name].append(timed(prefill, ids))
        for name, (decode, prefill) in engines.items():
            first_seconds = timed(prefill, ids[:N_PROMPT])
            measured = {
                "decode_tokens_per_second": n_tokens / (timed(decode, ids[:N_PROMPT], n_tokens) - first_seconds),
                "prefill_256_ms": 1000 * statistics.median(prefill_seconds[name]),
            }
            rounds[name].append(measured)
    return {name: of_engine[1:] for name, of_engine in rounds.items()}  # the first warms up: compiling, filling caches


def timed(action: Callable[..., object], *arguments: Any) -> float:
    start = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - start


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {what: statistics.median(r[what] for r in rounds) for what in rounds[0]}


def run(name: str, n_threads: int, n_tokens: int, n_rounds: int) -> dict[str, Any]:
    torch.set_num_threads(n_threads)
    lm = llm101.load(name)
    weight_bytes = 2 * sum(p.numel() for p in lm.model.parameters() if p.ndim == 2)
    lm.engine.compile()
    engines = {"llm101": ours(InferenceEngine(lm.model, lm.tokenizer, end_ids=()))}
    engines["llm101, plain path"] = ours(InferenceEngine(lm.model, lm.tokenizer, end_ids=(), fast=False))
    missing = []
    with tempfile.TemporaryDirectory() as scratch:
        try:
            engines["generate, float32"] = hugging_face(lm.path, torch.float32)
            engines["generate, bfloat16"] = hugging_face(lm.path, torch.bfloat16)
        except ImportError:
            missing.append("Hugging Face transformers is not installed: pip install 'llm101[test]'")
        try:
            write_gguf(lm.model, Path(scratch) / "model.gguf")
            engines["llama.cpp, f16"] = llama_cpp(Path(scratch) / "model.gguf", n_threads)
        except ImportError:
            missing.append("llama.cpp is not installed: pip install 'llm101[bench]' (it is compiled on this machine)")
        rounds = measure(engines, lm.model.config.vocab_size, n_tokens, n_rounds)
    results: dict[str, dict[str, float]] = {name: medians(of_engine) for name, of_engine in rounds.items()}
    ratios_of_rounds = [ratios(dict(zip(rounds, of_round))) for of_round in zip(*rounds.values())]
    cached, memory = read_bandwidth(weight_bytes), read_bandwidth(400_000_000)
    for result in results.values():
        result["share_of_roofline"] = result["decode_tokens_per_second"] * weight_bytes / cached
    return {
        "model": lm.name, "n_threads": n_threads, "weight_bytes": weight_bytes, "missing": missing,
        "read_bytes_per_second": cached, "read_bytes_per_second_from_memory": memory,
        "roofline_tokens_per_second": cached / weight_bytes, "engines": results, "ratios": medians(ratios_of_rounds),
    }  # fmt: skip


def ratios(results: dict[str, dict[str, float]]) -> dict[str, float]:
    """Ours against the best of the others, in one round; above 1 means faster."""
    fast, found = results["llm101"], {}
    for other in ("generate", "llama.cpp"):
        others = [r for name, r in results.items() if name.startswith(other)]
        if others:
            best = max(r["decode_tokens_per_second"] for r in others)
            found[f"decode against {other}"] = fast["decode_tokens_per_second"] / best
            found[f"prefill against {other}"] = min(r["prefill_256_ms"] for r in others) / fast["prefill_256_ms"]
    return found


GOALS = {"decode against llama.cpp": 1.0, "decode against generate": 6.0, "prefill against generate": 1.0}


def show(report: dict[str, Any]) -> None:
    print(f"{report['model']}: {report['weight_bytes'] / 1e6:.1f} MB of weights, {report['n_threads']} threads")
    print(f"{'':22}{'decode':>14}{'of roofline':>13}{'prefill of 256':>18}")
    for name, r in report["engines"].items():
        decode, share = f"{r['decode_tokens_per_second']:,.0f} tok/s", f"{100 * r['share_of_roofline']:.0f} %"
        print(f"{name:22}{decode:>14}{share:>13}{r['prefill_256_ms']:>15.1f} ms")
    roofline = report["roofline_tokens_per_second"]
    cached, memory = (report[k] / 1e9 for k in ("read_bytes_per_second", "read_bytes_per_second_from_memory"))
    print(f"{'roofline':22}{roofline:>8,.0f} tok/s   reading these bytes over and over: {cached:.1f} GB/s")
    print(f"{'':22}{'':>14}   a buffer larger than any cache: {memory:.1f} GB/s")
    for name, ratio in report["ratios"].items():
        missed = "goal missed" if ratio < GOALS.get(name, 0) else "goal"
        goal = f"   ({missed}: at least {GOALS[name]:.1f})" if name in GOALS else ""
        print(f"{name:27}{ratio:>6.2f} x{goal}")
    for line in report["missing"]:
        print(line)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Decode and prefill speed, beside generate and llama.cpp.")
    parser.add_argument("--model", default="storyteller", help="a known model or a folder (default: storyteller)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=200, help="tokens per decode measurement")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    report = run(args.model, args.threads, args.tokens, args.rounds)
    record(
        "inference",
        {name: report[name] for name in ("engines", "ratios", "roofline_tokens_per_second")},
        model=report["model"],
        threads=args.threads,
        tokens=args.tokens,
        rounds=args.rounds,
    )
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)
    return 0  # figures are for reading: a missed goal is printed, and the next benchmark runs all the same


if __name__ == "__main__":
    sys.exit(main())
