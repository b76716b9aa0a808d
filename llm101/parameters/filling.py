"""A Transformer filled with the numbers of a parameter file, once they are known to belong to it.

It knows nothing of folders. Names, shapes and dtypes are compared before a number is read, and NaN and infinity are
refused.

Reading order: check_tensors, filled_transformer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from llm101.model import ModelConfig, Transformer
from llm101.outside.strict_json import shown
from llm101.parameters.errors import ModelFolderError
from llm101.parameters.number import FLOAT_FORMATS
from llm101.parameters.parameter_file import ParameterFile, is_finite

EMBEDDING, OUTPUT = "model.embed_tokens.weight", "lm_head.weight"


def check_tensors(config: ModelConfig, parameters: ParameterFile) -> None:
    """Compare names, shapes and dtypes with what the config asks for; reads no numbers but a second output layer's.

    Raises:
        ModelFolderError: naming the first tensor that is missing, not asked for, or of another shape or dtype.
    """
    file, tensors = parameters.path, parameters.tensors
    if config.n_layers > len(tensors):  # before anything is listed: the claimed number can be huge
        raise ModelFolderError(f"{file}: config.json claims {config.n_layers} layers for only {len(tensors)} tensors")
    shapes = config.tensor_shapes()
    missing = [name for name in shapes if name not in tensors]
    if missing:
        also = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise ModelFolderError(f"{file}: the tensor {missing[0]!r}{also} is missing; does config.json belong to it?")
    for name, entry in tensors.items():
        if name == OUTPUT and config.tie_embeddings:
            if not torch.equal(parameters.tensor(OUTPUT), parameters.tensor(EMBEDDING)):
                raise ModelFolderError(f"{file}: config.json ties {OUTPUT} to {EMBEDDING}, but their numbers differ")
        elif name.endswith("rotary_emb.inv_freq"):
            continue  # old Llama files also stored the rotary wavelengths, which follow from rope_theta
        elif name not in shapes:
            raise ModelFolderError(f"{file}: the tensor {shown(name)} is not part of such a model")
        elif entry.shape != shapes[name]:
            raise ModelFolderError(
                f"{file}: {name} has shape {shown(list(entry.shape))}, but config.json asks for {list(shapes[name])}"
            )
        elif entry.dtype not in FLOAT_FORMATS:
            raise ModelFolderError(f"{file}: {name} holds {entry.dtype}; llm101 runs {', '.join(FLOAT_FORMATS)}")


def filled_transformer(config: ModelConfig, parameters: ParameterFile) -> Transformer:
    """A model ready to run, as float32 on the CPU.

    The numbers are copied one tensor at a time, so that they are in memory only once.

    Raises:
        ModelFolderError: NaN or infinity among them.
    """
    with _UnfilledParameters():
        model = Transformer(config)
    for name, parameter in model.named_parameters():
        parameter.data.copy_(parameters.tensor(name))
        if not is_finite(parameter.data):
            file = parameters.file_of(name)
            raise ModelFolderError(f"{file}: {name!r} holds NaN or infinity, so no model can use it")
    return model.eval()


class _UnfilledParameters(TorchFunctionMode):
    """Inside it, torch leaves new parameters as they are, instead of drawing random numbers for nothing.

    (torch's own way, the "meta" device, imports its compiler: a second and 70 megabytes.)
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
