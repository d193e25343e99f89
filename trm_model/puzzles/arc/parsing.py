"""ARC tasks from JSON, and back."""

import json
from collections import Counter
from collections.abc import Callable
from typing import cast

import numpy as np

from trm_model.puzzles.arc.tasks import Pair, Task, TaskError
from trm_model.puzzles.arc.tokens import COLOURS, SIDE, Grid


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
