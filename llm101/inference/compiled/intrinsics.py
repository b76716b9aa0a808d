"""What the loops of kernels.py cannot say in Python: a few operations in the compiler's own language (LLVM).

Each is a function of numba's that writes instructions instead of computing: eight numbers at a time, which every
processor can do in its own way. What they bring beside the same sums in plain loops, on SmolLM2 and one thread of a
processor with AVX2: 3.7 times the speed in Q4_1, whose half bytes the compiler does not vectorise by itself; 1.1 times
in Q8_0 and float16, which wait for the memory; and 1.5 times where the weights come from the cache, as the
Storyteller's do (`tests/benchmarks/bench_kernels.py`).

Reading order: DECODED (how 32 numbers are read in each format), block_of_products (where a model's time goes), widen;
then what threads need to wait for each other, and the bits of a number.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any, NamedTuple

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from llm101.inference.compiled.formats import FORMATS, PIECE

FLOAT, HALF, BYTE, SHORT, INT, LONG = ir.FloatType(), ir.HalfType(), *map(ir.IntType, (8, 16, 32, 64))
EIGHT = ir.VectorType(FLOAT, 8)
ZEROS = ir.Constant(EIGHT, [0.0] * 8)
FUSED = ("contract",)
"""Multiply and add may be one instruction; the order of sums may not change."""
CACHE_LINE, AHEAD = 64, 4096  # bytes; ahead: of 1024 to 16384, what makes a token soonest


class Piece(NamedTuple):
    """32 numbers of a row, worth scale × number + minimum each, in four vectors of eight."""

    numbers: list[Any]
    scale: Any = None
    minimum: Any = None


def _float32(b: ir.IRBuilder, at: Any) -> Piece:
    return Piece([_load(b, at, 32 * i, EIGHT) for i in range(4)])


def _float16(b: ir.IRBuilder, at: Any) -> Piece:
    return Piece([_widened(b, _load(b, at, 16 * i, ir.VectorType(SHORT, 8)), 8) for i in range(4)])


def _bfloat16(b: ir.IRBuilder, at: Any) -> Piece:
    """The upper half of a float32."""
    upper = [b.zext(_load(b, at, 16 * i, ir.VectorType(SHORT, 8)), ir.VectorType(INT, 8)) for i in range(4)]
    return Piece([b.bitcast(b.shl(bits, _all(16, 8, INT)), EIGHT) for bits in upper])


def _q8_0(b: ir.IRBuilder, at: Any) -> Piece:
    """A scale, and 32 whole numbers from -128 to 127."""
    bytes_ = [_load(b, at, 2 + 8 * i, ir.VectorType(BYTE, 8)) for i in range(4)]
    return Piece([b.sitofp(eight, EIGHT) for eight in bytes_], _scale(b, at, 0))


def _q4_0(b: ir.IRBuilder, at: Any) -> Piece:
    """A scale, and 32 half bytes less 8 each."""
    less = [b.fsub(eight, ir.Constant(EIGHT, [8.0] * 8)) for eight in _half_bytes(b, at, 2)]
    return Piece(less, _scale(b, at, 0))


def _q4_1(b: ir.IRBuilder, at: Any) -> Piece:
    """A scale, a minimum, and 32 half bytes."""
    return Piece(_half_bytes(b, at, 4), _scale(b, at, 0), _scale(b, at, 2))


DECODED: dict[int, tuple[int, Callable[[ir.IRBuilder, Any], Piece]]] = {
    FORMATS[name].code: (FORMATS[name].n_bytes, decode)
    for name, decode in {
        "float32": _float32,
        "float16": _float16,
        "bfloat16": _bfloat16,
        "Q8_0": _q8_0,
        "Q4_0": _q4_0,
        "Q4_1": _q4_1,
    }.items()
}
"""For each format's code: the bytes of 32 numbers, and what writes the instructions that read them."""


