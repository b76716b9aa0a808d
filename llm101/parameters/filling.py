"""A Transformer filled with the numbers of a parameter file, once they are known to belong to it.

It knows nothing of folders. Names, shapes and kinds of number are compared before a number is read, and NaN and
infinity are refused. Under which names the numbers stand in a file is in stored_names.py.

Reading order: check_tensors, filled_transformer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from llm101.model import ModelConfig, Transformer
from llm101.outside.strict_json import shown
from llm101.parameters.errors import ModelFolderError
from llm101.parameters.number import FLOAT_FORMATS
from llm101.parameters.parameter_file import ParameterFile, is_finite
from llm101.parameters.quantised import QUANTISED
from llm101.parameters.stored_names import StoredAs, stored_names

EMBEDDING, OUTPUT = "model.embed_tokens.weight", "lm_head.weight"

FOLLOW_FROM_CONFIG = ("rotary_emb.inv_freq", "rope_freqs.weight")
"""Ends of names: old Llama files, and GGUF files of Llama 3.1 and later, store what the config says already."""


def check_tensors(config: ModelConfig, parameters: ParameterFile) -> None:
    """Compare names, shapes and kinds of number with what the config asks for; reads only a second output layer.

    Raises:
        ModelFolderError: naming the first tensor that is missing, not asked for, or of another shape or kind.
    """
    _check_claims(config, parameters)
    file, tensors, stored = parameters.path, parameters.tensors, stored_names(config, parameters)
    says = _what_says_the_shape(parameters)
    missing = [at.name for at in stored.values() if at.name not in tensors]
    if missing:
        also = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise ModelFolderError(f"{file}: the tensor {missing[0]!r}{also} is missing; does {says} belong to it?")
    shapes = config.tensor_shapes()
    expected = {at.name: _stored_shape(config, at, shapes[name]) for name, at in stored.items()}
    for name, entry in tensors.items():
        if name == OUTPUT and config.tie_embeddings:
            if not torch.equal(parameters.tensor(OUTPUT), parameters.tensor(EMBEDDING)):
                raise ModelFolderError(f"{file}: {says} ties {OUTPUT} to {EMBEDDING}, but their numbers differ")
        elif name.endswith(FOLLOW_FROM_CONFIG):
            continue
        elif name not in expected:
            raise ModelFolderError(f"{file}: the tensor {shown(name)} is not part of such a model")
        elif entry.shape != expected[name]:
            raise ModelFolderError(
                f"{file}: {name} has shape {shown(list(entry.shape))}, but {says} asks for {list(expected[name])}"
            )
        elif entry.dtype not in (*FLOAT_FORMATS, *QUANTISED):
            known = ", ".join((*FLOAT_FORMATS, *QUANTISED))
            raise ModelFolderError(f"{file}: {name} holds {entry.dtype}; llm101 runs {known}")


def filled_transformer(config: ModelConfig, parameters: ParameterFile) -> Transformer:
    """A model ready to run, as float32 on the CPU.

    The numbers are copied one tensor at a time, so that they are in memory only once.

    Raises:
        ModelFolderError: NaN or infinity among them.
    """
    with _UnfilledParameters():
        model = Transformer(config)
    ours = dict(model.named_parameters())
    parts: dict[str, list[tuple[Tensor, StoredAs]]] = {}  # for each tensor of the file: a stack of experts has many
    for name, at in stored_names(config, parameters).items():
        parts.setdefault(at.name, []).append((ours[name].data, at))
    for name, filled in parts.items():
        numbers = parameters.tensor(name)
        for parameter, at in filled:
            parameter.copy_(in_our_order(numbers if at.expert is None else numbers[at.expert], at))
            if not is_finite(parameter):
                file = parameters.file_of(name)
                raise ModelFolderError(f"{file}: {name!r} holds NaN or infinity, so no model can use it")
    return model.eval()


def _check_claims(config: ModelConfig, parameters: ParameterFile) -> None:
    """Before tensors are listed, of which a config can claim any number: are there so many layers and experts?"""
    file, n, says = parameters.path, len(parameters.tensors), _what_says_the_shape(parameters)
    if config.n_layers > n:
        raise ModelFolderError(f"{file}: {says} claims {config.n_layers} layers for only {n} tensors")
    n_experts = config.n_experts * (config.n_layers - len(config.dense_layers))
    if n_experts * config.d_model > parameters.n_parameters:
        raise ModelFolderError(
            f"{file}: {says} claims {n_experts} experts for only {parameters.n_parameters} parameters"
        )


def _what_says_the_shape(parameters: ParameterFile) -> str:
    return "its metadata" if parameters.gguf_metadata else "config.json"


def _stored_shape(config: ModelConfig, at: StoredAs, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if at.expert is None else (config.n_experts, *shape)


def in_our_order(rows: Tensor, at: StoredAs) -> Tensor:
    """The rows of q or k with the two of a RoPE pair half a head apart.

    Example:
        >>> in_our_order(torch.arange(8), StoredAs("blk.0.attn_q.bias", interleaved_heads=2)).tolist()
        [0, 2, 1, 3, 4, 6, 5, 7]
    """
    if at.interleaved_heads == 0:
        return rows
    pairs = rows.view(at.interleaved_heads, -1, 2, *rows.shape[1:])  # [heads, d_head / 2, 2, ...]
    return pairs.transpose(1, 2).reshape(rows.shape)


class _UnfilledParameters(TorchFunctionMode):
    """Inside it, torch leaves new parameters as they are, instead of drawing random numbers for nothing.

    (torch's own way, the "meta" device, imports its compiler: a second and 70 megabytes.)
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
