"""How long it takes to open a 10 GB parameter file, and to read from it: python tests/benchmarks/bench_parameters.py

The file is sparse, so it takes no room on the disk; it has as many tensors as a 5-billion-parameter model.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from llm101.parameters import ParameterFile, write_parameters
from tests.benchmarks.history import record

GOAL_MS = 100.0
N_TENSORS, N_NUMBERS = 400, 12_500_000  # 400 tensors of 25 MB


def sparse_file(path: Path) -> None:
    header = {
        f"model.layers.{i}.weight": {
            "dtype": "F16",
            "shape": [N_NUMBERS],
            "data_offsets": [2 * N_NUMBERS * i, 2 * N_NUMBERS * (i + 1)],
        }
        for i in range(N_TENSORS)
    }
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + 2 * N_NUMBERS * N_TENSORS)


def median_ms(action: Callable[[], object], n_times: int = 20) -> float:
    times_ms = []
    for _ in range(n_times):
        start = time.perf_counter()
        action()
        times_ms.append(1000 * (time.perf_counter() - start))
    return statistics.median(times_ms)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ten_gigabytes.safetensors"
        sparse_file(path)
        parameters = ParameterFile(path)
        open_ms = median_ms(lambda: ParameterFile(path))
        print(f"file                  {parameters.n_bytes / 1e9:.1f} GB, {len(parameters.tensors)} tensors")
        print(f"open                  {open_ms:8.2f} ms   (goal: below {GOAL_MS:.0f})")
        number_ms = median_ms(lambda: parameters.number("model.layers.399.weight", 7))
        tensor_ms = median_ms(lambda: parameters.tensor("model.layers.399.weight"))
        print(f"one number            {number_ms:8.2f} ms")
        print(f"one tensor, mapped    {tensor_ms:8.2f} ms")

        small = Path(folder) / "storyteller_size.safetensors"
        tensors = {"weight": torch.randn(5_477_632).half()}
        write_ms = median_ms(lambda: write_parameters(small, tensors), 5)
        fingerprint_ms = median_ms(ParameterFile(small).fingerprint, 5)
        check_ms = median_ms(ParameterFile(small).check_finite, 5)
        print(f"write 11 MB           {write_ms:8.2f} ms")
        print(f"fingerprint 11 MB     {fingerprint_ms:8.2f} ms")
        print(f"check finite 11 MB    {check_ms:8.2f} ms")
    of_ten_gigabytes = {"open_ms": open_ms, "number_ms": number_ms, "tensor_ms": tensor_ms}
    of_a_storyteller = {"write_ms": write_ms, "fingerprint_ms": fingerprint_ms, "check_finite_ms": check_ms}
    record("parameters", {"ten_gigabytes": of_ten_gigabytes, "storyteller": of_a_storyteller})


if __name__ == "__main__":
    main()
