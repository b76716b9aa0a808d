"""One file of numbers: what is read from it is what is there, and a broken file is refused in one line."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import sys
import textwrap
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from llm101.parameters import ParameterFile, ParameterFileError, write_parameters
from llm101.parameters.number import FLOAT_FORMATS, Number, nearest_pattern
from llm101.parameters.safetensors_format import DTYPES

ROWS = torch.tensor([[1.0, 0.5, -2.0], [0.25, 65504.0, 6e-8]], dtype=torch.float16)


@pytest.fixture
def small(tmp_path: Path) -> ParameterFile:
    path = tmp_path / "small.safetensors"
    write_parameters(path, {"rows": ROWS, "norm": torch.ones(2, dtype=torch.float16)}, {"made by": "a test"})
    return ParameterFile(path)


def written(tmp_path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    """A file with this header (JSON, or bytes as they are) and these numbers."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = tmp_path / "file.safetensors"
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(shape: list[Any], offsets: list[Any], dtype: Any = "F16") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


# Reading


def test_a_file_is_eight_bytes_of_length_then_json_then_the_numbers(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}'
    parameters = ParameterFile(written(tmp_path, header, bytes([0x00, 0x3C, 0x00, 0xC0])))
    assert parameters.tensors["a"].offset == 8 + len(header)
    assert parameters.tensor("a").tolist() == [1.0, -2.0]
    assert parameters.number("a", 1).offset == 8 + len(header) + 2
    assert parameters.raw("a") == b"\x00\x3c\x00\xc0"


def test_tensors_are_listed_in_the_order_of_the_file(tmp_path: Path) -> None:
    header = OrderedDict(second=entry([1], [2, 4]), first=entry([1], [0, 2]))
    assert list(ParameterFile(written(tmp_path, header, bytes(4))).tensors) == ["first", "second"]


def test_totals_count_every_number_and_every_byte(small: ParameterFile) -> None:
    assert small.n_parameters == 8
    assert small.n_bytes == small.path.stat().st_size == small.tensors["rows"].offset + 2 * 8
    assert small.metadata == {"made by": "a test"}
    assert small.dtype == "float16"
    assert small.tensors["rows"].shape == (2, 3)
    assert small.tensors["norm"].n_bytes == 4


def test_the_dtype_of_a_mixed_file_names_the_most_frequent_first(tmp_path: Path) -> None:
    write_parameters(tmp_path / "mixed", {"a": torch.zeros(1), "b": torch.zeros(5, dtype=torch.bfloat16)})
    assert ParameterFile(tmp_path / "mixed").dtype == "bfloat16 + float32"
    write_parameters(tmp_path / "even", {"a": torch.zeros(2), "b": torch.zeros(2, dtype=torch.bfloat16)})
    assert ParameterFile(tmp_path / "even").dtype == "float32 + bfloat16", "of two as frequent, the file's first"


@pytest.mark.parametrize("dtype", [dtype for name, dtype in DTYPES.items() if name != "F8_E8M0"], ids=str)
def test_the_safetensors_package_reads_what_we_write_and_we_read_what_it_writes(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    numbers = torch.tensor([[0, 1, 2], [3, 4, 5]]).to(dtype)
    tensors = {"numbers": numbers, "scalar": numbers[1, 1].clone(), "empty": numbers[:0].clone(), "odd": torch.ones(3)}
    write_parameters(tmp_path / "ours", tensors, {"key": "value"})
    safetensors.torch.save_file(tensors, tmp_path / "theirs", {"key": "value"})
    theirs, ours = safetensors.torch.load_file(tmp_path / "ours"), ParameterFile(tmp_path / "theirs")
    assert theirs.keys() == ours.tensors.keys() == tensors.keys()
    assert ours.metadata == {"key": "value"}
    for name, tensor in tensors.items():
        expected = tensor.reshape(-1).view(torch.uint8)
        for read in (theirs[name], ours.tensor(name)):
            assert read.shape == tensor.shape
            assert read.dtype == tensor.dtype
            assert torch.equal(read.reshape(-1).view(torch.uint8), expected)


@pytest.mark.parametrize(
    ("name", "shape", "n_bytes"),
    [("F4", [2, 3], 3), ("F6_E2M3", [4], 3), ("F6_E3M2", [2, 2, 2], 6), ("F8_E8M0", [5], 5), ("C64", [2], 16)],
)
def test_kinds_that_nothing_computes_with_are_listed(tmp_path: Path, name: str, shape: list[int], n_bytes: int) -> None:
    path = written(
        tmp_path, {"w": entry(shape, [0, n_bytes], name), "v": entry([1], [n_bytes, n_bytes + 2])}, bytes(18)
    )
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 18 + n_bytes + 2)
    parameters = ParameterFile(path)
    assert (parameters.entry("w").n_bytes, parameters.n_parameters) == (n_bytes, math.prod(shape) + 1)
    assert len(parameters.raw("w")) == n_bytes
    parameters.fingerprint()
    parameters.check_finite()
    with safetensors.safe_open(path, "np") as theirs:  # the format's own package agrees on the widths
        assert theirs.get_slice("w").get_dtype() == name
    if name.startswith(("F4", "F6")):
        with pytest.raises(ParameterFileError, match=f"'w': {name} is not supported; llm101 runs float32"):
            parameters.tensor("w")
        with pytest.raises(ParameterFileError, match="dtype .* does not fill whole bytes"):
            ParameterFile(written(tmp_path, {"w": entry([3, 1], [0, 2], name)}, bytes(2)))


