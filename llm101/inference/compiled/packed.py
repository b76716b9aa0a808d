"""A model's parameters as the compiled loops read them: all matrices one after the other, each in its own format.

They come from the model's files as they are stored there, or rounded to a coarser precision; or from a Transformer,
in float16 where that loses nothing. It knows the loops' layout (kernels.Weights) and nothing of texts. Several
threads may read one pack: it is complete before others see it, and is replaced, never changed.

Reading order: Pack, pack_of_files, pack_of_model, then what they stand on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from llm101.inference.compiled.formats import FORMATS, PIECE, padded
from llm101.inference.compiled.loops import Loops
from llm101.inference.source import StoredNumbers
from llm101.model import ModelConfig, Transformer

loops = Loops("llm101.inference.compiled.kernels", "llm101.inference.compiled.rehearsal", "inference")

PARTS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
PARTS += ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
"""The matrices of a layer, in the order of kernels.Q, K, V, ..."""
EMBEDDING, HEAD, FINAL_NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"
VECTORS = {
    "attention_norm": "input_layernorm.weight",
    "mlp_norm": "post_attention_layernorm.weight",
    "q_bias": "self_attn.q_proj.bias",
    "k_bias": "self_attn.k_proj.bias",
    "v_bias": "self_attn.v_proj.bias",
    "q_norm": "self_attn.q_norm.weight",
    "k_norm": "self_attn.k_norm.weight",
}
"""Which of a layer's parameters each array of kernels.Weights holds."""
LINE = 64  # bytes of a cache line
AT_ONCE = 1 << 20
"""So many numbers are in memory as float32 while a matrix is made smaller."""
FOUR_BITS = ("Q4_0", "Q4_1")
FloatRows = Callable[[str], Iterator[Tensor]]
"""Makes the rows of a parameter as float32, some at a time: [rows, n_in]; a vector is one row."""


class Pack(NamedTuple):
    """A model's parameters, ready to be read."""

    weights: Any
    """kernels.Weights"""
    kinds: dict[str, str]
    """The format of each matrix, by its name: keys of FORMATS."""

    @property
    def precision(self) -> str:
        """The formats of its matrices, that of most bytes first."""
        n_bytes = {kind: 0 for kind in self.kinds.values()}
        for kind, (_, _, n_out, row_bytes) in zip(self.kinds.values(), self.weights.matrices):
            n_bytes[kind] += int(n_out * row_bytes)
        return " + ".join(sorted(n_bytes, key=lambda kind: -n_bytes[kind]))

    @property
    def n_bytes(self) -> int:
        """The bytes of all matrices, each counted once."""
        return self.weights.numbers.size


class Matrix(NamedTuple):
    """One matrix on its way into a pack."""

    kind: str
    """Its format there."""
    shape: tuple[int, int]
    rows: Callable[[], Iterator[np.ndarray]]
    """Makes its rows in that format, some at a time, as bytes [n, bytes of a row]."""

    @property
    def row_bytes(self) -> int:
        return _row_bytes(self.kind, self.shape)


def pack_of_files(config: ModelConfig, stored: StoredNumbers, precision: str | None) -> Pack:
    """A model's parameters from its files, with no network made of them.

    Args:
        config: the model's shape.
        stored: its files.
        precision: a format, or None: each matrix as it is stored, or as float16 if the loops do not read that format.

    Raises:
        ValueError: a number that float16 cannot hold.
    """
    matrices, floats = {}, partial(stored.float_rows, n_at_once=AT_ONCE)
    for name, shape in shapes_of_matrices(config).items():
        dtype = stored.dtype(name)
        kind = _kind(name, shape, dtype, precision)
        make = partial(_as_stored, stored, shape) if kind == dtype else partial(_converted, floats, kind)
        matrices[name] = Matrix(kind, shape, partial(make, name))
    return _packed(config, matrices, floats)


def pack_of_model(model: Transformer, precision: str | None, last: Pack | None) -> Pack:
    """A network's parameters as they are now.

    Args:
        model: the network.
        precision: a format, or None: each matrix as in the last pack while it has the same numbers, else as float16
            if that loses nothing, else as float32.
        last: the pack before, if there was one; it is never changed.
    """
    matrices, floats = {}, partial(_rows_of, model)
    for m, (name, shape) in enumerate(shapes_of_matrices(model.config).items()):
        if precision is None and last is not None and _is_same(last, m, floats(name)):
            matrices[name] = Matrix(last.kinds[name], shape, partial(_taken_over, last, m))
        else:
            kind = _kind(name, shape, precision or _exact_kind(floats(name)), precision)
            matrices[name] = Matrix(kind, shape, partial(_converted, floats, kind, name))
    return _packed(model.config, matrices, floats)


