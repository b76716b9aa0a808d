"""What the loops of kernels.py cannot say in Python: four operations in the compiler's own language (LLVM).

Each is a function of numba's that writes instructions instead of computing. numba keeps compiled kernels on disk and
looks only whether kernels.py has changed: after a change here, touch that file too.

Reading order: widened (one half), eight_products (many of them).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

FLOAT, HALF, INT = ir.FloatType(), ir.HalfType(), ir.IntType(32)
EIGHT_FLOATS = ir.VectorType(FLOAT, 8)
AHEAD = 4096  # bytes; of 512 to 8192, what makes a token soonest


@intrinsic
def widened(typing_context, number):
    """A number as float32: itself, or the half whose bits are given as uint16."""

    def generate(context, builder, signature, arguments):
        return _widened(builder, builder.bitcast(arguments[0], _stored(number)), FLOAT)

    return types.float32(number), generate


@intrinsic
def eight_products(typing_context, w, x, out):
    """out [8] becomes w [8, n_in] times x [n_in], where n_in is a multiple of 8.

    Left to itself the compiler takes other ways, which are slower here. This one keeps eight sums of eight numbers
    in the processor, so that none has to wait for the one before, and asks for the rows that come next: eight rows
    read side by side are no pattern that a processor would foresee.
    """

    def generate(context, builder, signature, arguments):
        rows, numbers, sums = (context.make_array(t)(context, builder, a) for t, a in zip(signature.args, arguments))
        (n_in,) = cgutils.unpack_tuple(builder, numbers.shape)
        number = _stored(w.dtype)
        n_bytes = 2 if number == HALF else 4
        partial = [cgutils.alloca_once_value(builder, ir.Constant(EIGHT_FLOATS, [0.0] * 8)) for _ in range(8)]
        with cgutils.for_range_slice(builder, n_in.type(0), n_in, n_in.type(8), n_in.type) as (i, _):
            x8 = _eight_at(builder, numbers.data, i, FLOAT, 4)
            for line in range(n_bytes):  # 8 rows of 8 numbers: as many cache lines of 64 bytes
                done = builder.mul(i, n_in.type(8))
                _fetch(builder, builder.gep(rows.data, [builder.add(done, n_in.type((AHEAD + 64 * line) // n_bytes))]))
            for row, total in enumerate(partial):
                at = builder.add(i, builder.mul(n_in, n_in.type(row)))
                w8 = _widened(builder, _eight_at(builder, rows.data, at, number, n_bytes), EIGHT_FLOATS)
                product = builder.fmul(w8, x8, flags=("contract",))  # contract: multiply and add in one instruction
                builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
        for row, total in enumerate(partial):
            builder.store(_sum(builder, builder.load(total)), builder.gep(sums.data, [n_in.type(row)]))
        return context.get_dummy_value()

    return types.void(w, x, out), generate


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


def _eight_at(builder: ir.IRBuilder, data: ir.Value, index: ir.Value, number: ir.Type, n_bytes: int) -> ir.Value:
    """Eight numbers of an array, beginning at an index."""
    place = builder.bitcast(builder.gep(data, [index]), ir.VectorType(number, 8).as_pointer())
    return builder.load(place, align=n_bytes)


def _fetch(builder: ir.IRBuilder, place: ir.Value) -> None:
    """Ask for a cache line that will be read soon. A place beyond the array's end does no harm."""
    kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, INT, INT, INT])
    prefetch = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], kind)
    builder.call(prefetch, [builder.bitcast(place, cgutils.voidptr_t), INT(0), INT(3), INT(1)])  # read, keep, data


def _sum(builder: ir.IRBuilder, eight: ir.Value) -> ir.Value:
    kind = ir.FunctionType(FLOAT, [FLOAT, EIGHT_FLOATS])
    add_up = builder.module.declare_intrinsic("llvm.vector.reduce.fadd.v8f32", (), kind)
    return builder.call(add_up, [FLOAT(0.0), eight], fastmath=("reassoc",))
