"""The command inspect: what is in a model's parameter files, down to the bits of one number.

Reading order: options, inspect, then what it prints: the metadata, one number, one block.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from llm101.command.words import InputModel, Name

if TYPE_CHECKING:
    from llm101.parameters import Number, ParameterFile, TensorEntry
    from llm101.parameters.quantised_block import QuantisedBlock

FIRST = 8
"""Of a long list in the metadata, so many entries are shown."""

LONGEST_TEXT = 70
"""So many characters of a text in the metadata fit into a line; --json has them all."""


def inspect_options(command: argparse.ArgumentParser) -> None:
    """What can be chosen on the command line."""
    command.add_argument("file", type=InputModel, help="a .safetensors or .gguf file, or the name or folder of a model")
    command.add_argument("--tensor", type=Name, metavar="NAME", help="only this tensor")
    command.add_argument(
        "--at",
        type=int,
        nargs="+",
        metavar="I",
        help="one number of it, by its place along each axis: its bits, and the block that a quantised one lies in",
    )


def inspect(options: argparse.Namespace) -> dict[str, Any]:
    """List what is in a model's parameter files, or take one number apart."""
    from llm101.library import parameter_file

    if options.at is not None and options.tensor is None:
        raise ValueError("--at is a place in a tensor: say which one, with --tensor NAME")
    parameters = parameter_file(options.file)
    if options.at is not None:
        return _number(parameters, options.tensor, options.at, options.json)
    tensors = parameters.tensors.values() if options.tensor is None else [parameters.entry(options.tensor)]
    if not options.json:
        print(f"{parameters.path}: {parameters.n_parameters:,} parameters in {parameters.n_bytes:,} bytes")
        if options.tensor is None:
            _print_metadata(parameters.gguf_metadata)
        for file, entries in groupby(tensors, lambda tensor: parameters.file_of(tensor.name)):
            if len(parameters.files) > 1:
                print(file.name)
            for entry in entries:
                shape = " x ".join(map(str, entry.shape)) or "one number"
                print(f"{entry.offset:>12,}  {entry.dtype:<9} {shape:<14} {_printable(entry.name)}")
    return {
        "path": str(parameters.path),
        "n_bytes": parameters.n_bytes,
        "n_parameters": parameters.n_parameters,
        "metadata": {key: _for_json(value) for key, value in (parameters.gguf_metadata or parameters.metadata).items()},
        "tensors": [_facts(entry) | {"file": parameters.file_of(entry.name).name} for entry in tensors],
    }


def _facts(entry: TensorEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "shape": list(entry.shape),
        "dtype": entry.dtype,
        "offset": entry.offset,
        "n_bytes": entry.n_bytes,
    }


def _print_metadata(metadata: Mapping[str, Any]) -> None:
    """A line for each value of a GGUF file, before its tensors."""
    width = max(map(len, metadata), default=0)
    for key, value in metadata.items():
        print(f"{_printable(key):<{min(width, 48)}}  {_in_a_line(value)}")


def _in_a_line(value: Any) -> str:
    """A value of the metadata, short enough for a line.

    Example:
        >>> _in_a_line("two\\nlines"), _in_a_line(list(range(1000))), _in_a_line(["en"])
        ("'two\\\\nlines'", '1,000 values: 0, 1, 2, 3, 4, 5, 6, 7, ...', "['en']")
    """
    if isinstance(value, list) and len(value) > FIRST:
        return f"{len(value):,} values: {', '.join(map(_in_a_line, value[:FIRST]))}, ..."
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{value[:LONGEST_TEXT]!r}... {len(value):,} characters"
    if isinstance(value, list):
        return f"[{', '.join(map(_in_a_line, value))}]"
    return repr(value)


def _printable(name: str) -> str:
    """A name from a file, which may hold whatever moves a terminal's cursor."""
    return name if name.isprintable() else repr(name)


def _for_json(value: Any) -> Any:
    """The same as JSON has it: a long list by its length and beginning, no NaN."""
    if isinstance(value, list) and len(value) > FIRST:
        return {"length": len(value), "first": [_for_json(entry) for entry in value[:FIRST]]}
    if isinstance(value, list):
        return [_for_json(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _number(parameters: ParameterFile, name: str, place: list[int], as_json: bool) -> dict[str, Any]:
    """One number of a tensor, with all that it is made of."""
    entry = parameters.entry(name)
    if entry.block is not None:
        block = parameters.block(name, *place)
        if not as_json:
            _print_block(block)
        return _block_facts(block)
    number = parameters.number(name, *place)
    if not as_json:
        print(f"{name} {place}: {number.value!r}, {number.dtype}, from byte {number.offset:,}")
        print(f"bits    {number.bits}")
        print(f"value   {number.formula}")
    return _number_facts(number)


def _number_facts(number: Number) -> dict[str, Any]:
    facts = {"tensor": number.tensor, "index": list(number.index), "dtype": number.dtype, "offset": number.offset}
    return facts | {"bits": number.bits, "value": _for_json(number.value), "formula": number.formula}


def _print_block(block: QuantisedBlock) -> None:
    """The block of one number: what its group shares, then a line for each small number of the group."""
    print(f"{block.tensor} {list(block.index)}: {block.value!r}, {block.dtype}")
    print(f"block   {block.n_numbers} numbers in {len(block.raw)} bytes, from byte {block.offset:,}")
    stored = [("scale", block.stored_scale), ("minimum", block.stored_minimum)]
    for what, number in stored:
        if number is not None:
            print(f"{what:<7} {number.bits} = {number.value!r}")
    if block.group_scales:
        group = block.group.start // len(block.group)
        minimum = f", minimum {block.group_minimums[group]}" if block.group_minimums else ""
        print(f"group   {group} of {len(block.group_scales)}: scale {block.group_scales[group]}{minimum}")
    print(f"value   {block.formula}")
    for position in block.group:
        small, mark = block.small[position], ">" if position == block.position else " "
        bits = f"{small % 2**block.n_bits:0{block.n_bits}b}"
        print(f"{mark} {position:>4}  {bits}  {small:>4}  {block.values[position]: .6g}")


def _block_facts(block: QuantisedBlock) -> dict[str, Any]:
    """The whole block, as JSON has it."""
    minimum = block.stored_minimum
    return {
        "tensor": block.tensor,
        "index": list(block.index),
        "dtype": block.dtype,
        "offset": block.offset,
        "n_bytes": len(block.raw),
        "position": block.position,
        "bits": block.bits,
        "value": _for_json(block.value),
        "formula": block.formula,
        "scale": _number_facts(block.stored_scale),
        "minimum": None if minimum is None else _number_facts(minimum),
        "group_scales": list(block.group_scales),
        "group_minimums": list(block.group_minimums),
        "zero": block.zero,
        "small": list(block.small),
        "values": [_for_json(value) for value in block.values],
    }
