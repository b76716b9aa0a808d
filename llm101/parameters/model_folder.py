"""A model folder in Hugging Face's layout: read one into a Transformer, write one from it.

    config.json                    the model's shape (hugging_face_config.py)
    model.safetensors              its parameters, or model-00001-of-0000N.safetensors with an index
    tokenizer.json                 its tokenizer (tokenizer.py)
    tokenizer_config.json          which of transformers' classes reads that tokenizer

It knows nothing of the network, and nothing in the folder is believed before it is checked: every tensor's name,
shape, dtype and finiteness.

Reading order: load_transformer, save_model, then what they stand on.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from llm101.model import ModelConfig, Transformer
from llm101.outside.atomic_file import atomic_file, reason
from llm101.outside.strict_json import shown, strict_json
from llm101.parameters.hugging_face_config import ModelFolderError, config_from_hugging_face, config_to_hugging_face
from llm101.parameters.number import FLOAT_FORMATS
from llm101.parameters.parameter_file import ParameterFile, add_to_digest, is_finite
from llm101.parameters.safetensors_format import write_parameters

if TYPE_CHECKING:
    from llm101.tokenizer import Tokenizer

__all__ = [
    "ModelFolderError",
    "config_from_hugging_face",
    "config_to_hugging_face",
    "find_parameters",
    "fingerprint",
    "load_transformer",
    "read_config",
    "save_model",
]

MAX_JSON_BYTES = 50_000_000
"""No config or index in use comes near this size."""

MAX_CONTEXT_LENGTH = 2**20
"""The rotary table grows with it; a config that claims more must be opened with a smaller one on purpose."""

EMBEDDING, OUTPUT = "model.embed_tokens.weight", "lm_head.weight"


def load_transformer(
    folder: str | Path, *, parameters: str | Path | ParameterFile | None = None, context_length: int | None = None
) -> Transformer:
    """Put a folder's parameters to work, as float32 on the CPU, ready to run.

    Args:
        folder: holds config.json and the parameters.
        parameters: another parameter file to use instead of the folder's own, such as a changed copy.
        context_length: use this many tokens at most, instead of what the config says; saves memory.

    Raises:
        ModelFolderError: a missing file, a config that llm101 does not compute, or a tensor that does not fit it.
        ParameterFileError: a parameter file that is broken in itself.
    """
    folder = Path(folder)
    hf = read_config(folder)
    if context_length is not None:
        hf = hf | {"max_position_embeddings": context_length}
    try:
        config = config_from_hugging_face(hf)
    except ModelFolderError as error:
        raise ModelFolderError(f"{folder}: {error}") from None
    if config.context_length > MAX_CONTEXT_LENGTH:
        raise ModelFolderError(
            f"{folder}: config.json claims a context of {config.context_length:,} tokens; "
            f"choose one of at most {MAX_CONTEXT_LENGTH:,} with context_length="
        )
    files = find_parameters(folder if parameters is None else parameters)
    check_tensors(folder, config, files)
    return _filled(config, files)


def save_model(
    folder: str | Path,
    model: Transformer,
    tokenizer: Tokenizer | None = None,
    dtype: torch.dtype = torch.float16,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a folder that `load_transformer` and transformers both open; all of it, or nothing.

    An older model in the folder is replaced; other files there stay.

    Args:
        folder: made if it is not there.
        model: its parameters are rounded to `dtype`.
        tokenizer: written beside the model; without one, the folder holds only the model.
        dtype: float16, bfloat16, float32 or float64.
        metadata: pairs of text for the header of the parameter file.

    Raises:
        ModelFolderError: a parameter that `dtype` cannot hold, or a folder that cannot be written.
    """
    if tokenizer is not None and tokenizer.vocab_size > model.config.vocab_size:
        raise ModelFolderError(
            f"the tokenizer has {tokenizer.vocab_size} tokens, the model only {model.config.vocab_size}"
        )
    end_id = tokenizer.end_id if tokenizer is not None else None
    hf = config_to_hugging_face(model.config, end_id=end_id, dtype=str(dtype).removeprefix("torch."))
    tensors = _rounded(model, dtype)
    with _replacing_files(Path(folder)) as new:
        write_parameters(new / "model.safetensors", tensors, {"format": "pt", **(metadata or {})})
        if tokenizer is not None:
            tokenizer.save(new / "tokenizer.json")
            _write_json(new / "tokenizer_config.json", _tokenizer_config(tokenizer, model.config))
        _write_json(new / "config.json", hf)


