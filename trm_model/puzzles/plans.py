"""Stored examples and planned ones: a split is opened the same way whichever it holds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from storage.examples import (
    DATA_AGAIN,
    INDEX,
    Bytes2d,
    ExampleSet,
    Plan,
    map_shards,
    read_examples,
    read_index,
    read_plan,
)
from storage.manifest import CorruptDataError
from storage.reading import reading
from trm_model.puzzles.family import PlannedExamples
from trm_model.puzzles.registry import family_named, names

_T = TypeVar("_T")
BLOCK = 1 << 17
"""Examples that :func:`map_examples` computes at a time."""


def plan_of(examples: PlannedExamples) -> Plan:
    """The examples as data."""
    kind = next(name for name in names() if type(examples) is family_named(name).examples)
    return Plan(kind, *examples.plan())


def map_examples(
    path: Path, work: Callable[[int, Bytes2d, Bytes2d], _T], block: int = BLOCK
) -> Iterator[_T]:
    """``work(first example, inputs [k, L], labels [k, L])`` of all examples of the split at
    ``path``, a part at a time and in no fixed order, whether they are stored or computed.

    :param block: examples computed at a time.
    :raises CorruptDataError: not a readable split.
    """
    if read_plan(path) is None:
        yield from map_shards(path, work)
        return
    examples = open_examples(path)
    total = int(examples.example_offsets[-1])
    for start in range(0, total, block):
        yield work(start, *examples.rows(np.arange(start, min(start + block, total))))


def examples_modules(path: Path) -> list[str]:
    """The modules that compute the examples of the split at ``path``; none where they are stored.

    :raises CorruptDataError: not a readable split.
    :raises ConfigurationError: examples of a family that is not known here.
    """
    stored_plan = read_plan(path)
    return [] if stored_plan is None else [family_named(stored_plan[1].kind).examples.__module__]


def stored_examples(path: Path) -> int:
    """How many examples of the split at ``path`` are stored; 0 where they are computed on demand.

    :raises CorruptDataError: not a readable split.
    """
    return 0 if read_plan(path) is not None else int(read_index(path)[1][-1])


def open_examples(path: Path, read: Callable[[Path], ExampleSet] = read_examples) -> ExampleSet:
    """The split at ``path``: opened by ``read`` where its examples are stored (by default decoded
    to memory), computed on demand where only their plan is.

    :raises CorruptDataError: not a readable split.
    """
    stored_plan = read_plan(path)
    if stored_plan is None:
        return read(path)
    header, plan = stored_plan
    index = read_index(path)
    with reading(
        CorruptDataError,
        path,
        f"a plan of one of {', '.join(names())} as written here; {DATA_AGAIN}",
    ):
        if plan.kind not in names():
            raise ValueError(f"kind {plan.kind!r}")
        examples = family_named(plan.kind).examples.from_plan(header, plan.parameters, plan.arrays)
        if examples.header != header:
            raise ValueError("the header is not that of the planned examples")
        for name, stored, planned in zip(
            INDEX,
            index,
            (examples.puzzle_ids, examples.example_offsets, examples.group_offsets),
            strict=True,
        ):
            if not np.array_equal(stored, planned):
                raise ValueError(f"{name} is not that of the planned examples")
    return examples
