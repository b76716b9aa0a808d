"""One file of numbers: open it, list it, read and change single numbers, save a copy.

It knows nothing of models or tokenizers. How the bytes of such a file are laid out is in parameter_format.py;
how 16 bits make a number is in number.py.

Reading order: ParameterFile from top to bottom, then parameter_format.py.
"""

from __future__ import annotations

import difflib
import mmap
import operator
import os
import shutil
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import torch
from torch import Tensor

from llm101.outside import given
from llm101.outside.atomic_file import atomic_file, reason
from llm101.outside.strict_json import shown
from llm101.parameters.number import FLOAT_FORMATS, Number
from llm101.parameters.safetensors_format import ParameterFileError, TensorEntry, read_header, write_parameters

__all__ = ["Number", "ParameterFile", "ParameterFileError", "TensorEntry", "is_finite", "write_parameters"]


class ParameterFile:
    """A file of numbers, opened without reading them: only its header is read, whatever its size.

    Each number, tensor or run of bytes is fetched when it is asked for. Nothing is kept open in between, so the
    file can be replaced or removed at any time; a file that changed since then is reported, not misread.

    Raises:
        ParameterFileError: not there, or not a valid safetensors file; the line says what is wrong with it.

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
        try:
            if self.path.exists() and not self.path.is_file():
                raise ValueError("not a file")
            with open(self.path, "rb") as file:
                self._stamp = _stamp(file)
                self.n_bytes = self._stamp[0]
                self.data_offset, entries, metadata = read_header(file, self.n_bytes)
        except OSError as error:
            raise ParameterFileError(f"{self.path}: {reason(error)}") from None
        except ValueError as error:
            raise ParameterFileError(f"{self.path}: {error}") from None
        self.tensors: Mapping[str, TensorEntry] = MappingProxyType({entry.name: entry for entry in entries})
        self.metadata: Mapping[str, str] = MappingProxyType(metadata)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy is made of, in this process or another: the file is not read, and still has to be the same."""
        return self.__dict__ | {"tensors": dict(self.tensors), "metadata": dict(self.metadata)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        views = {name: MappingProxyType(state[name]) for name in ("tensors", "metadata")}
        self.__dict__.update(state | views)

    def __repr__(self) -> str:
        count = f"{len(self.tensors)} tensor{'s' * (len(self.tensors) != 1)}"
        size = f"{self.n_parameters:,} parameters in {count}, {self.dtype}, {self.n_bytes:,} bytes"
        return f"ParameterFile({self.path.name!r}): {size}"

    @property
    def n_parameters(self) -> int:
        """How many numbers the file holds."""
        return sum(entry.n_parameters for entry in self.tensors.values())

    @property
    def dtype(self) -> str:
        """The kinds of number in the file, the most frequent first: 'float16', or 'bfloat16 + float32'."""
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

    def tensor(self, name: str) -> Tensor:
        """The whole tensor, memory-mapped: its numbers are read from the disk as they are used.

        You may change the result; that changes your copy in memory, never the file.
        """
        entry = self.entry(name)
        if entry.n_parameters == 0:
            return torch.empty(entry.shape, dtype=entry.torch_dtype)
        skip = entry.offset % mmap.ALLOCATIONGRANULARITY  # a mapping must begin at a page of memory
        with self._open() as file:
            window = mmap.mmap(file.fileno(), skip + entry.n_bytes, access=mmap.ACCESS_COPY, offset=entry.offset - skip)
        numbers = torch.frombuffer(window, dtype=entry.torch_dtype, count=entry.n_parameters, offset=skip)
        return numbers.view(entry.shape)

    def raw(self, name: str) -> bytes:
        """The tensor's bytes, as they are in the file."""
        entry = self.entry(name)
        return self._read(entry.offset, entry.n_bytes)

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
            raise ParameterFileError(f"{name!r} holds {entry.dtype} numbers; bits can be shown for {known}")
        place = tuple(_whole_number(i) for i in index)
        if len(place) != len(entry.shape) or any(i not in range(size) for i, size in zip(place, entry.shape)):
            raise ParameterFileError(f"{name!r} has shape {entry.shape}: no number at {place}; indices count from 0")
        numbers_before = 0
        for i, size in zip(place, entry.shape):
            numbers_before = numbers_before * size + i
        width = entry.torch_dtype.itemsize
        offset = entry.offset + numbers_before * width
        return Number(name, place, entry.dtype, offset, int.from_bytes(self._read(offset, width), "little"))

    def save_copy(self, path: str | Path, changes: Iterable[Number] = ()) -> ParameterFile:
        """Write a copy of the whole file in which some numbers are others.

        Args:
            path: the new file; never this one.
            changes: numbers of this file, changed with `flip_bit` or `with_value`.

        Raises:
            ParameterFileError: a change does not belong to this file, or the copy cannot be written.
        """
        path, changes = Path(path), list(changes)
        for number in changes:
            here = self.number(number.tensor, *number.index)
            if (here.offset, here.dtype) != (number.offset, number.dtype):
                raise ParameterFileError(f"{shown(number)} comes from another file; take it from this one's .number()")
        if path.exists() and path.samefile(self.path):
            raise ParameterFileError(f"{path} is the file itself; give the copy another name")
        try:
            with self._open() as original, atomic_file(path) as copy:
                shutil.copyfileobj(original, copy, 1 << 20)
                for number in changes:
                    copy.seek(number.offset)
                    copy.write(number.pattern.to_bytes(number.n_bits // 8, "little"))
        except OSError as error:
            raise ParameterFileError(f"cannot write {path}: {reason(error)}; nothing was changed there") from None
        return ParameterFile(path)

    def check_finite(self) -> None:
        """Read every float once, and refuse what no model can compute with.

        Raises:
            ParameterFileError: naming the first tensor that holds NaN or infinity.
        """
        for name, entry in self.tensors.items():
            if entry.torch_dtype.is_floating_point and not is_finite(self.tensor(name)):
                raise ParameterFileError(f"{self.path}: {name!r} holds NaN or infinity, so no model can use it")

    def fingerprint(self) -> str:
        """The SHA-256 of names, dtypes, shapes and numbers, by which a model is recognised.

        The order of the tensors in the file and its metadata do not count.
        """
        digest = sha256()
        for name in sorted(self.tensors):
            add_to_digest(digest, self, name)
        return digest.hexdigest()

    def _open(self) -> BinaryIO:
        try:
            file = open(self.path, "rb")  # noqa: SIM115 - every caller closes it with `with`
        except OSError as error:
            raise ParameterFileError(f"{self.path}: {reason(error)}") from None
        if _stamp(file) != self._stamp:
            file.close()
            raise ParameterFileError(f"{self.path} has changed since it was opened; open it again")
        return file

    def _read(self, offset: int, n_bytes: int) -> bytes:
        with self._open() as file:
            file.seek(offset)
            return file.read(n_bytes)


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


def add_to_digest(digest: Any, parameters: ParameterFile, name: str) -> None:
    """Feed one tensor into a hash: its name, dtype and shape, then its bytes."""
    entry = parameters.entry(name)
    digest.update(f"{name} {entry.dtype} {list(entry.shape)}\n".encode())
    with parameters._open() as file:
        file.seek(entry.offset)
        for begin in range(0, entry.n_bytes, 1 << 20):
            digest.update(file.read(min(1 << 20, entry.n_bytes - begin)))


def _stamp(file: BinaryIO) -> tuple[int, int]:
    """Size and time of the last change, by which we notice that another file has taken the place."""
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _whole_number(index: object) -> int:
    try:
        return operator.index(index)  # type: ignore[arg-type]
    except TypeError:
        raise ParameterFileError(f"an index must be a whole number, got {shown(index)}") from None