def read_config(folder: str | Path) -> dict[str, Any]:
    """The contents of a folder's config.json.

    Raises:
        ModelFolderError: there is no such folder or file, or it is not JSON.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ModelFolderError(f"{folder}: there is no such folder")
    return _read_json(folder / "config.json")


def find_parameters(source: str | Path | ParameterFile) -> dict[str, ParameterFile]:
    """In which file each tensor lies.

    Args:
        source: one parameter file, or a folder with model.safetensors, or with shards and their index.

    Raises:
        ModelFolderError: no safetensors there, or shards that do not fit their index.
    """
    if isinstance(source, ParameterFile):
        return dict.fromkeys(source.tensors, source)
    source = Path(source)
    if not source.is_dir():
        return find_parameters(ParameterFile(source))
    if (source / "model.safetensors").exists():
        return find_parameters(ParameterFile(source / "model.safetensors"))
    index = source / "model.safetensors.index.json"
    if index.exists():
        return _find_shards(index)
    if any(source.glob("*.bin")) or any(source.glob("*.pt*")):
        raise ModelFolderError(f"{source} holds pickled parameters, which can run code; get its safetensors version")
    raise ModelFolderError(f"{source} holds no model.safetensors")


def check_tensors(folder: Path, config: ModelConfig, files: Mapping[str, ParameterFile]) -> None:
    """Compare names, shapes and dtypes with what the config asks for; reads no numbers but a second output layer's.

    Raises:
        ModelFolderError: naming the first tensor that is missing, not asked for, or of another shape or dtype.
    """
    if config.n_layers > len(files):  # before anything is listed: the claimed number can be huge
        raise ModelFolderError(f"{folder}: config.json claims {config.n_layers} layers for only {len(files)} tensors")
    shapes = config.tensor_shapes()
    missing = [name for name in shapes if name not in files]
    if missing:
        also = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise ModelFolderError(f"{folder}: the tensor {missing[0]!r}{also} is missing; does config.json belong to it?")
    for name, file in files.items():
        entry = file.tensors[name]
        if name == OUTPUT and config.tie_embeddings:
            if not torch.equal(file.tensor(name), files[EMBEDDING].tensor(EMBEDDING)):
                raise ModelFolderError(f"{folder}: config.json ties {OUTPUT} to {EMBEDDING}, but their numbers differ")
        elif name.endswith("rotary_emb.inv_freq"):
            continue  # old Llama files also stored the rotary wavelengths, which follow from rope_theta
        elif name not in shapes:
            raise ModelFolderError(f"{folder}: the tensor {shown(name)} is not part of such a model")
        elif entry.shape != shapes[name]:
            raise ModelFolderError(
                f"{folder}: {name} has shape {shown(list(entry.shape))}, but config.json asks for {list(shapes[name])}"
            )
        elif entry.dtype not in FLOAT_FORMATS:
            raise ModelFolderError(f"{folder}: {name} holds {entry.dtype}; llm101 runs {', '.join(FLOAT_FORMATS)}")


def fingerprint(source: str | Path | ParameterFile) -> str:
    """The SHA-256 by which a model's parameters are recognised, however many files they are spread over.

    It covers names, dtypes, shapes and numbers, but neither their order nor metadata.
    """
    digest = sha256()
    files = find_parameters(source)
    for name in sorted(files):
        add_to_digest(digest, files[name], name)
    return digest.hexdigest()


def _filled(config: ModelConfig, files: Mapping[str, ParameterFile]) -> Transformer:
    """A model whose parameters are copied from the files, one at a time, so that they are in memory only once."""
    with _UnfilledParameters():
        model = Transformer(config)
    for name, parameter in model.named_parameters():
        parameter.data.copy_(files[name].tensor(name))
        if not is_finite(parameter.data):
            raise ModelFolderError(f"{files[name].path}: {name!r} holds NaN or infinity, so no model can use it")
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


def _rounded(model: Transformer, dtype: torch.dtype) -> dict[str, Tensor]:
    if str(dtype).removeprefix("torch.") not in FLOAT_FORMATS:
        raise ModelFolderError(f"a model is saved as {', '.join(FLOAT_FORMATS)}, not as {dtype}")
    tensors = {name: model.get_parameter(name).detach().to(dtype) for name in model.config.tensor_shapes()}
    for name, tensor in tensors.items():
        if not is_finite(tensor):
            raise ModelFolderError(f"{name} holds NaN, infinity or a number too large for {dtype}; nothing was saved")
    return tensors


@contextmanager
def _replacing_files(folder: Path) -> Iterator[Path]:
    """A place for new files; they move into the folder only when all of them are complete."""
    new, is_new_folder = folder / f".{uuid.uuid4().hex[:12]}.partial", not folder.exists()
    try:
        new.mkdir(parents=True)
        yield new
        for path in sorted(new.iterdir(), key=lambda path: path.name == "config.json"):
            os.replace(path, folder / path.name)  # config.json last: a folder without it is not taken for a model
        new.rmdir()
    except BaseException as error:
        shutil.rmtree(new, ignore_errors=True)
        if is_new_folder:
            with suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise ModelFolderError(f"cannot write {folder}: {reason(error)}; nothing was changed there") from None
        raise


def _find_shards(index: Path) -> dict[str, ParameterFile]:
    """Open the shards that an index names, and see that each tensor is where it says."""
    shard_of = _read_json(index).get("weight_map")
    if not isinstance(shard_of, dict) or not all(isinstance(shard, str) for shard in shard_of.values()):
        raise ModelFolderError(f"{index}: weight_map must be a table from tensors to files")
    files: dict[str, ParameterFile] = {}
    for shard in sorted(set(shard_of.values())):
        if Path(shard).name != shard or "\\" in shard or not shard.endswith(".safetensors"):
            raise ModelFolderError(f"{index}: {shown(shard)} is not the name of a safetensors file beside it")
        file = ParameterFile(index.parent / shard)
        for name in file.tensors:
            if shard_of.get(name) != shard:
                raise ModelFolderError(
                    f"{index} does not say that {shown(name)} lies in {shard}; is it the right index?"
                )
            files[name] = file
    lost = shard_of.keys() - files.keys()
    if lost:
        raise ModelFolderError(f"{index}: {shown(min(lost))} is not in {shown(shard_of[min(lost)])}")
    return files


def _tokenizer_config(tokenizer: Tokenizer, config: ModelConfig) -> dict[str, Any]:
    """Tells transformers to take tokenizer.json as it is, instead of guessing from the model's family."""
    end = next((text for text, token_id in tokenizer.special_tokens.items() if token_id == tokenizer.end_id), None)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": end,
        "eos_token": end,
        "model_max_length": config.context_length,
        "clean_up_tokenization_spaces": False,
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ModelFolderError(f"{path} is too large to be what its name says")
        return strict_json(path.read_bytes())
    except OSError as error:
        raise ModelFolderError(f"{path}: {reason(error)}") from None
    except ModelFolderError:
        raise
    except ValueError as error:
        raise ModelFolderError(f"{path}: {error}") from None


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_file(path) as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
