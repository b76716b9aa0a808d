"""A model folder in Hugging Face's layout: opened, put to work, and written.

    config.json                    the model's shape (hugging_face_config.py)
    model.safetensors              its parameters, or model-00001-of-0000N.safetensors with an index (shard_index.py)
    tokenizer.json                 its tokenizer (tokenizer_file.py)
    tokenizer_config.json          which of transformers' classes reads that tokenizer
    generation_config.json ...     how texts begin and end, and conversations look (text_settings.py)

or one GGUF file, which says all of that itself (gguf_config.py).

It does not know what the network computes, and nothing in the folder is believed before it is checked.

Reading order: open_model, ModelFiles, load_transformer, save_model, then what they stand on.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from llm101.model import ModelConfig, Transformer
from llm101.outside.atomic_file import atomic_file, reason
from llm101.outside.memory import free_memory_bytes
from llm101.outside.strict_json import read_strict_json
from llm101.parameters.errors import ModelFolderError
from llm101.parameters.filling import check_tensors, filled_transformer
from llm101.parameters.gguf_config import config_from_gguf
from llm101.parameters.hugging_face_config import config_from_hugging_face, config_to_hugging_face
from llm101.parameters.number import FLOAT_FORMATS
from llm101.parameters.parameter_file import ParameterFile, is_finite
from llm101.parameters.safetensors_format import write_parameters
from llm101.parameters.stored_names import mixtral_name
from llm101.parameters.text_settings import TextSettings, settings_of_folder, settings_of_gguf
from llm101.tokenizer import Tokenizer
from llm101.tokenizer.chat_template import ChatTemplate

__all__ = [
    "ModelFiles",
    "ModelFolderError",
    "config_from_hugging_face",
    "config_to_hugging_face",
    "load_transformer",
    "open_model",
    "open_parameters",
    "read_config",
    "save_model",
]


@dataclass(frozen=True)
class ModelFiles:
    """All that a model's files say, read and checked; its numbers stay on the disk until they are used."""

    folder: Path
    config: ModelConfig
    """The model's shape."""
    parameters: ParameterFile
    """Names, shapes and every single number, in however many files they lie."""
    tokenizer: Tokenizer
    texts: TextSettings
    """How texts begin and end, and how a conversation is written."""

    @property
    def start_ids(self) -> tuple[int, ...]:
        """Tokens that stand before every text."""
        return self.texts.start_ids

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Tokens that end a text."""
        return self.texts.end_ids

    @property
    def chat_template(self) -> ChatTemplate | None:
        """How a conversation is written; None if the model was not made for any."""
        return self.texts.chat_template

    @cached_property
    def fingerprint(self) -> str:
        """The model's identity: the SHA-256 of its numbers, whatever file or folder it was opened from."""
        return self.parameters.fingerprint()

    def transformer(self) -> Transformer:
        """The parameters put to work, as float32 on the CPU, ready to run.

        Raises:
            ModelFolderError: NaN or infinity among them, or more of them than this machine has memory for.
        """
        check_memory(str(self.parameters.path), self.config.n_parameters)
        return filled_transformer(self.config, self.parameters)


def open_model(path: str | Path) -> ModelFiles:
    """Read all that a model's files say, and see that it fits together.

    Args:
        path: a folder; or a parameter file in one, to be used instead of the folder's own, such as a changed copy.

    Raises:
        ModelFolderError: a missing file, a config that llm101 does not compute, or a tensor that does not fit it.
        ParameterFileError: a parameter file that is broken in itself.
        TokenizerError: a tokenizer that is missing, broken, or of a kind that llm101 does not have.
    """
    parameters = open_parameters(path)
    config, tokenizer = _config(path, parameters), _tokenizer(path, parameters)
    check_tensors(config, parameters)
    folder = folder_of(path)
    if parameters.gguf_metadata:
        texts = settings_of_gguf(parameters.gguf_metadata, tokenizer)
    else:
        texts = settings_of_folder(folder, read_config(folder), tokenizer)
    return ModelFiles(folder, config, parameters, tokenizer, texts)


def open_config(path: str | Path) -> ModelConfig:
    """Only a model's shape, whose folder need not hold parameters; see `open_model`."""
    if (folder_of(path) / "config.json").exists() and not str(path).endswith(".gguf"):
        return _read_shape(folder_of(path))
    return _config(path, open_parameters(path))


def open_tokenizer(path: str | Path) -> Tokenizer:
    """Only a model's tokenizer, whose folder need not hold parameters; see `open_model`."""
    if (folder_of(path) / "tokenizer.json").exists() and not str(path).endswith(".gguf"):
        return Tokenizer.from_file(folder_of(path) / "tokenizer.json")
    return _tokenizer(path, open_parameters(path))


