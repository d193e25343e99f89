"""Augmentations of an ARC task: symmetries and permutations of colours, their names, and how an
answer to an augmented task is taken back to the task itself."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trm_model.compiled import numba
from trm_model.puzzles.arc.tasks import SEPARATOR, Pair, Task
from trm_model.puzzles.arc.tokens import COLOURS, FIRST_COLOUR, Grid
from trm_model.puzzles.symmetry import COUNT, dihedral, inverse


class Augmentation(NamedTuple):
    """Version of a task: its grids recoloured (``colours[old]`` is the new colour; black stays),
    then under a symmetry."""

    task: str
    dihedral: int = 0
    colours: tuple[int, ...] = tuple(range(COLOURS))

    @property
    def name(self) -> str:
        """``task|||t<dihedral>|||<colours>``, as the authors'; just the task's name where nothing
        changes."""
        if self == Augmentation(self.task):
            return self.task
        return f"{self.task}{SEPARATOR}t{self.dihedral}{SEPARATOR}{''.join(map(str, self.colours))}"

    def apply(self, grid: Grid) -> Grid:
        """The grid in this version."""
        return np.ascontiguousarray(dihedral(np.array(self.colours, np.uint8)[grid], self.dihedral))

    def undo(self, grid: Grid) -> Grid:
        """The inverse of :meth:`apply`."""
        return np.ascontiguousarray(dihedral(self.inverse_colours[grid], inverse(self.dihedral)))

    def apply_to_task(self, task: Task) -> Task:
        """All pairs in this version. The name has ``-`` for ``|||``: with those it could not be
        imported, since its own versions could not be told from those of the task that it was made
        from."""
        parts = (
            tuple(Pair(*map(self.apply, pair)) for pair in pairs)
            for pairs in (task.train, task.test)
        )
        return Task(self.name.replace(SEPARATOR, "-"), *parts)

    @property
    def inverse_colours(self) -> npt.NDArray[np.uint8]:
        """[10]: the old colour of each new one."""
        return np.argsort(self.colours).astype(np.uint8)


def parse_name(name: str) -> Augmentation:
    """The inverse of :attr:`Augmentation.name`.

    :raises ValueError: not such a name.
    """
    task, *rest = name.split(SEPARATOR)
    if not rest:
        return Augmentation(task)
    expected = f"expected TASK{SEPARATOR}t0..t7{SEPARATOR}a permutation of 0123456789"
    if (
        len(rest) != 2
        or rest[0] not in {f"t{which}" for which in range(COUNT)}
        or sorted(rest[1]) != sorted("0123456789")
    ):
        raise ValueError(f"puzzle name {name!r}: {expected}")
    return Augmentation(task, int(rest[0][1:]), tuple(map(int, rest[1])))


@numba.njit(cache=True, inline="always")
def walk(which, height, width):
    """How to read the image of a flattened grid row by row: (its height, its width, first cell,
    step down, step right)."""
    last, corner, foot = width - 1, height * width - 1, (height - 1) * width
    if which == 0:
        return height, width, 0, width, 1
    if which == 1:
        return width, height, last, -1, width
    if which == 2:
        return height, width, corner, -width, -1
    if which == 3:
        return width, height, foot, 1, -width
    if which == 4:
        return height, width, last, width, -1
    if which == 5:
        return height, width, foot, -width, 1
    if which == 6:
        return width, height, 0, 1, width
    return width, height, corner, -1, -width


@numba.njit(cache=True, inline="always")
def _crop_size(tokens, side):
    """Rows and columns of the largest rectangle of colours that starts at the top-left cell; 0, 0
    if there is none."""
    rows = columns = 0
    width = side
    for row in range(side):
        for column in range(width):
            token = tokens[row * side + column]
            if token < FIRST_COLOUR or token >= FIRST_COLOUR + COLOURS:
                width = column
                break
        if (row + 1) * width > rows * columns:
            rows, columns = row + 1, width
    return rows, columns


@numba.njit(cache=True, nogil=True)
def _restore(tokens, side, dihedrals, colours, cells, shapes):
    for index in range(len(tokens)):
        height, width = _crop_size(tokens[index], side)
        # The grid's cells keep the frame's stride: read its image within the frame.
        rows, columns, first, down, right = walk(dihedrals[index], height, width)
        shapes[index, 0], shapes[index, 1] = rows, columns
        for row in range(rows):
            for column in range(columns):
                source = first + row * down + column * right
                place = source // width * side + source % width
                cells[index, row * columns + column] = colours[
                    index, tokens[index, place] - FIRST_COLOUR
                ]


def restore(
    tokens: npt.NDArray[np.uint8], augmentations: Sequence[Augmentation]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Token grids [N, L] as grids of the original tasks: cropped, and the augmentation undone.

    As the authors crop: of the rectangles that start at the top-left cell and hold colours only the
    largest, the first found of equal ones with rows scanned downwards; it may be empty.

    :returns: ``cells`` uint8 [N, L], each grid's cells in its first rows x columns entries, row by
        row; ``shapes`` int64 [N, 2].
    """
    dihedrals = np.array(
        [inverse(augmentation.dihedral) for augmentation in augmentations], np.int64
    )
    colours = np.argsort(
        np.array([augmentation.colours for augmentation in augmentations], np.uint8).reshape(
            -1, COLOURS
        ),
        axis=1,
    )
    cells, shapes = np.empty(tokens.shape, np.uint8), np.empty((len(tokens), 2), np.int64)
    _restore(
        np.ascontiguousarray(tokens),
        math.isqrt(tokens.shape[1]),
        dihedrals,
        colours.astype(np.uint8),
        cells,
        shapes,
    )
    return cells, shapes


def crop(tokens: npt.NDArray[np.uint8]) -> Grid:
    """One token grid [L] as a grid, see :func:`restore`."""
    cells, shapes = restore(tokens[None], [Augmentation("")])
    rows, columns = shapes[0].tolist()
    return cells[0, : rows * columns].reshape(rows, columns)
