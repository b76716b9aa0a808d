"""The numbers of a model on disk: list them, read and change single ones, save a copy, recognise them.

It knows nothing of models or tokenizers. How the bytes of a file are laid out is in safetensors_format.py and
gguf_format.py (file_header.py: which of them it is), how several files make one model in model_headers.py, how 16 bits
make a number in number.py, how fewer do in quantised_block.py.

Reading order: ParameterFile from top to bottom, then those.
"""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llm101.outside import given
from llm101.outside.atomic_file import atomic_file, reason
from llm101.outside.strict_json import shown
from llm101.parameters.errors import ParameterFileError
from llm101.parameters.gguf_metadata import GGUFMetadata
from llm101.parameters.model_headers import model_headers
from llm101.parameters.number import FLOAT_FORMATS, Number
from llm101.parameters.quantised import QUANTISED, dequantised
from llm101.parameters.quantised_block import LAYOUTS, QuantisedBlock
from llm101.parameters.safetensors_format import write_parameters
from llm101.parameters.shard_index import is_index
from llm101.parameters.tensor_entry import TensorEntry

__all__ = ["Number", "ParameterFile", "ParameterFileError", "TensorEntry", "is_finite", "write_parameters"]


class ParameterFile:
    """A file of numbers, opened without reading them: only its header is read, whatever its size.

    Each number, tensor or run of bytes is fetched when it is asked for. Nothing is kept open in between, so the
    file can be replaced or removed at any time; a file that changed since then is reported, not misread.

    A model in several files is as one file, opened by its index (model.safetensors.index.json) or by any one of them
    (NAME-00001-of-00003.gguf); an offset counts in the file that `file_of` names.

    Args:
        path: a safetensors file, or such an index; or a GGUF file.

    Raises:
        ParameterFileError: not there, not a valid file of either format, or files that do not fit together; the line
            says what is wrong.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "small.safetensors"
        >>> write_parameters(path, {"weight": torch.tensor([[1.0, 0.5], [0.25, 2.0]], dtype=torch.float16)})
        >>> parameters = ParameterFile(path)
        >>> parameters
        ParameterFile('small.safetensors'): 4 parameters in 1 tensor, float16, 80 bytes
        >>> number = parameters.number("weight", 1, 0)
        >>> number.value, number.bits
        (0.25, '0 01101 0000000000')
        >>> copy = parameters.save_copy(path.with_name("flipped.safetensors"), [number.flip_bit(14)])
        >>> copy.tensor("weight")
        tensor([[1.0000e+00, 5.0000e-01],
                [1.6384e+04, 2.0000e+00]], dtype=torch.float16)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self.path = given.path(path)
        except ValueError as error:
            raise ParameterFileError(f"no parameter file: {error}") from None
        headers = model_headers(self.path)
        self.files = tuple(headers)
        self._file_of = {name: file for file, header in headers.items() for name in header.tensors}
        tensors = {name: entry for header in headers.values() for name, entry in header.tensors.items()}
        first_last = [*reversed(headers.values())]  # where files differ, the first has the word
        metadata = {key: text for header in first_last for key, text in header.metadata.items()}
        self.tensors: Mapping[str, TensorEntry] = MappingProxyType(tensors)
        self.metadata: Mapping[str, str] = MappingProxyType(metadata)
        self.gguf_metadata = GGUFMetadata.joined(header.gguf_metadata for header in headers.values())

    def __getstate__(self) -> dict[str, Any]:
        """What a copy is made of, in this process or another: the file is not read, and still has to be the same."""
        return self.__dict__ | {name: dict(getattr(self, name)) for name in _VIEWS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        views = {name: MappingProxyType(state[name]) for name in _VIEWS}
        self.__dict__.update(state | views)

    def __repr__(self) -> str:
        count = f"{len(self.tensors)} tensor{'s' * (len(self.tensors) != 1)}"
        size = f"{self.n_parameters:,} parameters in {count}, {self.dtype}, {self.n_bytes:,} bytes"
        return f"ParameterFile({self.path.name!r}): {size}" + f" in {len(self.files)} files" * (len(self.files) != 1)

    @property
    def n_bytes(self) -> int:
        """How many bytes they take, headers included (and an index not)."""
        return sum(file.n_bytes for file in self.files)

    @property
    def n_parameters(self) -> int:
        """How many numbers there are."""
        return sum(entry.n_parameters for entry in self.tensors.values())

    @property
    def dtype(self) -> str:
        """The kinds of number, the most frequent first: 'float16', or 'bfloat16 + float32'."""
        counts: dict[str, int] = {}
        for entry in self.tensors.values():
            counts[entry.dtype] = counts.get(entry.dtype, 0) + entry.n_parameters
        return " + ".join(sorted(counts, key=lambda dtype: -counts[dtype]))

    def entry(self, name: str) -> TensorEntry:
        """Where the tensor of that name lies.

        Raises:
            ParameterFileError: no tensor has that name; the line says which ones are close.
        """
        if name not in self.tensors:
            close = difflib.get_close_matches(str(name)[:200], list(self.tensors)[:100_000], n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "see .tensors for the names"
            raise ParameterFileError(f"{self.path}: there is no tensor {shown(name)}; {hint}")
        return self.tensors[name]

    def file_of(self, name: str) -> Path:
        """In which file the tensor of that name lies.

        Raises:
            ParameterFileError: as for `entry`.
        """
        return self._file_of[self.entry(name).name].path

    def tensor(self, name: str) -> Tensor:
        """The whole tensor, memory-mapped: its numbers are read from the disk as they are used.

        Quantised numbers are read at once, and come as float32. You may change the result; that changes your copy in
        memory, never the file.

        Raises:
            ParameterFileError: no such tensor, or numbers of a kind that llm101 does not compute with.
        """
        entry = self.entry(name)
        if entry.block is not None:
            try:
                return dequantised(self.raw(name), entry)
            except ValueError as error:
                raise ParameterFileError(f"{self._file_of[name].path}: {name!r}: {error}") from None
        if entry.n_parameters == 0:
            return torch.empty(entry.shape, dtype=entry.torch_dtype)
        window = self._file_of[name].mapped(entry.offset, entry.n_bytes)
        return torch.frombuffer(window, dtype=entry.torch_dtype).view(entry.shape)

    def raw(self, name: str, begin: int = 0, end: int | None = None) -> bytes:
        """The tensor's bytes, as they are in the file; or only those from `begin` on, up to `end`."""
        entry = self.entry(name)
        end = entry.n_bytes if end is None else min(end, entry.n_bytes)
        return self._file_of[name].read(entry.offset + begin, max(0, end - begin))

    def number(self, name: str, *index: int) -> Number:
        """One single number, with its bits.

        Args:
            name: the tensor's name.
            index: one whole number per axis, counted from 0.

        Raises:
            ParameterFileError: no such tensor or place, or the tensor holds no floats.
        """
        entry = self.entry(name)
        if entry.dtype not in FLOAT_FORMATS:
            known = ", ".join(FLOAT_FORMATS)
            more = "; .block() shows where such a number comes from" if entry.dtype in QUANTISED else ""
            raise ParameterFileError(f"{name!r} holds {entry.dtype} numbers; bits can be shown for {known}{more}")
        place, numbers_before = entry.find(index)
        width = entry.torch_dtype.itemsize
        offset = entry.offset + numbers_before * width
        pattern = int.from_bytes(self._file_of[name].read(offset, width), "little")
        return Number(name, place, entry.dtype, offset, pattern)

    def block(self, name: str, *index: int) -> QuantisedBlock:
        """One number of a quantised tensor, with the block that it is packed in.

        Args:
            name: the tensor's name.
            index: the number's place, one whole number per axis, counted from 0.

        Raises:
            ParameterFileError: no such tensor or place, or the tensor is not quantised in a way that llm101 knows.
        """
        entry = self.entry(name)
        if entry.block is None or entry.dtype not in QUANTISED:
            raise ParameterFileError(
                f"{name!r} holds {entry.dtype} numbers; blocks are those of {', '.join(QUANTISED)}"
            )
        place, numbers_before = entry.find(index)
        n_numbers, n_bytes = entry.block
        offset = entry.offset + numbers_before // n_numbers * n_bytes
        return QuantisedBlock(name, place, entry.dtype, offset, self._file_of[name].read(offset, n_bytes))

    def save_copy(self, path: str | Path, changes: Iterable[Number] = ()) -> ParameterFile:
        """Write a copy, all of it in one file, in which some numbers are others.

        Args:
            path: the new file; never this one.
            changes: numbers of this file, changed with `flip_bit` or `with_value`.

        Raises:
            ParameterFileError: a change does not belong to this file, the copy cannot be written, or this is a GGUF
                model in several files.
        """
        path, changes = Path(path), list(changes)
        for number in changes:
            here = self.number(number.tensor, *number.index)
            if (here.offset, here.dtype) != (number.offset, number.dtype):
                raise ParameterFileError(f"{shown(number)} comes from another file; take it from this one's .number()")
        if path.exists() and any(path.samefile(own) for own in (self.path, *(file.path for file in self.files))):
            raise ParameterFileError(f"{path} is the file itself; give the copy another name")
        if is_index(self.path):
            self._write_joined(path, changes)
        elif len(self.files) > 1:
            raise ParameterFileError(
                f"{self.path}: llm101 does not join GGUF shards; copy one of {len(self.files)} files"
            )
        else:
            self._write_copy(path, changes)
        return ParameterFile(path)

    def _write_copy(self, path: Path, changes: list[Number]) -> None:
        """The same file, byte by byte, but for the changes."""
        try:
            with self.files[0].open() as original, atomic_file(path) as copy:
                shutil.copyfileobj(original, copy, 1 << 20)
                for number in changes:
                    copy.seek(number.offset)
                    copy.write(number.to_bytes())
        except OSError as error:
            raise ParameterFileError(f"cannot write {path}: {reason(error)}; nothing was changed there") from None

    def _write_joined(self, path: Path, changes: list[Number]) -> None:
        """One file with the tensors of all of them; read from the disk as they are written."""
        tensors = {name: self.tensor(name) for name in self.tensors}
        for number in changes:
            begin = number.offset - self.tensors[number.tensor].offset
            changed = torch.tensor(list(number.to_bytes()), dtype=torch.uint8)
            tensors[number.tensor].view(-1).view(torch.uint8)[begin : begin + len(changed)] = changed
        write_parameters(path, tensors, self.metadata)

    def check_finite(self) -> None:
        """Read every float once, and refuse what no model can compute with.

        Raises:
            ParameterFileError: naming the first tensor that holds NaN or infinity.
        """
        for name, entry in self.tensors.items():
            if (entry.is_float or entry.dtype in QUANTISED) and not self.is_finite(name):
                file = self.file_of(name)
                raise ParameterFileError(f"{file}: {name!r} holds NaN or infinity, so no model can use it")

    def is_finite(self, name: str) -> bool:
        """Whether a tensor's floats, all of which are read, hold no NaN and no infinity.

        Of blocks only the scales and minimums are looked at: nothing else in them can be either.
        """
        entry = self.entry(name)
        if entry.block is None:
            return is_finite(self.tensor(name))
        layout, at_once = LAYOUTS[entry.dtype], entry.block[1] << 15
        for begin in range(0, entry.n_bytes, at_once):
            blocks = np.frombuffer(self.raw(name, begin, begin + at_once), np.uint8).reshape(-1, entry.block[1])
            for at in (layout.scale_at, layout.minimum_at):
                if at is not None and not is_finite(torch.from_numpy(blocks[:, at : at + 2].copy()).view(torch.half)):
                    return False
        return True

    def fingerprint(self) -> str:
        """The identity of a model: the SHA-256 of its tensors' names, dtypes, shapes and numbers.

        Their order, how many files they lie in, and metadata do not count.
        """
        digest = sha256()
        for name in sorted(self.tensors):
            entry = self.tensors[name]
            digest.update(f"{name} {entry.dtype} {list(entry.shape)}\n".encode())
            for piece in self._file_of[name].pieces(entry.offset, entry.n_bytes):
                digest.update(piece)
        return digest.hexdigest()


def is_finite(tensor: Tensor) -> bool:
    """Whether there is no NaN or infinity in it; takes no memory to speak of.

    Example:
        >>> is_finite(torch.tensor([1.0, 2.0])), is_finite(torch.tensor([1.0, float("nan")]))
        (True, False)
    """
    if tensor.numel() == 0:
        return True
    if tensor.dtype.itemsize == 1:  # torch cannot ask this of 8-bit floats
        return all(is_finite(piece.float()) for piece in tensor.reshape(-1).split(1 << 20))
    least, most = tensor.aminmax()  # one pass, and NaN wins; isfinite() on all numbers takes 30 times as long
    return bool(least.isfinite() and most.isfinite())


_VIEWS = ("tensors", "metadata")
"""What a ParameterFile shows of itself, and nobody may change."""