def shapes_of_matrices(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """All matrices that a pack holds, in its order; the head of a model that ties it is the embedding itself."""
    layers = [f"model.layers.{i}.{part}.weight" for i in range(config.n_layers) for part in PARTS]
    known: Any = config.tensor_shapes()
    return {name: known[name] for name in (*layers, EMBEDDING, *(() if config.tie_embeddings else (HEAD,)))}


def _kind(name: str, shape: tuple[int, int], stored: str, precision: str | None) -> str:
    """In which format a matrix is packed.

    A block needs 32 numbers of one row. And of four bits, embedding and head get eight: the scores come from them.
    """
    wanted = precision or (stored if stored in FORMATS else "float16" if stored != "float64" else "float32")
    if wanted in FOUR_BITS and name in (EMBEDDING, HEAD) and precision is not None:
        wanted = "Q8_0"
    if wanted.startswith("Q") and shape[1] % PIECE:
        wanted = "float16"
    return wanted


def _as_stored(stored: StoredNumbers, shape: tuple[int, int], name: str) -> Iterator[np.ndarray]:
    n_bytes = _row_bytes(stored.dtype(name), shape)
    for rows in stored.rows(name, AT_ONCE):
        yield np.pad(rows, ((0, 0), (0, n_bytes - rows.shape[1]))) if rows.shape[1] < n_bytes else rows


def _row_bytes(kind: str, shape: tuple[int, int]) -> int:
    return padded(shape[1]) // PIECE * FORMATS[kind].n_bytes


def _rows_of(model: Transformer, name: str) -> Iterator[Tensor]:
    """A parameter's rows, some at a time; a vector is one row."""
    tensor = model.get_parameter(name).detach()
    matrix = tensor if tensor.ndim == 2 else tensor.reshape(1, -1)
    yield from matrix.split(max(1, AT_ONCE // max(1, matrix.shape[1])))


def _converted(floats: FloatRows, kind: str, name: str) -> Iterator[np.ndarray]:
    for rows in floats(name):
        full = F.pad(rows, (0, padded(rows.shape[1]) - rows.shape[1]))
        made = _rounded(full, kind)
        if kind == "float16" and rows.isfinite().all() and not torch.from_numpy(made.view(np.float16)).isfinite().all():
            raise ValueError(f"{name} holds numbers above 65504, which float16 cannot: take another precision")
        yield made


def _rounded(rows: Tensor, kind: str) -> np.ndarray:
    """float32 rows in another format, as bytes [rows, bytes of a row]."""
    if kind.startswith("Q"):
        from gguf import GGMLQuantizationType, quantize

        return quantize(rows.numpy(), GGMLQuantizationType[kind])
    return rows.contiguous().to(getattr(torch, kind)).view(torch.uint8).numpy()


def _exact_kind(floats: Iterator[Tensor]) -> str:
    """float16 if it holds every number of a matrix exactly, else float32."""
    for rows in floats:
        half = rows.half()
        if not (torch.equal(half.float(), rows) and half.isfinite().all()):
            return "float32"
    return "float16"


def _is_same(pack: Pack, m: int, floats: Iterator[Tensor]) -> bool:
    """Whether matrix m of the pack has these numbers."""
    first = 0
    for rows in floats:
        if loops.module.is_different(pack.weights, m, first, rows.numpy()):
            return False
        first += len(rows)
    return True


def _taken_over(pack: Pack, m: int) -> Iterator[np.ndarray]:
    start, _, n_out, row_bytes = pack.weights.matrices[m]
    yield pack.weights.numbers[start : start + n_out * row_bytes].reshape(n_out, row_bytes)


def _packed(config: ModelConfig, matrices: dict[str, Matrix], floats: FloatRows) -> Pack:
    table, end = [], 0
    for matrix in matrices.values():
        n_out = matrix.shape[0]
        table.append((end, FORMATS[matrix.kind].code, n_out, matrix.row_bytes))
        end += -(-n_out * matrix.row_bytes // LINE) * LINE
    numbers = _starting_on_a_line(end)
    for (start, _, n_out, row_bytes), matrix in zip(table, matrices.values()):
        into = numbers[start : start + n_out * row_bytes].reshape(n_out, row_bytes)
        for rows in matrix.rows():
            into[: len(rows)] = rows
            into = into[len(rows) :]
    head = table[-1:] if config.tie_embeddings else []
    weights = loops.module.Weights(numbers, np.array(table + head, np.int64), **_vectors(config, floats))
    return Pack(weights, {name: matrix.kind for name, matrix in matrices.items()})


def _starting_on_a_line(n_bytes: int) -> np.ndarray:
    """Room for so many bytes that begins with a cache line."""
    room = np.empty(n_bytes + LINE, np.uint8)
    before = -room.ctypes.data % LINE
    return room[before : before + n_bytes]


def _vectors(config: ModelConfig, floats: FloatRows) -> dict[str, np.ndarray]:
    """The arrays of kernels.Weights that hold vectors: [n_layers, n], or n = 0 for what the model does not have."""
    known, arrays = config.tensor_shapes(), dict[str, np.ndarray]()
    for array, part in VECTORS.items():
        names = [f"model.layers.{i}.{part}" for i in range(config.n_layers)]
        rows = [next(floats(name)).numpy() for name in names if name in known]
        arrays[array] = np.concatenate(rows) if rows else np.empty((config.n_layers, 0), np.float32)
    return arrays | {"final_norm": next(floats(FINAL_NORM)).numpy()[0].copy()}
