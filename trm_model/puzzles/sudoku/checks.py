"""Whether Sudoku grids are solved and keep their clues."""

import numpy as np

from trm_model.compiled import numba
from trm_model.puzzles.sudoku.tokens import BLANK, Bools, Grids, Shape


@numba.njit(cache=True, nogil=True)
def _is_solution_all(grids, box_rows, box_columns, result):
    n = box_rows * box_columns
    seen = np.empty((3, n), np.int64)
    for index in range(len(grids)):
        seen[:] = 0
        for cell in range(n * n):
            row, column = cell // n, cell % n
            bit = 1 << min(grids[index, cell], 31)  # No digit is 31.
            seen[0, row] |= bit
            seen[1, column] |= bit
            seen[2, row // box_rows * (n // box_columns) + column // box_columns] |= bit
        # Digits 1..n, each once: n cells that cover all n bits.
        result[index] = (seen == (1 << (n + 1)) - 2).all()


def is_solution(grids: Grids, shape: Shape) -> Bools:
    """Whether every row, column and box holds every digit once. [N, n * n] -> [N]."""
    result = np.empty(len(grids), np.bool_)
    _is_solution_all(np.ascontiguousarray(grids), shape.box_rows, shape.box_columns, result)
    return result


def keeps_clues(puzzles: Grids, answers: Grids) -> Bools:
    """Whether the answer has the puzzle's digit wherever the puzzle has one. [N, n * n] x 2 ->
    [N]."""
    return ((puzzles == 0) | (puzzles == answers)).all(axis=1)


@numba.njit(cache=True, nogil=True)
def _check(inputs, labels, box_rows, box_columns, solved, kept):
    n = box_rows * box_columns
    full = ((1 << n) - 1) << BLANK + 1
    columns, boxes = np.empty(n, np.int64), np.empty(n, np.int64)
    for index in range(len(labels)):
        label, question = labels[index], inputs[index]
        columns[:] = 0
        boxes[:] = 0
        common = full
        for row in range(n):
            line = 0
            for stack in range(box_rows):
                box = row // box_rows * box_rows + stack
                for column in range(stack * box_columns, (stack + 1) * box_columns):
                    bit = 1 << min(
                        label[row * n + column], 31
                    )  # No digit is 31: a token past the vocabulary.
                    line |= bit
                    columns[column] |= bit
                    boxes[box] |= bit
            common &= line
            if line != full:
                common = 0
        for unit in range(n):
            if columns[unit] != full or boxes[unit] != full:
                common = 0
        solved[index] = common == full
        changed = np.uint8(0)
        for cell in range(n * n):
            changed |= (question[cell] ^ label[cell]) if question[cell] != BLANK else np.uint8(0)
        kept[index] = changed == 0


def check_examples(inputs: Grids, labels: Grids, shape: Shape) -> tuple[Bools, Bools]:
    """For token examples [N, n * n] x 2: whether each label is a solved grid [N], and whether it
    has the input's digit wherever the input is not blank [N]."""
    solved, kept = np.empty(len(labels), np.bool_), np.empty(len(labels), np.bool_)
    _check(
        np.ascontiguousarray(inputs),
        np.ascontiguousarray(labels),
        shape.box_rows,
        shape.box_columns,
        solved,
        kept,
    )
    return solved, kept
