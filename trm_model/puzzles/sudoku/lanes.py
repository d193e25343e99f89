"""Propagation in a 9 x 9 Sudoku on vector registers: one lane per digit, three words of 27 cells.

A state is three vectors, one per band of rows; lane d of band b holds the cells of that band where
digit d + 1 is still possible (bit 9 row + column). All digits advance together, by bit operations
alone, which LLVM turns into whatever vector instructions the machine has. The functions on
:class:`_Lanes` below run once, when numba compiles, and write those operations.

The rules are those of tdoku (T. Dillon, github.com/t-dillon/tdoku), on the bit boards of JCZSolve:
within a band, a digit takes one of six ways to match the three rows with the three boxes, and each
row of a box holds exactly three digits; likewise for columns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
STATE = 4 * LANES
"""Words (uint32) of a state: three bands, then per band the cells with two or more and with three
or more digits."""
CELLS = 0o777777777
"""The 27 cells of a band."""
DEAD, OPEN, SOLVED = 0, 1, 2

_WORD, _VECTOR = ir.IntType(32), ir.VectorType(ir.IntType(32), LANES)


def _splat(word: int) -> Any:
    return ir.Constant(_VECTOR, [word] * LANES)


class _Lanes:
    """A vector value under construction; operators append instructions."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def _other(self, other: _Lanes | int) -> Any:
        return other.value if isinstance(other, _Lanes) else _splat(other)

    def __and__(self, other: _Lanes | int) -> _Lanes:
        return _Lanes(self.builder, self.builder.and_(self.value, self._other(other)))

    def __or__(self, other: _Lanes | int) -> _Lanes:
        return _Lanes(self.builder, self.builder.or_(self.value, self._other(other)))

    def __add__(self, other: _Lanes | int) -> _Lanes:
        return _Lanes(self.builder, self.builder.add(self.value, self._other(other)))

    def __lshift__(self, bits: int) -> _Lanes:
        return _Lanes(self.builder, self.builder.shl(self.value, self._other(bits)))

    def __rshift__(self, bits: int) -> _Lanes:
        return _Lanes(self.builder, self.builder.lshr(self.value, self._other(bits)))

    def __invert__(self) -> _Lanes:
        return _Lanes(self.builder, self.builder.not_(self.value))

    def swap(self, distance: int) -> _Lanes:
        """Lane i takes lane i ^ distance."""
        order = ir.Constant(_VECTOR, [lane ^ distance for lane in range(LANES)])
        return _Lanes(self.builder, self.builder.shuffle_vector(self.value, self.value, order))

    def ones(self) -> _Lanes:
        """The number of bits set in each lane."""
        return _Lanes(
            self.builder, _call(self.builder, f"llvm.ctpop.v{LANES}i32", _VECTOR, self.value)
        )

    def differs(self, other: _Lanes | int) -> Any:
        """The lanes that differ, as bits of an i16."""
        return self.builder.bitcast(
            self.builder.icmp_unsigned("!=", self.value, self._other(other)), ir.IntType(LANES)
        )


def _call(builder: Any, name: str, result: Any, argument: Any) -> Any:
    """Call one of LLVM's own functions of one vector."""
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [_VECTOR]), name
    )
    return builder.call(function, [argument])


