"""Sudoku examples as a function of their index: base puzzles, each followed by shuffled versions,
made when they are asked for."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from storage.examples import Header
from trm_model.compiled import numba
from trm_model.errors import require
from trm_model.puzzles.sudoku.symmetry import draw_symmetry
from trm_model.puzzles.sudoku.tokens import BLANK, SHAPES, Grids, Ints, Shape
from trm_model.seeding import derive

_CLUE = 128
"""Mark of a clue, beside the digit of the answer, in the cells of base puzzles."""


@numba.njit(cache=True, nogil=True)
def _rows(index, cells, members, base, box_rows, box_columns, inputs, labels):
    n = box_rows * box_columns
    state = np.empty(1, np.uint64)
    digits, renamed = np.empty(n + 1, np.uint8), np.empty(256, np.uint8)
    rows, columns = np.empty(n, np.int64), np.empty(n, np.int64)
    made = np.empty(n * n, np.uint8)
    for position in range(len(index)):
        puzzle, version = index[position] // members, index[position] % members
        if version:
            counter = np.uint64(puzzle) << np.uint64(32) | np.uint64(version)
            state[0] = counter * np.uint64(0xD1342543DE82EF95) ^ base
            draw_symmetry(state, box_rows, box_columns, digits, rows, columns)
        else:
            for k in range(n):
                digits[k + 1], rows[k], columns[k] = k + 1, k * n, k
        for digit in range(1, n + 1):
            renamed[digit] = digits[digit] + BLANK
            renamed[digit + _CLUE] = digits[digit] + BLANK + _CLUE
        source, input_row, label_row = cells[puzzle], inputs[position], labels[position]
        # Unsigned indices spare the test for negative ones; the second loop compiles to vector
        # instructions.
        for row in range(n):
            for column in range(n):
                made[np.uint64(row * n + column)] = renamed[
                    source[np.uint64(rows[row] + columns[column])]
                ]
        for cell in range(n * n):
            token = made[cell] & np.uint8(_CLUE - 1)
            label_row[cell] = token
            input_row[cell] = token if made[cell] >= _CLUE else BLANK


class SudokuExamples:
    """Sudoku examples: G base puzzles, each followed by ``copies`` random versions under
    symmetry.

    Version k of puzzle i depends on (seed, i, k) alone; version 0 is the puzzle itself. Tokens as
    in :mod:`trm_model.puzzles.sudoku.tokens`. Nothing is stored but the base puzzles, so that any
    number of versions costs no memory.

    :param puzzles: uint8 [G, n * n], 0 for blanks.
    :param answers: uint8 [G, n * n], their solutions.
    :param sources: name -> hash of what the puzzles were made from.
    :raises ConfigurationError: arrays that do not fit one another or the shape, answers without a
        digit, a negative number of copies.
    """

    header: Header
    puzzle_ids: npt.NDArray[np.int32]
    example_offsets: Ints
    group_offsets: Ints

    def __init__(
        self,
        puzzles: Grids,
        answers: Grids,
        shape: Shape,
        copies: int,
        seed: int,
        sources: dict[str, str] | None = None,
    ) -> None:
        require(
            puzzles.shape == answers.shape == (len(puzzles), shape.cells)
            and puzzles.dtype == answers.dtype == np.uint8,
            f"puzzles {puzzles.dtype} {puzzles.shape} and answers {answers.dtype} "
            f"{answers.shape}: expected uint8 [G, {shape.cells}] both",
        )
        require(copies >= 0, f"copies={copies}: expected at least 0")
        wrong = np.flatnonzero(
            ((answers < 1) | (answers > shape.n) | ((puzzles != 0) & (puzzles != answers))).any(
                axis=1
            )
        )
        require(
            not len(wrong),
            f"answer {wrong[0] if len(wrong) else ''}: expected digits 1..{shape.n} that keep the "
            "puzzle's clues; solve the puzzle again",
        )
        groups, self.shape, self.seed = len(puzzles), shape, seed
        self.header = Header(
            vocabulary=shape.vocabulary,
            grid=(shape.n, shape.n),
            seed=seed,
            augmentations=copies,
            sources=dict(sources or {}),
        )
        self.puzzle_ids = np.zeros(groups * (copies + 1), np.int32)
        self.example_offsets = np.arange(groups * (copies + 1) + 1)
        self.group_offsets = np.arange(groups + 1) * (copies + 1)
        self._cells = answers | ((puzzles > 0) * np.uint8(_CLUE))

    def rows(self, index: Ints) -> tuple[Grids, Grids]:
        """Inputs and labels, tokens [K, n * n] each, of the examples ``index`` [K], in that order.

        :raises IndexError: an index that is no example.
        """
        index = np.ascontiguousarray(index, np.int64)
        total = int(self.example_offsets[-1])
        if len(index) and (index.min() < 0 or index.max() >= total):
            raise IndexError(f"examples {index.min()}..{index.max()}: expected 0..{total - 1}")
        inputs, labels = (
            np.empty((len(index), self.shape.cells), np.uint8),
            np.empty((len(index), self.shape.cells), np.uint8),
        )
        base, members = np.uint64(derive(self.seed, "shuffle")), self.header.augmentations + 1
        _rows(
            index,
            self._cells,
            members,
            base,
            self.shape.box_rows,
            self.shape.box_columns,
            inputs,
            labels,
        )
        return inputs, labels

    def plan(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What :meth:`from_plan` needs beside the header: parameters (JSON) and arrays."""
        answers = self._cells & np.uint8(_CLUE - 1)
        return {}, {
            "puzzles": np.where(self._cells >= _CLUE, answers, 0).astype(np.uint8),
            "answers": answers,
        }

    @classmethod
    def from_plan(
        cls, header: Header, parameters: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]
    ) -> Self:
        """The examples that had this header and :meth:`plan`."""
        require(not parameters, f"parameters {sorted(parameters)}: expected none for Sudoku")
        return cls(
            arrays["puzzles"],
            arrays["answers"],
            SHAPES[header.grid[0]],
            header.augmentations,
            header.seed,
            header.sources,
        )
