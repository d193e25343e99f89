"""What the kernels need of a processor and numba has no words for: products of blocks that stay in
registers, blocks transposed in registers, the bits of a number, and arrays at addresses."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from trm_model.compiled import numba

LANES = 8
_AVX_512 = "+avx512f" in (numba.config.CPU_FEATURES or get_host_cpu_features())  # pyright: ignore[reportAttributeAccessIssue]
_WIDEST, _SUMS = (2 * LANES, 24) if _AVX_512 else (LANES, 12)
"""Numbers of a register, and how many may hold the sums of a block: three quarters of those of
AVX-512, AVX2 or NEON. The others are for the factors."""
WIDE = 4 * _WIDEST if _AVX_512 else 2 * _WIDEST
"""Columns of a block."""


def _heights(width: int) -> tuple[int, ...]:
    """Rows of a block of ``width`` columns, largest first; rows left over take the next."""
    return (8, 4, 1) if _SUMS // -(-width // _WIDEST) >= 8 else (6, 2, 1)


HEIGHTS = tuple(_heights(width) for width in range(LANES, WIDE + 1, LANES))
"""For 8, 16, … columns."""

_FLOAT, _INT = ir.FloatType(), ir.IntType(64)


def _emit_block(
    builder: Any, rows: int, width: int, out: Any, a: Any, b: Any, depth: Any, *, add: bool
) -> None:
    """``out = a @ b``, or ``out += a @ b``, for a block of ``rows`` x ``width``; ``out``, ``a``,
    ``b``: pointer and strides in numbers."""
    # Whole registers, and half of one where eight columns are left.
    columns = [
        (column, min(_WIDEST, width - column) // LANES * LANES)
        for column in range(0, width, _WIDEST)
    ]
    kinds = {lanes: ir.VectorType(_FLOAT, lanes) for _, lanes in columns}
    joined = {
        lanes: cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fma.v{lanes}f32"
        )
        for lanes, kind in kinds.items()
    }
    places = [(r, column, lanes) for r in range(rows) for column, lanes in columns]

    def vector(pointer: Any, offset: int, lanes: int) -> Any:
        return builder.bitcast(builder.gep(pointer, [_INT(offset)]), kinds[lanes].as_pointer())

    def in_all(number: Any, lanes: int) -> Any:
        undefined = ir.Constant(kinds[lanes], ir.Undefined)
        first = builder.insert_element(undefined, number, ir.IntType(32)(0))
        all_lanes = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
        return builder.shuffle_vector(first, undefined, all_lanes)

    out_rows = [builder.gep(out[0], [builder.mul(_INT(r), out[1])]) for r in range(rows)]
    a_rows = [builder.gep(a[0], [builder.mul(_INT(r), a[1])]) for r in range(rows)]
    sums = [cgutils.alloca_once(builder, kinds[lanes]) for _, _, lanes in places]
    for (r, column, lanes), total in zip(places, sums, strict=True):
        start = (
            builder.load(vector(out_rows[r], column, lanes), align=4)
            if add
            else ir.Constant(kinds[lanes], [0.0] * lanes)
        )
        builder.store(start, total)
    with cgutils.for_range(builder, depth) as loop:
        b_row = builder.gep(b[0], [builder.mul(loop.index, b[1])])
        vectors = {
            column: builder.load(vector(b_row, column, lanes), align=4) for column, lanes in columns
        }
        a_column = builder.mul(loop.index, a[2])
        numbers = [builder.load(builder.gep(row, [a_column])) for row in a_rows]
        for (r, column, lanes), total in zip(places, sums, strict=True):
            factors = in_all(numbers[r], lanes), vectors[column]
            builder.store(builder.call(joined[lanes], [*factors, builder.load(total)]), total)
    for (r, column, lanes), total in zip(places, sums, strict=True):
        builder.store(builder.load(total), vector(out_rows[r], column, lanes), align=4)


def _builtin(function: Callable[..., Any]) -> Any:
    """numba's ``intrinsic``: a function of argument types that returns the signature and what
    writes the code of a call."""
    return intrinsic(function)


def _block(*, add: bool) -> Any:
    @_builtin
    def block(
        _typing: Any, out: Any, a: Any, b: Any, row: Any, column: Any, rows: Any, width: Any
    ) -> Any:
        """One block of ``out = a @ b`` or ``out += a @ b``: ``width`` is a multiple of eight
        up to :data:`WIDE`, ``rows`` one of its :data:`HEIGHTS`."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            def corner(position: int, at: tuple[Any | None, Any | None]) -> tuple[Any, Any, Any]:
                array = make_array(signature.args[position])(context, builder, arguments[position])
                strides = [
                    builder.sdiv(stride, _INT(4))
                    for stride in cgutils.unpack_tuple(builder, array.strides, 2)
                ]
                pointer = array.data
                for index, stride in zip(at, strides, strict=True):
                    if index is not None:
                        pointer = builder.gep(pointer, [builder.mul(index, stride)])
                return pointer, *strides

            first_row, first_column, height, breadth = arguments[3:]
            places = (
                corner(0, (first_row, first_column)),
                corner(1, (first_row, None)),
                corner(2, (None, first_column)),
            )
            depth = cgutils.unpack_tuple(
                builder, make_array(signature.args[1])(context, builder, arguments[1]).shape, 2
            )[1]
            done = builder.append_basic_block("done")
            switch = builder.switch(builder.add(builder.mul(height, _INT(WIDE + 1)), breadth), done)
            for w, heights in zip(range(LANES, WIDE + 1, LANES), HEIGHTS, strict=True):
                for r in heights:
                    case = builder.append_basic_block(f"block_{r}_{w}")
                    switch.add_case(_INT(r * (WIDE + 1) + w), case)
                    builder.position_at_end(case)
                    _emit_block(builder, r, w, *places, depth, add=add)
                    builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(out, a, b, row, column, rows, width), generate

    return block