def block_of_products(n_w: int, n_x: int) -> Any:
    """An operation that sets out[:n_x, o : o + n_w] to the products of n_w rows of a matrix and the rows of x.

    Called with (numbers, start, row_bytes, code, x, out, o, n), it does so n times, n_w rows further on each time. The
    first row of the matrix begins at byte `start` of `numbers`, and each has row_bytes; code: their format; x: [n_x,
    n_in], as many numbers as such a row has room for; out: [n_x, n_out]. Each product is one sum of eight numbers side
    by side, whatever n_w and n_x are, so that a row among others gives the same bits as alone. Several sums at once
    keep the processor from waiting for the last addition; and the rows that come next are asked for ahead: read side
    by side they are no pattern that a processor would foresee.
    """

    @intrinsic
    def products(typing_context, numbers, start, row_bytes, code, x, out, o, n):
        def generate(context, builder, signature, arguments):
            _, start, row_bytes, code, _, _, o, n = arguments
            numbers_, x_, out_ = (
                context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 4, 5)
            )
            w, to = builder.gep(numbers_.data, [start]), builder.gep(out_.data, [o])
            function = _block_function(builder.module, n_w, n_x)
            widths = _width(builder, x_), _width(builder, out_)
            builder.call(function, [code, n, w, row_bytes, x_.data, widths[0], to, widths[1]])
            return context.get_dummy_value()

        whole = types.int64
        return types.void(numbers, whole, whole, whole, x, out, whole, whole), generate

    return products


def _block_function(module: ir.Module, n_w: int, n_x: int) -> ir.Function:
    """The function that does it: (code, n, w, bytes of a row, x, n_in, out, n_out), arrays from their first row on."""
    floats, kind = FLOAT.as_pointer(), ir.VoidType()
    signature = ir.FunctionType(kind, [LONG, LONG, BYTE.as_pointer(), LONG, floats, LONG, floats, LONG])
    function = cgutils.get_or_insert_function(module, signature, f"llm101_products_{n_w}_by_{n_x}")
    if not function.blocks:
        function.linkage = "linkonce_odr"
        function.attributes.add("noinline")  # else the compiler copies all of it to each place that calls it
        builder = ir.IRBuilder(function.append_basic_block())
        for known, (n_bytes, decode) in DECODED.items():
            is_this = builder.icmp_signed("==", function.args[0], LONG(known))
            with builder.if_then(is_this), cgutils.for_range(builder, function.args[1]) as loop:
                arguments = _further(builder, function.args[2:], 0, -2, builder.mul(loop.index, LONG(n_w)))
                _write_block(builder, arguments, (n_w, n_x), n_bytes, decode)
        builder.ret_void()
    return function


def _further(b: ir.IRBuilder, arguments: Any, w: int, out: int, n: Any) -> list[Any]:
    """The arguments with the matrix and the products so many rows further on; after w comes its bytes of a row."""
    moved = list(arguments)
    moved[w] = b.gep(moved[w], [b.mul(n, moved[w + 1])])
    moved[out] = b.gep(moved[out], [n])
    return moved


def _write_block(b: ir.IRBuilder, arguments: Any, shape: tuple[int, int], n_bytes: int, decode: Any) -> None:
    """Write the instructions for this, where the loops over `row` and `r` are unrolled:

    for k in range(n_in // 32):
        sums[r, row] += w[row, k-th piece] * x[r, 32 * k : 32 * k + 32]     # eight numbers at once
    out[r, row] = sums[r, row].sum()
    """
    w, row_bytes, x, n_in, out, n_out = arguments
    w_rows, x_rows = range(shape[0]), range(shape[1])
    of_w, of_x = [
        [b.gep(start, [b.mul(LONG(row), width)]) for row in rows]
        for start, width, rows in ((w, row_bytes, w_rows), (x, n_in, x_rows))
    ]
    sums = {(r, row): cgutils.alloca_once_value(b, ZEROS) for r in x_rows for row in w_rows}
    with cgutils.for_range(b, b.udiv(n_in, LONG(PIECE))) as loop:
        at, at_x = b.mul(loop.index, LONG(n_bytes)), b.mul(loop.index, LONG(PIECE))
        for line in range(0, shape[0] * n_bytes, CACHE_LINE):  # as many bytes as this round takes of w
            _fetch(b, b.gep(w, [b.add(b.mul(at, LONG(shape[0])), LONG(AHEAD + line))]))
        x32 = [[_load(b, b.gep(of_x[r], [at_x]), 32 * i, EIGHT) for i in range(4)] for r in x_rows]
        for row in w_rows:
            piece = decode(b, b.gep(of_w[row], [at]))
            for r in x_rows:
                b.store(_with_products(b, b.load(sums[r, row]), piece, x32[r]), sums[r, row])
    for (r, row), eight in sums.items():
        b.store(_sum(b, b.load(eight)), b.gep(out, [b.add(b.mul(LONG(r), n_out), LONG(row))]))