def test_every_number_lies_at_a_multiple_of_its_width(tmp_path: Path) -> None:
    write_parameters(tmp_path / "f", {"bytes": torch.ones(3, dtype=torch.uint8), "wide": torch.ones(2).double()})
    wide = ParameterFile(tmp_path / "f").tensors["wide"]
    assert wide.offset % 8 == 0


def test_numbers_at_odd_offsets_are_read_all_the_same(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} ', struct.pack("<2f", 1.5, -3))
    assert ParameterFile(path).tensors["a"].offset % 4 != 0
    assert (ParameterFile(path).tensor("a") * 2).tolist() == [3.0, -6.0]


def test_a_tensor_beyond_the_first_page_of_memory_is_found(tmp_path: Path) -> None:
    counted = torch.arange(300_000, dtype=torch.int32)
    write_parameters(tmp_path / "f", {"front": counted, "back": counted * 2})
    parameters = ParameterFile(tmp_path / "f")
    assert torch.equal(parameters.tensor("back"), counted * 2)
    assert parameters.raw("back")[-4:] == (299_999 * 2).to_bytes(4, "little")


def test_changing_a_tensor_changes_memory_and_not_the_file(small: ParameterFile) -> None:
    before = small.path.read_bytes()
    small.tensor("rows").fill_(7)
    assert small.path.read_bytes() == before
    assert torch.equal(small.tensor("rows"), ROWS)


def test_a_scalar_has_one_number_without_an_index(tmp_path: Path) -> None:
    write_parameters(tmp_path / "f", {"scalar": torch.tensor(2.5)})
    assert ParameterFile(tmp_path / "f").number("scalar").value == 2.5


def test_a_file_can_be_replaced_and_removed_while_it_is_open(small: ParameterFile) -> None:
    small.path.write_bytes(small.path.read_bytes() + b"x")
    with pytest.raises(ParameterFileError, match="changed since it was opened"):
        small.number("rows", 0, 0)
    small.path.unlink()
    with pytest.raises(ParameterFileError, match="No such file"):
        small.tensor("rows")