def _product(name: str, *, add: bool) -> Any:
    block = _block(add=add)

    def product(out: Any, a: Any, b: Any) -> None:
        """a [R, K] of any strides, b [K, C] and out [R, C] with rows in one piece, C a multiple of
        eight."""
        rows, columns = a.shape[0], b.shape[1]
        for column in range(0, columns, WIDE):
            width = min(WIDE, columns - column)
            row = 0
            for height in HEIGHTS[width // LANES - 1]:
                while rows - row >= height:
                    block(out, a, b, row, column, height, width)
                    row += height

    # Machine code is linked by names: of two functions with one name, made by different processes
    # and kept, one would stand in for the other.
    product.__name__ = product.__qualname__ = name
    return numba.njit(cache=True)(product)


set_product, add_product = _product("set_product", add=False), _product("add_product", add=True)


@_builtin
def transpose_block(_typing: Any, target: Any, source: Any, row: Any, column: Any) -> Any:
    """``target[column : column + 8, row : row + 8] = source[row : row + 8, column : column +
    8].T``, rows of both in one piece."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.VectorType(_FLOAT, LANES)

        def places(position: int, first: Any, second: Any) -> list[Any]:
            array = make_array(signature.args[position])(context, builder, arguments[position])
            stride = builder.sdiv(cgutils.unpack_tuple(builder, array.strides, 2)[0], _INT(4))
            rows = (builder.mul(builder.add(first, _INT(i)), stride) for i in range(LANES))
            return [
                builder.bitcast(
                    builder.gep(array.data, [builder.add(row, second)]), kind.as_pointer()
                )
                for row in rows
            ]

        vectors = [builder.load(place, align=4) for place in places(1, arguments[2], arguments[3])]
        for distance in (4, 2, 1):
            # Rows i and i + distance exchange the lanes whose number has, or lacks, the bit.
            lower = [
                lane if not lane & distance else LANES + (lane ^ distance) for lane in range(LANES)
            ]
            upper = [LANES + lane if lane & distance else lane ^ distance for lane in range(LANES)]
            masks = [
                ir.Constant(ir.VectorType(ir.IntType(32), LANES), mask) for mask in (lower, upper)
            ]
            for i in range(LANES):
                if not i & distance:
                    pair = vectors[i], vectors[i + distance]
                    vectors[i], vectors[i + distance] = (
                        builder.shuffle_vector(*pair, mask) for mask in masks
                    )
        for vector, place in zip(vectors, places(0, arguments[3], arguments[2]), strict=True):
            builder.store(vector, place, align=4)
        return context.get_dummy_value()

    return types.void(target, source, row, column), generate


def _bits_as(kind: Any, of: Any, target: Any) -> Any:
    """The bits of a number taken for another kind of number."""

    @_builtin
    def cast(_typing: Any, _number: Any) -> Any:
        return kind(of), lambda _context, builder, _signature, arguments: builder.bitcast(
            arguments[0], target
        )

    return cast


as_int, as_float = (
    _bits_as(types.int32, types.float32, ir.IntType(32)),
    _bits_as(types.float32, types.int32, _FLOAT),
)


FIRST, WORDS = 2, 4
"""Words of a task before its first array (a setting of the kernel's, and the bits of the norm's
epsilon), and of each array."""


@_builtin
def array_of(_typing: Any, task: Any, _number: Any) -> Any:
    """An array of the task, float32 [., ., .] in one piece, of which the task has address and
    shape."""
    kind = types.Array(types.float32, 3, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at = builder.add(builder.mul(arguments[1], _INT(WORDS)), _INT(FIRST))
        start = builder.gep(
            make_array(signature.args[0])(context, builder, arguments[0]).data, [at]
        )
        address, *shape = (builder.load(builder.gep(start, [_INT(word)])) for word in range(WORDS))
        strides = [_INT(4)]
        for size in reversed(shape[1:]):
            strides.insert(0, builder.mul(strides[0], size))
        array = make_array(kind)(context, builder)
        data = builder.inttoptr(address, _FLOAT.as_pointer())
        populate_array(
            array, data=data, shape=shape, strides=strides, itemsize=_INT(4), meminfo=None
        )
        return array._getvalue()

    return kind(task, types.int64), generate