def _with_products(b: ir.IRBuilder, total: Any, piece: Piece, x: list[Any]) -> Any:
    """total + the products of a piece and of x, eight sums side by side."""
    if piece.scale is None:
        return _multiply_add(b, total, piece.numbers, x)
    total = _multiply_add(b, total, [_multiply_add(b, ZEROS, piece.numbers, x)], [piece.scale])
    if piece.minimum is None:
        return total
    x_sum = b.fadd(b.fadd(x[0], x[1]), b.fadd(x[2], x[3]))
    return _multiply_add(b, total, [x_sum], [piece.minimum])


def _multiply_add(b: ir.IRBuilder, total: Any, left: list[Any], right: list[Any]) -> Any:
    for one, other in zip(left, right):
        product = b.fmul(one, other, flags=FUSED)  # pyright: ignore[reportCallIssue]
        total = b.fadd(total, product, flags=FUSED)  # pyright: ignore[reportCallIssue]
    return total


def block_of_whole_products(n_w: int) -> Any:
    """The same for one row of x and n_w rows of half bytes (Q4_0, Q4_1), with the numbers of x as whole ones.

    Called with (numbers, start, row_bytes, code, whole, scales, sums, out, o, n), as the other. whole: int16 [n_in];
    scales, sums: for each piece, what its whole numbers are multiplied by, and the sum of the numbers themselves.
    Products of whole numbers are added up in pairs, sixteen at a time, and become floats once for 32: 0.6 of the time,
    on SmolLM2.
    """

    @intrinsic
    def products(typing_context, numbers, start, row_bytes, code, whole, scales, sums, out, o, n):
        def generate(context, builder, signature, arguments):
            _, start, row_bytes, code, *_, o, n = arguments
            of_w, *of_x, to = (
                context.make_array(signature.args[i])(context, builder, arguments[i]).data for i in (0, 4, 5, 6, 7)
            )
            n_in = _width(builder, context.make_array(whole)(context, builder, arguments[4]))
            function = _whole_block_function(builder.module, n_w)
            n_pieces = builder.udiv(n_in, LONG(PIECE))
            w, to = builder.gep(of_w, [start]), builder.gep(to, [o])
            builder.call(function, [code, n, w, row_bytes, *of_x, n_pieces, to])
            return context.get_dummy_value()

        integer = types.int64
        return types.void(numbers, integer, integer, integer, whole, scales, sums, out, integer, integer), generate

    return products


def _whole_block_function(module: ir.Module, n_w: int) -> ir.Function:
    """The function that does it: (code, n, w, bytes of a row, whole, scales, sums, how many pieces, out)."""
    floats, places = FLOAT.as_pointer(), (BYTE.as_pointer(), LONG, SHORT.as_pointer())
    signature = ir.FunctionType(ir.VoidType(), [LONG, LONG, *places, floats, floats, LONG, floats])
    function = cgutils.get_or_insert_function(module, signature, f"llm101_whole_products_{n_w}")
    if not function.blocks:
        function.linkage = "linkonce_odr"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block())
        for kind in ("Q4_0", "Q4_1"):
            is_this = builder.icmp_signed("==", function.args[0], LONG(FORMATS[kind].code))
            with builder.if_then(is_this), cgutils.for_range(builder, function.args[1]) as loop:
                arguments = _further(builder, function.args[2:], 0, -1, builder.mul(loop.index, LONG(n_w)))
                _write_whole_block(builder, arguments, n_w, kind)
        builder.ret_void()
    return function