def _everywhere(builder: Any, word: Any) -> _Lanes:
    """An i32 in every lane."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    return _Lanes(
        builder,
        builder.shuffle_vector(
            builder.insert_element(undefined, word, ir.Constant(_WORD, 0)), undefined, _splat(0)
        ),
    )


def _at_least(values: _Lanes, most: int) -> list[_Lanes]:
    """For k = 1..most the bits that are set in k or more lanes, in every lane."""
    counts = [values]
    distance = 1
    while distance < LANES:
        others = [count.swap(distance) for count in counts]
        merged: list[_Lanes] = []
        for k in range(1, min(most, 2 * len(counts)) + 1):
            terms = [part[k - 1] for part in (counts, others) if k <= len(part)]
            terms += [
                counts[i - 1] & others[k - i - 1]
                for i in range(1, k)
                if i <= len(counts) and k - i <= len(others)
            ]
            merged.append(reduce(_Lanes.__or__, terms))
        counts, distance = merged, 2 * distance
    return counts


class _Turn:
    """Turning by one place, cyclically, the three places of a kind in words of 3 x 3 x 3 bits;
    ``step`` is the distance of two places."""

    def __init__(self, step: int) -> None:
        place = {1: 0o111111111, 3: 0o007007007}[step]
        self.step, self.first, self.last = step, place, place << 2 * step

    def up(self, word: _Lanes) -> _Lanes:
        return ((word << self.step) & (CELLS ^ self.first)) | ((word >> 2 * self.step) & self.first)

    def down(self, word: _Lanes) -> _Lanes:
        return ((word >> self.step) & (CELLS ^ self.last)) | ((word << 2 * self.step) & self.last)

    def others(self, word: _Lanes) -> _Lanes:
        """The two other places of each bit."""
        return self.up(word) | self.down(word)


def _spread(possible: _Lanes, single: _Lanes, turn: _Turn) -> tuple[_Lanes, _Lanes, _Lanes]:
    """Where each digit can still go, and where it certainly goes, with three lines matched one to
    one with three places.

    A bit of ``possible`` is a meeting of a line (in nines) and a place, three cells: the row of a
    box or the column of a box. The digit may be there; by ``single`` it is. Exactly three digits
    share each meeting. Returns (possible, certain, meetings with three digits or more to choose
    from).
    """
    _, _, three, four = _at_least(possible, 4)
    certain = single | (possible & three & ~four)
    around = (certain << 9) | (certain >> 18) | (certain << 18) | (certain >> 9)
    possible = possible & ~(turn.others(certain) | around)
    up, down = turn.up(possible), turn.down(possible)
    even = possible & (down >> 9) & (up >> 18) & 0o777
    odd = possible & (up >> 9) & (down >> 18) & 0o777
    possible = (
        even | odd | turn.up((even << 9) | (odd << 18)) | turn.down((odd << 9) | (even << 18))
    )
    certain = possible & ~turn.others(possible)
    return possible, certain, three


_ROWS, _COLUMNS = _Turn(3), _Turn(1)


def _along_rows(word: _Lanes, band: int) -> _Lanes:
    """The cells of a band whose three-in-a-row (bit 9 row + 3 box + band) is marked."""
    marked = (word >> band) & 0o111111111
    return marked | (marked << 1) | (marked << 2)


def _along_columns(word: _Lanes, band: int) -> _Lanes:
    """The cells of a band whose three-in-a-column (bit 9 band + column) is marked."""
    marked = (word >> 9 * band) & 0o777
    return marked | (marked << 9) | (marked << 18)


def _rows_of(cells: list[_Lanes]) -> _Lanes:
    marked = [(word | (word >> 1) | (word >> 2)) & 0o111111111 for word in cells]
    return marked[0] | (marked[1] << 1) | (marked[2] << 2)


def _columns_of(cells: list[_Lanes]) -> _Lanes:
    marked = [(word | (word >> 9) | (word >> 18)) & 0o777 for word in cells]
    return marked[0] | (marked[1] << 9) | (marked[2] << 18)


def _sweep(cells: list[_Lanes]) -> tuple[list[_Lanes], list[Any]]:
    """Apply every rule once; returns the cells and bits that are set where they contradict
    themselves."""
    counts = [_at_least(word, 2) for word in cells]
    single = [word & ~two for word, (_, two) in zip(cells, counts, strict=True)]
    rows, certain_rows, three_rows = _spread(_rows_of(cells), _rows_of(single), _ROWS)
    columns, certain_columns, three_columns = _spread(
        _columns_of(cells), _columns_of(single), _COLUMNS
    )
    dead = [
        (
            reduce(_Lanes.__and__, [count[0] for count in counts]) & three_rows & three_columns
        ).differs(CELLS)
    ]
    result: list[_Lanes] = []
    for band, before in enumerate(cells):
        word = before & _along_rows(rows, band) & _along_columns(columns, band)
        certain = word & _along_rows(certain_rows, band) & _along_columns(certain_columns, band)
        (taken,) = _at_least(certain, 1)
        result.append(word & (certain | ~taken))
    return result, dead


def _builtin(function: Callable[..., Any]) -> Any:
    """numba's ``intrinsic``: a function of argument types that returns the signature and what
    writes the code of a call."""
    return intrinsic(function)


def _vectors(context: Any, builder: Any, kind: Any, array: Any, start: Any) -> list[Any]:
    """Pointers to the four vectors of the state at ``array[start]``."""
    data = context.make_array(kind)(context, builder, array).data
    offsets = [
        builder.add(start, ir.Constant(start.type, LANES * number))
        for number in range(STATE // LANES)
    ]
    return [
        builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer()) for offset in offsets
    ]


@_builtin
def propagate(_typing: Any, states: Any, start: Any) -> Any:
    """``propagate(states, start)``: apply the rules to the state at ``states[start:start + STATE]``
    (uint32) until nothing changes.

    Returns DEAD (a contradiction), SOLVED or OPEN; unless DEAD, words ``start + 3 LANES + b`` are
    set to band b's cells with two digits or more, and words ``start + 3 LANES + 3 + b`` to those
    with three or more.
    """
    signature = types.int64(states, start)

    def code(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        pointers = _vectors(context, builder, sig.args[0], arguments[0], arguments[1])
        loaded = [builder.load(place, align=4) for place in pointers[:3]]
        entry, loop = builder.block, builder.append_basic_block("sweep")
        alive, settled, done = (
            builder.append_basic_block(name) for name in ("alive", "settled", "done")
        )
        builder.branch(loop)

        builder.position_at_end(loop)
        phis = [builder.phi(_VECTOR) for _ in range(3)]
        cells = [_Lanes(builder, phi) for phi in phis]
        swept, dead = _sweep(cells)
        for phi, start_value, next_value in zip(phis, loaded, swept, strict=True):
            phi.add_incoming(start_value, entry)
            phi.add_incoming(next_value.value, alive)
        zero = ir.Constant(ir.IntType(LANES), 0)
        builder.cbranch(builder.icmp_unsigned("!=", reduce(builder.or_, dead), zero), done, alive)

        builder.position_at_end(alive)
        changed = reduce(
            builder.or_, [after.differs(before) for before, after in zip(cells, swept, strict=True)]
        )
        builder.cbranch(builder.icmp_unsigned("!=", changed, zero), loop, settled)

        builder.position_at_end(settled)
        for place, word in zip(pointers[:3], swept, strict=True):
            builder.store(word.value, place, align=4)
        summary = _splat(0)
        counts = [_at_least(word, 3)[1:] for word in swept]
        for kind in range(2):
            for band in range(3):
                lane = ir.Constant(_WORD, 3 * kind + band)
                summary = builder.insert_element(
                    summary, builder.extract_element(counts[band][kind].value, lane), lane
                )
        builder.store(summary, pointers[3], align=4)
        unsolved = reduce(_Lanes.__or__, [count[0] for count in counts]).differs(0)
        answer = builder.select(
            builder.icmp_unsigned("!=", unsolved, zero),
            ir.Constant(ir.IntType(64), OPEN),
            ir.Constant(ir.IntType(64), SOLVED),
        )
        builder.branch(done)

        builder.position_at_end(done)
        status = builder.phi(ir.IntType(64))
        status.add_incoming(ir.Constant(ir.IntType(64), DEAD), loop)
        status.add_incoming(answer, settled)
        return status

    return signature, code


@_builtin
def reach(
    _typing: Any, states: Any, start: Any, cell: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any
) -> Any:
    """``reach(states, start, cell, a, b, c, d, e, f)``: how much a guess in ``cell`` changes,
    whichever digit is right.

    The product, over the digits possible in ``cell``, of how often each is possible in the cells
    ``a, b, c`` (words of 27 cells, one per band) and, three times over, in the cells ``d, e, f``.
    All int64.
    """
    signature = types.int64(states, start, cell, a, b, c, d, e, f)

    def code(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        pointers = _vectors(context, builder, sig.args[0], arguments[0], arguments[1])
        bands = [_Lanes(builder, builder.load(pointer, align=4)) for pointer in pointers[:3]]
        words = [_everywhere(builder, builder.trunc(word, _WORD)) for word in arguments[3:]]
        single, triple = (
            [(band & word).ones() for band, word in zip(bands, words[k : k + 3], strict=True)]
            for k in (0, 3)
        )
        once, thrice = reduce(_Lanes.__add__, single), reduce(_Lanes.__add__, triple)
        size = ir.Constant(arguments[2].type, 27)
        band, place = (
            builder.trunc(part, _WORD)
            for part in (builder.udiv(arguments[2], size), builder.urem(arguments[2], size))
        )
        own = _Lanes(builder, builder.load(builder.gep(pointers[0], [band]), align=4))
        here = builder.icmp_unsigned(
            "!=",
            (own & _everywhere(builder, builder.shl(ir.Constant(_WORD, 1), place))).value,
            _splat(0),
        )
        factors = builder.select(here, (once + thrice + thrice + thrice).value, _splat(1))
        return builder.zext(
            _call(builder, f"llvm.vector.reduce.mul.v{LANES}i32", _WORD, factors), ir.IntType(64)
        )

    return signature, code


@_builtin
def first_bit(_typing: Any, word: Any) -> Any:
    """The place of the lowest bit set in an int64 that is not 0."""

    def code(_context: Any, builder: Any, _sig: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(word), code