def test_ten_gigabytes_are_opened_without_being_read(tmp_path: Path) -> None:
    n_numbers = 5_000_000_000
    path = written(tmp_path, {"huge": entry([n_numbers], [0, 2 * n_numbers])})
    with open(path, "r+b") as file:  # a sparse file: its zeros take no room on the disk
        file.truncate(path.stat().st_size + 2 * n_numbers)
    start = time.process_time()
    parameters = ParameterFile(path)
    assert parameters.number("huge", n_numbers - 1).value == 0
    assert parameters.tensor("huge")[n_numbers // 2 :: n_numbers // 4].tolist() == [0, 0]
    assert time.process_time() - start < 0.1
    assert parameters.n_bytes > 10**10


# One number, bit by bit


def test_one_third_in_sixteen_bits_worked_by_hand(tmp_path: Path) -> None:
    # 1/3 = 1.0101…b × 2^-2: exponent -2 + 15 = 13 = 01101b, mantissa 0101010101b = 341.
    write_parameters(tmp_path / "f", {"a": torch.tensor([0.0, 1 / 3], dtype=torch.float16)})
    third = ParameterFile(tmp_path / "f").number("a", 1)
    assert (third.sign, third.exponent, third.mantissa, third.bias) == (0, 13, 341, 15)
    assert third.bits == "0 01101 0101010101"
    assert third.formula == "+1 × 2^(13 - 15) × (1 + 341/1024)"
    assert third.value == 2**-2 * (1 + 341 / 1024)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_16_bit_pattern_is_worth_what_torch_says(dtype: torch.dtype) -> None:
    worth = torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(dtype).double().tolist()
    for pattern, value in enumerate(worth):
        number = Number("a", (), str(dtype).removeprefix("torch."), 0, pattern)
        assert number.value == value or (math.isnan(number.value) and math.isnan(value))
        assert number.bits.replace(" ", "") == f"{pattern:016b}"
        if math.isfinite(value):
            assert nearest_pattern(value, number.dtype) == pattern
            assert eval_formula(number.formula) == value


def eval_formula(formula: str) -> float:
    sign, power, fraction = formula.split(" × ")
    stored, bias = power.removeprefix("2^(").removesuffix(")").split(" - ")
    whole, part = fraction.removeprefix("(").removesuffix(")").split(" + ")
    above, below = part.split("/")
    return int(sign) * 2.0 ** (int(stored) - int(bias)) * (int(whole) + int(above) / int(below))


@pytest.mark.parametrize("dtype", FLOAT_FORMATS)
def test_rounding_to_a_dtype_agrees_with_torch(dtype: str) -> None:
    generator = torch.Generator().manual_seed(0)
    scales = 10.0 ** torch.linspace(-44, 4, 400)
    values = torch.randn(400, generator=generator) * scales
    # From float32, so that torch rounds once, as we do; from float64 it would round twice.
    rounded = values.to(getattr(torch, dtype)).double().tolist()
    for value, expected in zip(values.tolist(), rounded):
        if math.isfinite(expected):
            assert Number("a", (), dtype, 0, nearest_pattern(value, dtype)).value == expected


def test_half_way_is_rounded_to_the_even_neighbour() -> None:
    assert [nearest_pattern(2048 + odd, "float16") - nearest_pattern(2048, "float16") for odd in (1, 3)] == [0, 2]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 65520, 1e30, "one", None])
def test_a_value_that_no_parameter_can_have_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="must be a finite number|does not fit float16"):
        Number("a", (), "float16", 0, 0).with_value(value)


@pytest.mark.parametrize("bit", [-1, 16, 1.0])
def test_a_bit_that_is_not_there_is_refused(bit: Any) -> None:
    with pytest.raises(ValueError, match="bit must be a whole number from 0 to 15"):
        Number("a", (), "float16", 0, 0).flip_bit(bit)


def test_infinity_and_not_a_number_say_so() -> None:
    infinity = Number("a", (), "float16", 0, 0xFC00)
    assert (infinity.value, infinity.formula) == (-math.inf, "-1 × infinity")
    assert Number("a", (), "float16", 0, 0x7C01).formula == "not a number"


# Changing numbers


def test_a_copy_differs_in_exactly_the_flipped_bit(small: ParameterFile) -> None:
    number = small.number("rows", 1, 0)
    copy = small.save_copy(small.path.with_name("copy"), [number.flip_bit(14)])
    before, after = small.path.read_bytes(), copy.path.read_bytes()
    differing = {i: x ^ y for i, (x, y) in enumerate(zip(before, after, strict=True)) if x != y}
    assert differing == {number.offset + 1: 0b0100_0000}  # bit 14 of 16 is bit 6 of the second byte
    assert copy.number("rows", 1, 0).value == 0.25 * 2**16
    assert copy.metadata == small.metadata


def test_several_numbers_change_in_one_copy(small: ParameterFile) -> None:
    changes = [small.number("rows", 0, 0).with_value(-3), small.number("norm", 1).with_value(0.1)]
    copy = small.save_copy(small.path.with_name("copy"), changes)
    assert copy.tensor("rows")[0].tolist() == [-3.0, 0.5, -2.0]
    assert copy.tensor("norm").tolist() == [1.0, torch.tensor(0.1).half().item()]


def test_a_copy_never_replaces_its_original(small: ParameterFile) -> None:
    before = small.path.read_bytes()
    with pytest.raises(ParameterFileError, match="is the file itself"):
        small.save_copy(small.path.parent / "." / small.path.name, [small.number("norm", 0).with_value(5)])
    assert small.path.read_bytes() == before


def test_a_number_of_another_file_is_not_written_into_this_one(small: ParameterFile, tmp_path: Path) -> None:
    write_parameters(tmp_path / "other", {"rows": torch.ones(2, 3)})
    foreign = ParameterFile(tmp_path / "other").number("rows", 0, 1)
    with pytest.raises(ParameterFileError, match="another file"):
        small.save_copy(tmp_path / "copy", [foreign])
    assert not (tmp_path / "copy").exists()