def _write_whole_block(b: ir.IRBuilder, arguments: Any, n_w: int, kind: str) -> None:
    """Write the instructions for this, where the loop over `row` is unrolled:

    for k in range(n_pieces):
        sums[row] += (w[row, k-th piece] * whole[32 * k : 32 * k + 32]).sum(in four parts) * w's scale * scales[k]
        rest[row] += w's minimum * sums[k]
    out[row] = sums[row].sum() + rest[row]
    """
    w, row_bytes, whole, scales, x_sums, n_pieces, out = arguments
    n_bytes, has_minimum = FORMATS[kind].n_bytes, kind == "Q4_1"
    of_w = [b.gep(w, [b.mul(LONG(row), row_bytes)]) for row in range(n_w)]
    sums = [cgutils.alloca_once_value(b, ZEROS) for _ in of_w]
    rest = [cgutils.alloca_once_value(b, FLOAT(0.0)) for _ in of_w]
    with cgutils.for_range(b, n_pieces) as loop:
        at = b.mul(loop.index, LONG(n_bytes))
        for line in range(0, n_w * n_bytes, CACHE_LINE):
            _fetch(b, b.gep(w, [b.add(b.mul(at, LONG(n_w)), LONG(AHEAD + line))]))
        x = b.gep(whole, [b.mul(loop.index, LONG(PIECE))])
        x_halves = [_load(b, x, 32 * i, ir.VectorType(SHORT, 16)) for i in range(2)]
        x_scale, x_sum = (b.load(b.gep(array, [loop.index])) for array in (scales, x_sums))
        for row, start in enumerate(of_w):
            piece = b.gep(start, [at])
            halves = _both_halves(b, _load(b, piece, 4 if has_minimum else 2, ir.VectorType(BYTE, 16)))
            total = b.sitofp(b.add(*(_sums_of_pairs(b, *pair) for pair in zip(halves, x_halves))), EIGHT)
            scale = _half(b, piece, 0)
            minimum = _half(b, piece, 2) if has_minimum else b.fmul(scale, FLOAT(-8.0))
            scaled = _multiply_add(b, b.load(sums[row]), [total], [_eight_times(b, b.fmul(scale, x_scale))])
            b.store(scaled, sums[row])
            b.store(_multiply_add(b, b.load(rest[row]), [minimum], [x_sum]), rest[row])
    for row, eight in enumerate(sums):
        b.store(b.fadd(_sum(b, b.load(eight)), b.load(rest[row])), b.gep(out, [LONG(row)]))


def _both_halves(b: ir.IRBuilder, both: Any) -> list[Any]:
    """The lower halves of sixteen bytes, and the upper ones, as 16-bit numbers."""
    wide = ir.VectorType(SHORT, 16)
    return [b.zext(b.and_(both, _all(15, 16, BYTE)), wide), b.zext(b.lshr(both, _all(4, 16, BYTE)), wide)]


def _sums_of_pairs(b: ir.IRBuilder, left: Any, right: Any) -> Any:
    """The products of sixteen 16-bit numbers and sixteen others, neighbours added up: one instruction."""
    wide = ir.VectorType(INT, 16)
    products = b.mul(b.sext(left, wide), b.sext(right, wide))
    even, odd = (ir.Constant(ir.VectorType(INT, 8), list(range(first, 16, 2))) for first in (0, 1))
    return b.add(b.shuffle_vector(products, products, even), b.shuffle_vector(products, products, odd))


TILE_ROWS, TILE_COLUMNS = 6, 16  # twelve sums of eight numbers, which leaves the smaller processors four places


@intrinsic
def tile(typing_context, left, right, out):
    """out [6, 16] becomes left [6, n] times right [n, 16]; their rows may lie anywhere, one number after the other.

    Written for a matrix product in which every number is used again and again: of two numbers that are fetched one is
    multiplied with six, the other with sixteen. The products of 256 tokens are made in 0.89 of the time that torch's
    takes with weights that are widened in memory first.
    """

    def generate(context, builder, signature, arguments):
        arrays = [context.make_array(t)(context, builder, a) for t, a in zip(signature.args, arguments)]
        n = cgutils.unpack_tuple(builder, arrays[1].shape)[0]
        places = [(array.data, cgutils.unpack_tuple(builder, array.strides)[0]) for array in arrays]
        _write_tile(builder, n, *places)
        return context.get_dummy_value()

    return types.void(left, right, out), generate