def _config(path: str | Path, parameters: ParameterFile, context_length: int | None = None) -> ModelConfig:
    """A GGUF file says everything itself; beside other files stands a config.json."""
    if not parameters.gguf_metadata:
        return _read_shape(folder_of(path), context_length)
    config = config_from_gguf(parameters)
    return config if context_length is None else replace(config, context_length=context_length)


def _tokenizer(path: str | Path, parameters: ParameterFile) -> Tokenizer:
    if parameters.gguf_metadata:
        return Tokenizer.from_gguf(parameters.gguf_metadata, parameters.path.stem)
    return Tokenizer.from_file(folder_of(path) / "tokenizer.json")


def check_memory(name: str, n_parameters: int, bytes_each: float = 4) -> None:
    """See, before anything is read, that this machine has room for a model: as float32, or in fewer bytes each.

    Raises:
        ModelFolderError: it has not; the line says what would fit.
    """
    n_bytes, free = bytes_each * n_parameters, free_memory_bytes()
    if free is not None and n_bytes > free:
        raise ModelFolderError(
            f"{name} has {n_parameters:,} parameters, which take {n_bytes / 1e9:.1f} GB of memory, and this machine "
            f"has {free / 1e9:.1f} GB free: a model of at most {free / bytes_each / 1e9:.1f} billion parameters fits"
        )


def load_transformer(
    folder: str | Path, *, parameters: str | Path | ParameterFile | None = None, context_length: int | None = None
) -> Transformer:
    """Put a folder's parameters to work without its tokenizer, as float32 on the CPU, ready to run.

    Args:
        folder: holds config.json and the parameters; or a .gguf file.
        parameters: another parameter file to use instead of the folder's own, such as a changed copy.
        context_length: use this many tokens at most, instead of what the config says.

    Raises:
        ModelFolderError, ParameterFileError: as for `open_model`.
    """
    if not Path(folder).is_dir() and not str(folder).endswith(".gguf"):
        raise ModelFolderError(f"{folder}: there is no such folder")
    if not isinstance(parameters, ParameterFile):
        parameters = open_parameters(folder if parameters is None else parameters)
    config = _config(folder, parameters, context_length)
    check_tensors(config, parameters)
    return filled_transformer(config, parameters)


def open_parameters(path: str | Path) -> ParameterFile:
    """Only a model's parameters; nothing of them is read but headers.

    Args:
        path: one parameter file, an index of several, or a folder with model.safetensors, such an index, or one
            GGUF file.

    Raises:
        ModelFolderError: a folder without either.
        ParameterFileError: a file that is broken in itself.
    """
    path = Path(path)
    if not path.is_dir():
        _check_there(path)
        return ParameterFile(path)
    for name in ("model.safetensors", "model.safetensors.index.json"):
        if (path / name).exists():
            return ParameterFile(path / name)
    if any(path.glob("*.bin")) or any(path.glob("*.pt*")):
        raise ModelFolderError(f"{path} holds pickled parameters, which can run code; get its safetensors version")
    quantised = sorted(path.glob("*.gguf"))
    if len(quantised) == 1:
        return ParameterFile(quantised[0])
    if quantised:
        names = ", ".join(file.name for file in quantised[:5])
        raise ModelFolderError(f"{path} holds {len(quantised)} GGUF files: name the one you mean: {names}")
    raise ModelFolderError(f"{path} holds no model.safetensors and no .gguf file")


def _check_there(path: Path) -> None:
    if not path.exists() and not path.suffix:
        raise ModelFolderError(f"{path}: there is no such folder")


def folder_of(path: str | Path) -> Path:
    """The folder of a model that is named by its folder or by a file in it."""
    return Path(path) if Path(path).is_dir() else Path(path).parent


def read_config(folder: str | Path) -> dict[str, Any]:
    """The contents of a folder's config.json.

    Raises:
        ModelFolderError: there is no such folder or file, or it is not JSON.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ModelFolderError(f"{folder}: there is no such folder")
    try:
        return read_strict_json(folder / "config.json")
    except ValueError as error:
        raise ModelFolderError(str(error)) from None


def _read_shape(folder: Path, context_length: int | None = None) -> ModelConfig:
    """What config.json says, with another context length if one is given."""
    hf = read_config(folder)
    try:
        config = config_from_hugging_face(hf)
        if context_length is not None:
            config = replace(config, context_length=context_length)
    except ValueError as error:
        raise ModelFolderError(f"{folder}: {error}") from None
    return config


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
    if hf["model_type"] == "mixtral":
        tensors = {mixtral_name(name): tensor for name, tensor in tensors.items()}
    with _replacing_files(Path(folder)) as new:
        write_parameters(new / "model.safetensors", tensors, {"format": "pt", **(metadata or {})})
        if tokenizer is not None:
            tokenizer.save(new / "tokenizer.json")
            _write_json(new / "tokenizer_config.json", _tokenizer_config(tokenizer, model.config))
        _write_json(new / "config.json", hf)


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


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_file(path) as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