# Questions without an answer


def test_a_misspelt_name_gets_the_close_ones(small: ParameterFile) -> None:
    with pytest.raises(ParameterFileError, match="no tensor 'nrom'; did you mean 'norm'"):
        small.tensor("nrom")
    with pytest.raises(ParameterFileError, match="see .tensors for the names"):
        small.raw("zzzzzz")


@pytest.mark.parametrize("index", [(), (0,), (2, 0), (0, 3), (-1, 0), (0, 0, 0), (2**70, 0)])
def test_a_place_outside_the_tensor_is_refused(small: ParameterFile, index: tuple[int, ...]) -> None:
    with pytest.raises(ParameterFileError, match=r"'rows' has shape \(2, 3\)"):
        small.number("rows", *index)


def test_an_index_must_be_whole(small: ParameterFile) -> None:
    with pytest.raises(ParameterFileError, match="an index must be a whole number, got 0.5"):
        small.number("norm", 0.5)  # type: ignore[arg-type]


def test_integers_have_no_exponent_to_show(tmp_path: Path) -> None:
    write_parameters(tmp_path / "f", {"ids": torch.tensor([1, 2])})
    with pytest.raises(ParameterFileError, match="holds int64 numbers; bits can be shown for float16"):
        ParameterFile(tmp_path / "f").number("ids", 0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float8_e4m3fn])
def test_the_tensor_that_holds_nan_or_infinity_is_named(tmp_path: Path, bad: float, dtype: torch.dtype) -> None:
    if dtype == torch.float8_e4m3fn and math.isinf(bad):
        bad = math.nan  # this kind of number has no infinity
    numbers = torch.ones(3_000_000)  # more than one piece
    numbers[-1] = bad
    write_parameters(tmp_path / "f", {"good": torch.ones(3), "bad": numbers.to(dtype)})
    with pytest.raises(ParameterFileError, match="'bad' holds NaN or infinity"):
        ParameterFile(tmp_path / "f").check_finite()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e5m2])
def test_finite_numbers_pass_up_to_the_largest(tmp_path: Path, dtype: torch.dtype) -> None:
    largest = torch.tensor([torch.finfo(dtype).max, torch.finfo(dtype).min], dtype=torch.float64).to(dtype)
    write_parameters(tmp_path / "f", {"a": largest, "empty": largest[:0], "ids": torch.tensor([1])})
    ParameterFile(tmp_path / "f").check_finite()


# Fingerprint


def test_a_fingerprint_follows_the_numbers_and_not_their_order(tmp_path: Path, small: ParameterFile) -> None:
    tensors = {"norm": torch.ones(2, dtype=torch.float16), "rows": ROWS}
    write_parameters(tmp_path / "other order", tensors, {"other": "metadata"})
    assert ParameterFile(tmp_path / "other order").fingerprint() == small.fingerprint()
    flipped = small.save_copy(tmp_path / "flipped", [small.number("rows", 0, 0).flip_bit(0)])
    assert flipped.fingerprint() != small.fingerprint()


@pytest.mark.parametrize(
    "other",
    [
        {"rows": ROWS.reshape(3, 2), "norm": torch.ones(2, dtype=torch.float16)},
        {"rows": ROWS.view(torch.bfloat16), "norm": torch.ones(2, dtype=torch.float16)},
        {"rowz": ROWS, "norm": torch.ones(2, dtype=torch.float16)},
    ],
    ids=["shape", "dtype", "name"],
)
def test_a_fingerprint_follows_shape_dtype_and_name(tmp_path: Path, small: ParameterFile, other: dict) -> None:
    write_parameters(tmp_path / "other", other)
    assert ParameterFile(tmp_path / "other").fingerprint() != small.fingerprint()


# Files that are not what they claim

DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
REFUSED: dict[str, tuple[Any, bytes, int | None, str]] = {
    "header longer than the file": ({}, b"", 100, "the header claims 100 bytes"),
    "header of a terabyte": ({}, b"", 10**12, "the header claims 1,000,000,000,000 bytes"),
    "header of 2^64 bytes": ({}, b"", 2**64 - 1, "the header claims 18,446,744,073,709,551,615 bytes"),
    "not JSON": (b"numbers!", b"", None, "not valid JSON"),
    "empty header": (b"", b"", None, "not valid JSON"),
    "not UTF-8": (b'{"\xff":1}', b"", None, "not UTF-8"),
    "half a character": (b'{"\\ud800":1}', b"", None, "not UTF-8"),
    "a list": (b"[]", b"", None, "not a JSON table"),
    "a name twice": (b'{"a":1,"a":1}', b"", None, "the name 'a' occurs twice"),
    "nested deeply": (DEEP, b"", None, "nested too deeply"),
    "NaN in the header": (b'{"a":NaN}', b"", None, "NaN is not a JSON number"),
    "metadata is no table": ({"__metadata__": 1}, b"", None, "__metadata__ must be a table"),
    "metadata is no text": ({"__metadata__": {"a": 1}}, b"", None, "__metadata__ must be a table"),
    "entry is no table": ({"a": 1}, b"", None, "'a' needs exactly dtype, shape and data_offsets"),
    "entry lacks a field": ({"a": {"dtype": "F16", "shape": [1]}}, b"", None, "needs exactly"),
    "entry has a field too many": ({"a": {**entry([1], [0, 2]), "x": 1}}, b"", None, "needs exactly"),
    "unknown dtype": ({"a": entry([1], [0, 2], "F17")}, bytes(2), None, "unknown dtype 'F17'; known are F64"),
    "dtype is a list": ({"a": entry([1], [0, 2], ["F16"])}, bytes(2), None, "unknown dtype"),
    "shape is no list": ({"a": entry("1", [0, 2])}, bytes(2), None, "impossible shape"),  # type: ignore[arg-type]
    "negative size": ({"a": entry([-1], [0, 2])}, bytes(2), None, "impossible shape"),
    "half a size": ({"a": entry([0.5], [0, 2])}, bytes(2), None, "impossible shape"),
    "true as a size": ({"a": entry([True], [0, 2])}, bytes(2), None, "impossible shape"),
    "a size of 2^63": ({"a": entry([2**63, 0], [0, 0])}, b"", None, "impossible shape"),
    "a size of 2^63 - 1": ({"a": entry([2**63 - 1, 0], [0, 2])}, bytes(2), None, "needs 0 bytes"),
    "too many axes": ({"a": entry([1] * 65, [0, 2])}, bytes(2), None, "impossible shape"),
    "product overflows": ({"a": entry([2**32, 2**32], [0, 0])}, b"", None, "more than a machine can count"),
    "overflow hidden by a zero": ({"a": entry([0, 2**62, 2**62], [0, 0])}, b"", None, "more than a machine can"),
    "three offsets": ({"a": entry([1], [0, 2, 4])}, bytes(2), None, "impossible data_offsets"),
    "negative offset": ({"a": entry([1], [-2, 0])}, bytes(2), None, "impossible data_offsets"),
    "offsets backwards": ({"a": entry([1], [2, 0])}, bytes(2), None, "span -2"),
    "shape and offsets differ": ({"a": entry([2], [0, 2])}, bytes(2), None, "needs 4 bytes, but"),
    "shape of a terabyte": ({"a": entry([10**12], [0, 2])}, bytes(2), None, "needs 2,000,000,000,000 bytes"),
    "past the end": ({"a": entry([4], [0, 8])}, bytes(2), None, "is the download complete"),
    "a terabyte past the end": ({"a": entry([10**12], [0, 2 * 10**12])}, bytes(2), None, "download complete"),
    "overlap": ({"a": entry([2], [0, 4]), "b": entry([1], [2, 4])}, bytes(4), None, "'b' .* overlaps"),
    "gap": ({"a": entry([1], [0, 2]), "b": entry([1], [4, 6])}, bytes(6), None, "'b' .* leaves a gap"),
    "gap at the start": ({"a": entry([1], [2, 4])}, bytes(4), None, "leaves a gap"),
    "bytes left over": ({"a": entry([1], [0, 2])}, bytes(3), None, "the tensors end at byte"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_not_what_it_claims_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    header, data, length, message = REFUSED[case]
    with pytest.raises(ParameterFileError, match=message) as caught:
        ParameterFile(written(tmp_path, header, data, length))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert "file.safetensors" in str(caught.value)


def test_a_real_file_with_a_tensor_missing_at_the_end_is_refused(small: ParameterFile) -> None:
    content = small.path.read_bytes()
    for n_bytes in range(len(content)):
        small.path.write_bytes(content[:n_bytes])
        with pytest.raises(ParameterFileError, match="too short|claims|download complete"):
            ParameterFile(small.path)


def test_a_path_without_a_file_is_refused(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "nowhere", "No such file"),
        (tmp_path, "not a file"),
        ("a\0b", "must be one line"),
    ):
        with pytest.raises(ParameterFileError, match=message):
            ParameterFile(path)


def test_a_name_that_fills_the_header_is_cut_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(ParameterFileError) as caught:
        ParameterFile(written(tmp_path, {"x\n" * 100_000: 1}))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a process's memory to set")
def test_claims_cost_no_memory(tmp_path: Path) -> None:
    """All refused files are opened by a process that may use no more than 64 MB beyond what it starts with."""
    for case, (header, data, length, _) in REFUSED.items():
        written(tmp_path, header, data, length).rename(tmp_path / f"{case}.safetensors")
    program = """
        import resource, sys
        from pathlib import Path
        from llm101.parameters import ParameterFile, ParameterFileError
        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + 64_000_000,) * 2)
        for path in Path(sys.argv[1]).iterdir():
            try:
                ParameterFile(path)
                print("accepted", path)
            except ParameterFileError:
                pass
    """
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell how much memory a process uses")
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


# Writing


def test_metadata_and_names_must_be_text(tmp_path: Path) -> None:
    with pytest.raises(ParameterFileError, match="metadata must be text, got 'steps': 3"):
        write_parameters(tmp_path / "f", {}, {"steps": 3})  # type: ignore[dict-item]
    with pytest.raises(ParameterFileError, match="'__metadata__' cannot be the name"):
        write_parameters(tmp_path / "f", {"__metadata__": ROWS})
    with pytest.raises(ParameterFileError, match=r"'c' holds torch.complex128, which safetensors cannot store"):
        write_parameters(tmp_path / "f", {"c": torch.zeros(1, dtype=torch.complex128)})
    for sparse in (ROWS.to_sparse(), ROWS.float().to_sparse_coo()):
        with pytest.raises(
            ParameterFileError, match=r"'s' is a sparse tensor \(sparse_coo\), which .*: \.to_dense\(\)"
        ):
            write_parameters(tmp_path / "f", {"s": sparse})
    assert list(tmp_path.iterdir()) == []


def test_transposed_and_shared_tensors_are_written_as_they_look(tmp_path: Path) -> None:
    write_parameters(tmp_path / "f", {"transposed": ROWS.T, "again": ROWS, "parameter": torch.nn.Parameter(ROWS[:1])})
    parameters = ParameterFile(tmp_path / "f")
    assert torch.equal(parameters.tensor("transposed"), ROWS.T)
    assert torch.equal(parameters.tensor("parameter"), ROWS[:1])


def test_a_file_without_tensors_is_a_file(tmp_path: Path) -> None:
    write_parameters(tmp_path / "f", {})
    assert ParameterFile(tmp_path / "f").n_parameters == 0
    assert safetensors.torch.load_file(tmp_path / "f") == {}


def test_a_write_that_cannot_be_finished_leaves_the_older_file(small: ParameterFile) -> None:
    before = small.path.read_bytes()

    class Full(dict):
        """Tensors whose reading fails in the middle, as a disk that is full fails the write."""

        def items(self) -> Any:
            return [("a", ROWS), ("b", Unreadable())]

    class Unreadable:
        dtype, shape, layout = torch.float16, (1,), torch.strided

        def numel(self) -> int:
            return 1

        def detach(self) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(ParameterFileError, match="cannot write .*No space left on device"):
        write_parameters(small.path, Full())
    assert small.path.read_bytes() == before
    assert list(small.path.parent.iterdir()) == [small.path]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file size to set")
def test_a_full_disk_gets_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    """The system itself refuses the write: a limit on file size fails it as a full disk would."""
    program = """
        import resource, sys, torch
        from llm101.parameters import ParameterFileError, write_parameters
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            write_parameters(sys.argv[1], {"a": torch.zeros(1_000_000)})
        except ParameterFileError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "f")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout == f"cannot write {tmp_path / 'f'}: File too large; nothing was changed there\n"
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_gets_one_line(tmp_path: Path, small: ParameterFile) -> None:
    for path in (tmp_path / "no such folder" / "f", small.path / "f", tmp_path):
        with pytest.raises(ParameterFileError, match="cannot write .*; nothing was changed there"):
            write_parameters(path, {"a": ROWS})
        with pytest.raises(ParameterFileError, match="cannot write .*; nothing was changed there|another name"):
            small.save_copy(path)
    assert list(tmp_path.iterdir()) == [small.path]