def _write_tile(b: ir.IRBuilder, n: Any, left: Any, right: Any, out: Any) -> None:
    """Write the instructions for this, where the loops over `r` and `c` are unrolled:

    for k in range(n):
        sums[r, c] += left[r, k] * right[k, 8 * c : 8 * c + 8]
    out[r, 8 * c : 8 * c + 8] = sums[r, c]

    Args:
        left, right, out: a place and how many bytes lie between its rows.
    """
    rows, columns = range(TILE_ROWS), range(TILE_COLUMNS // 8)
    of_left, of_out = [[_row(b, place, LONG(r)) for r in rows] for place in (left, out)]
    sums = {(r, c): cgutils.alloca_once_value(b, ZEROS) for r in rows for c in columns}
    with cgutils.for_range(b, n) as loop:
        of_right = _row(b, right, loop.index)
        eights = [_load(b, of_right, 32 * c, EIGHT) for c in columns]
        for r in rows:
            number = _eight_times(
                b, b.load(b.bitcast(b.gep(of_left[r], [b.mul(loop.index, LONG(4))]), FLOAT.as_pointer()))
            )
            for c in columns:
                b.store(_multiply_add(b, b.load(sums[r, c]), [eights[c]], [number]), sums[r, c])
    for (r, c), eight in sums.items():
        b.store(b.load(eight), b.bitcast(b.gep(of_out[r], [LONG(32 * c)]), EIGHT.as_pointer()), align=4)


def _row(b: ir.IRBuilder, place: Any, r: Any) -> Any:
    start, stride = place
    return b.gep(b.bitcast(start, BYTE.as_pointer()), [b.mul(r, stride)])


@intrinsic
def widen(typing_context, numbers, start, code, out):
    """The numbers of a row that begins at a byte of `numbers`, as float32: into out, as many as it has room for."""

    def generate(context, builder, signature, arguments):
        _, start, code, _ = arguments
        numbers_, out_ = (context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 3))
        row = builder.gep(numbers_.data, [start])
        for known, (n_bytes, decode) in DECODED.items():
            with builder.if_then(builder.icmp_signed("==", code, LONG(known))):
                _write_widening(builder, row, out_, n_bytes, decode)
        return context.get_dummy_value()

    return types.void(numbers, types.int64, types.int64, out), generate


def _write_widening(b: ir.IRBuilder, row: Any, out: Any, n_bytes: int, decode: Any) -> None:
    with cgutils.for_range(b, b.udiv(_width(b, out), LONG(PIECE))) as loop:
        piece = decode(b, b.gep(row, [b.mul(loop.index, LONG(n_bytes))]))
        for i, eight in enumerate(piece.numbers):
            at = b.gep(out.data, [b.add(b.mul(loop.index, LONG(PIECE)), LONG(8 * i))])
            b.store(_worth(b, piece, eight), b.bitcast(at, EIGHT.as_pointer()), align=4)


def _worth(b: ir.IRBuilder, piece: Piece, eight: Any) -> Any:
    """scale × number + minimum, rounded after each, as every reader of such files does."""
    product = eight if piece.scale is None else b.fmul(eight, piece.scale)
    return product if piece.minimum is None else b.fadd(product, piece.minimum)


@intrinsic
def count_up(typing_context, counters, i):
    """counters[i] += 1, and returns what it was; no two threads get the same.

    Who sees it counted sees all that was written before.
    """

    def generate(context, builder, signature, arguments):
        return builder.atomic_rmw("add", _counter(context, builder, counters, arguments), LONG(1), "acq_rel")

    return types.int64(counters, types.int64), generate


@intrinsic
def counted(typing_context, counters, i):
    """counters[i] as it is now, however often it was looked at before."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_counter(context, builder, counters, arguments), "acquire", 8)

    return types.int64(counters, types.int64), generate


def _counter(context: Any, builder: ir.IRBuilder, counters: Any, arguments: Any) -> Any:
    array = context.make_array(counters)(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


@intrinsic
def as_pointer(typing_context, address):
    """A place in memory, given as a whole number."""
    kind = types.voidptr
    return kind(types.int64), lambda context, builder, signature, a: builder.inttoptr(a[0], cgutils.voidptr_t)


@intrinsic
def to_bits(typing_context, number):
    """The 32 bits of a float32, as an int32."""
    return types.int32(types.float32), lambda context, builder, signature, a: builder.bitcast(a[0], INT)


@intrinsic
def from_bits(typing_context, bits):
    """The float32 that an int32's bits spell."""
    return types.float32(types.int32), lambda context, builder, signature, a: builder.bitcast(a[0], FLOAT)


