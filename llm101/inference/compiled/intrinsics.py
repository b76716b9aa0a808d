"""What the loops of kernels.py cannot say in Python: four operations in the compiler's own language (LLVM).

Each is a function of numba's that writes instructions instead of computing.

Reading order: widened (one half), block_of_products (many of them).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

FLOAT, HALF, INT = ir.FloatType(), ir.HalfType(), ir.IntType(32)
EIGHT_FLOATS = ir.VectorType(FLOAT, 8)
CACHE_LINE, AHEAD = 64, 4096  # bytes; ahead: of 1024 to 8192, what makes a token soonest


@intrinsic
def widened(typing_context, number):
    """A number as float32: itself, or the half whose bits are given as uint16."""

    def generate(context, builder, signature, arguments):
        return _widened(builder, builder.bitcast(arguments[0], _stored(number)), FLOAT)

    return types.float32(number), generate


def block_of_products(n_w: int, n_x: int) -> Any:
    """An operation that sets out[:n_x, o : o + n_w] to the products of n_w rows of w, from o on, and the rows of x.

    w: [n_out, n_in], x: [n_x, n_in], out: [n_x, n_out]; where n_x is 1, x and out may be vectors. n_in must be a
    multiple of 8. Left to itself the compiler takes other ways, which are slower here. This one keeps n_w·n_x sums of
    eight numbers each in the processor, so that none has to wait for the one before, and asks for the rows of w that
    come next: rows read side by side are no pattern that a processor would foresee.
    """

    @intrinsic
    def products(typing_context, w, x, out, o):
        assert all(array.layout == "C" for array in (w, x, out)), "rows have to lie one after the other"

        def generate(context, builder, signature, arguments):
            arrays = [context.make_array(t)(context, builder, a) for t, a in zip((w, x, out), arguments)]
            _write_block(builder, arrays, arguments[3], (n_w, n_x), _stored(w.dtype))
            return context.get_dummy_value()

        return types.void(w, x, out, o), generate

    return products


def _write_block(builder: Any, arrays: list[Any], o: Any, shape: tuple[int, int], number: ir.Type) -> None:
    """Write the instructions for this, where the loops over `row` and `r` are unrolled:

    for i in range(0, n_in, 8):
        sums[r, row] += w[o + row, i : i + 8] * x[r, i : i + 8]     # for each row and r: eight numbers at once
    out[r, o + row] = sums[r, row].sum()                            # for each row and r
    """
    w, x, out = arrays
    n_in, n_out = (cgutils.unpack_tuple(builder, array.shape)[-1] for array in (x, out))
    whole, n_bytes = n_in.type, 2 if number == HALF else 4
    w_rows, x_rows = (range(n) for n in shape)

    def place(array: Any, row: Any, width: Any, column: Any) -> Any:
        return builder.gep(array.data, [builder.add(builder.mul(row, width), column)])

    w_index = [builder.add(o, whole(row)) for row in w_rows]
    sums = {(r, row): cgutils.alloca_once_value(builder, EIGHT_FLOATS([0.0] * 8)) for r in x_rows for row in w_rows}
    with cgutils.for_range_slice(builder, whole(0), n_in, whole(8), whole) as (i, _):
        x8 = [_eight_at(builder, place(x, whole(r), n_in, i), FLOAT, 4) for r in x_rows]
        for at in range(0, 8 * len(w_rows) * n_bytes, CACHE_LINE):  # as many bytes as this round takes of w
            done = builder.add(builder.mul(i, whole(len(w_rows))), whole((AHEAD + at) // n_bytes))
            _fetch(builder, place(w, o, n_in, done))
        for row in w_rows:
            w8 = _eight_at(builder, place(w, w_index[row], n_in, i), number, n_bytes)
            w8 = _widened(builder, w8, EIGHT_FLOATS)
            for r in x_rows:
                product = builder.fmul(w8, x8[r], flags=("contract",))  # contract: multiply and add in one instruction
                total = builder.fadd(builder.load(sums[r, row]), product, flags=("contract",))
                builder.store(total, sums[r, row])
    for (r, row), eight in sums.items():
        builder.store(_sum(builder, builder.load(eight)), place(out, whole(r), n_out, w_index[row]))


# Eight sums each, because the smaller processors have sixteen places for eight numbers, and need some for w and x.
eight_by_one = block_of_products(n_w=8, n_x=1)
two_by_four = block_of_products(n_w=2, n_x=4)


@intrinsic
def to_bits(typing_context, number):
    """The 32 bits of a float32, as an int32."""
    return types.int32(types.float32), lambda context, builder, signature, a: builder.bitcast(a[0], INT)


@intrinsic
def from_bits(typing_context, bits):
    """The float32 that an int32's bits spell."""
    return types.float32(types.int32), lambda context, builder, signature, a: builder.bitcast(a[0], FLOAT)


def _stored(number: types.Type) -> ir.Type:
    """What a number of an array is to LLVM: numba has no 16-bit floats, so they come as uint16."""
    return HALF if number == types.uint16 else FLOAT


def _widened(builder: ir.IRBuilder, value: Any, wide: ir.Type) -> Any:
    return value if value.type == wide else builder.fpext(value, wide)


def _eight_at(builder: ir.IRBuilder, place: Any, number: ir.Type, n_bytes: int) -> Any:
    """The eight numbers that begin at a place."""
    return builder.load(builder.bitcast(place, ir.VectorType(number, 8).as_pointer()), align=n_bytes)


def _fetch(builder: ir.IRBuilder, place: ir.Value) -> None:
    """Ask for a cache line that will be read soon. A place beyond the array's end does no harm."""
    kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, INT, INT, INT])
    prefetch = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], kind)
    builder.call(prefetch, [builder.bitcast(place, cgutils.voidptr_t), INT(0), INT(3), INT(1)])  # read, keep, data


def _sum(builder: ir.IRBuilder, eight: ir.Value) -> ir.Value:
    kind = ir.FunctionType(FLOAT, [FLOAT, EIGHT_FLOATS])
    add_up = builder.module.declare_intrinsic("llvm.vector.reduce.fadd.v8f32", (), kind)
    return builder.call(add_up, [FLOAT(0.0), eight], fastmath=("reassoc",))