def _widens_halves() -> bool:
    """Whether the processor that is compiled for turns halves into floats by itself."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return True
    return not config.CPU_NAME and bool(llvm.get_host_cpu_features().get("f16c"))  # pyright: ignore


WIDENS_HALVES = _widens_halves()


def _widened(b: ir.IRBuilder, bits: Any, n: int) -> Any:
    """n halves, given by their bits, as floats. Infinity and NaN, which no parameter is, may become other numbers.

    Without an instruction for it: sign, exponent and fraction move to where a float has them, and a multiplication
    by 2**112 makes up for the other zero of the exponent. For a single half that is sooner than the instruction.
    """
    if WIDENS_HALVES and n > 1:
        return b.fpext(b.bitcast(bits, ir.VectorType(HALF, n)), ir.VectorType(FLOAT, n))
    wide = b.shl(b.zext(bits, ir.VectorType(INT, n)), _all(16, n, INT))
    moved = b.and_(b.ashr(wide, _all(3, n, INT)), _all(0x8FFFFFFF, n, INT))
    return b.fmul(b.bitcast(moved, ir.VectorType(FLOAT, n)), ir.Constant(ir.VectorType(FLOAT, n), [2.0**112] * n))


def _half_bytes(b: ir.IRBuilder, at: Any, offset: int) -> list[Any]:
    """The 32 half bytes of 16 bytes: first all lower halves, then all upper ones."""
    both = _load(b, at, offset, ir.VectorType(BYTE, 16))
    halves = b.and_(both, _all(15, 16, BYTE)), b.lshr(both, _all(4, 16, BYTE))
    places = [ir.Constant(ir.VectorType(INT, 8), list(range(first, first + 8))) for first in (0, 8)]
    return [b.uitofp(b.shuffle_vector(half, half, eight), EIGHT) for half in halves for eight in places]


def _scale(b: ir.IRBuilder, at: Any, offset: int) -> Any:
    """A half, eight times side by side."""
    return _eight_times(b, _half(b, at, offset))


def _half(b: ir.IRBuilder, at: Any, offset: int) -> Any:
    return b.extract_element(_widened(b, _load(b, at, offset, ir.VectorType(SHORT, 1)), 1), INT(0))


def _eight_times(b: ir.IRBuilder, number: Any) -> Any:
    nowhere, first = ir.Constant(EIGHT, ir.Undefined), ir.Constant(ir.VectorType(INT, 8), [0] * 8)
    return b.shuffle_vector(b.insert_element(nowhere, number, INT(0)), nowhere, first)


def _all(number: int, n: int, kind: Any) -> ir.Constant:
    return ir.Constant(ir.VectorType(kind, n), [number] * n)


def _load(b: ir.IRBuilder, at: Any, n_bytes: int, kind: Any) -> Any:
    """What lies n_bytes behind a place; it need not begin on a whole address."""
    place = b.gep(b.bitcast(at, BYTE.as_pointer()), [LONG(n_bytes)])
    return b.load(b.bitcast(place, kind.as_pointer()), align=1)


def _width(b: ir.IRBuilder, array: Any) -> Any:
    """How long the rows of an array are."""
    return cgutils.unpack_tuple(b, array.shape)[-1]


def _fetch(b: ir.IRBuilder, place: ir.Value) -> None:
    """Ask for a cache line that will be read soon. A place beyond the array's end does no harm."""
    kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, INT, INT, INT])
    prefetch = b.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], kind)
    b.call(prefetch, [b.bitcast(place, cgutils.voidptr_t), INT(0), INT(3), INT(1)])  # read, keep, data


def _sum(b: ir.IRBuilder, eight: ir.Value) -> ir.Value:
    kind = ir.FunctionType(FLOAT, [FLOAT, EIGHT])
    add_up = b.module.declare_intrinsic("llvm.vector.reduce.fadd.v8f32", (), kind)
    return b.call(add_up, [FLOAT(0.0), eight], fastmath=("reassoc",))
