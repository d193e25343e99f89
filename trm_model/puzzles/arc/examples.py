"""ARC's examples: every example of every version of a task as a function of its index."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from storage.examples import Header
from trm_model.compiled import numba
from trm_model.errors import require
from trm_model.puzzles.arc.augmentation import Augmentation, walk
from trm_model.puzzles.arc.tasks import SEPARATOR, Pair, Task
from trm_model.puzzles.arc.tokens import COLOURS, END, FIRST_COLOUR, PAD, SIDE, VOCABULARY
from trm_model.puzzles.arc.versions import Base, draw_versions, offsets_of
from trm_model.puzzles.splitmix import STEP, mix, scale
from trm_model.puzzles.symmetry import COUNT
from trm_model.seeding import derive


@numba.njit(cache=True, inline="always")
def _hash(seed, counter):
    return mix(seed + np.uint64(counter + 1) * STEP)


@numba.njit(cache=True, inline="always")
def _place(cells, height, width, which, tokens, top, left, side, out):
    """Write a grid's image to ``out`` [side * side], recoloured by ``tokens`` [10], with its end
    marks."""
    out[:] = PAD
    rows, columns, first, down, right = walk(which, height, width)
    for row in range(rows):
        source, target = first + row * down, (top + row) * side + left
        for column in range(columns):
            out[target + column] = tokens[cells[source + column * right]]
        if left + columns < side:
            out[target + columns] = END
    if top + rows < side:
        target = (top + rows) * side + left
        out[target : target + columns] = END


@numba.njit(cache=True, nogil=True)
def _write_rows(
    index,
    side,
    translate,
    cells,
    cell_offsets,
    shapes,
    pair_offsets,
    group_offsets,
    starts,
    dihedrals,
    colours,
    seeds,
    inputs,
    labels,
):
    tokens = np.empty(COLOURS, np.uint8)
    for position in range(len(index)):
        group, end = 0, len(starts) - 1
        while end - group > 1:
            middle = (group + end) // 2
            if starts[middle] <= index[position]:
                group = middle
            else:
                end = middle
        pairs = pair_offsets[group + 1] - pair_offsets[group]
        version = (index[position] - starts[group]) // pairs
        number = index[position] - starts[group] - version * pairs
        pair, puzzle = pair_offsets[group] + number, group_offsets[group] + version
        which = dihedrals[puzzle]
        for colour in range(COLOURS):
            tokens[colour] = colours[puzzle, colour] + FIRST_COLOUR
        height, width = max(shapes[pair, 0], shapes[pair, 2]), max(shapes[pair, 1], shapes[pair, 3])
        rows, columns, _, _, _ = walk(which, height, width)
        top = left = 0
        if translate:
            seed = _hash(seeds[group], version)
            if number != scale(seed >> np.uint64(32), pairs):
                bits = _hash(seed, number)
                top = scale(bits >> np.uint64(32), side - rows + 1)
                left = scale(bits & np.uint64(0xFFFFFFFF), side - columns + 1)
        first, second, third = (
            cell_offsets[2 * pair],
            cell_offsets[2 * pair + 1],
            cell_offsets[2 * pair + 2],
        )
        shape = shapes[pair]
        _place(
            cells[first:second],
            shape[0],
            shape[1],
            which,
            tokens,
            top,
            left,
            side,
            inputs[position],
        )
        _place(
            cells[second:third],
            shape[2],
            shape[3],
            which,
            tokens,
            top,
            left,
            side,
            labels[position],
        )


def _require_fit(
    header: Header, parameters: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
) -> None:
    shapes, pairs, groups = arrays["shapes"], arrays["pair_offsets"], arrays["group_offsets"]
    require(
        isinstance(parameters["tasks"], list)
        and all(isinstance(task, str) for task in parameters["tasks"]),
        "tasks: expected a list of names",
    )
    require(
        isinstance(parameters["translate"], bool),
        f"translate={parameters['translate']!r}: expected true or false",
    )
    versions = len(arrays["dihedrals"])
    for name, dtype, shape in (
        ("cells", np.uint8, (arrays["cells"].size,)),
        ("shapes", np.uint8, (len(shapes), 4)),
        ("pair_offsets", np.int64, (len(parameters["tasks"]) + 1,)),
        ("group_offsets", np.int64, (len(parameters["tasks"]) + 1,)),
        ("puzzle_ids", np.int32, (versions,)),
        ("dihedrals", np.uint8, (versions,)),
        ("colours", np.uint8, (versions, COLOURS)),
    ):
        found = arrays[name]
        require(
            found.dtype == dtype and found.shape == shape,
            f"{name} is {found.dtype} {list(found.shape)}: expected {np.dtype(dtype)} "
            f"{list(shape)}",
        )
    for name, offsets, total in (
        ("pair_offsets", pairs, len(shapes)),
        ("group_offsets", groups, versions),
    ):
        require(
            offsets[0] == 0 and offsets[-1] == total and bool((offsets[1:] > offsets[:-1]).all()),
            f"{name}: expected to rise from 0 to {total}",
        )
    side = header.grid[0]
    require(header.grid == (side, side), f"grid {header.grid}: expected a square")
    require(bool(((shapes >= 1) & (shapes <= side)).all()), f"shapes: expected sides of 1..{side}")
    sizes = shapes.astype(np.int64).reshape(-1, 2).prod(axis=1)
    require(
        len(arrays["cells"]) == sizes.sum(),
        f"{len(arrays['cells'])} cells: expected {sizes.sum()} as the shapes say",
    )
    require(
        arrays["cells"].max(initial=0) < COLOURS,
        f"colour {arrays['cells'].max(initial=0)}: expected 0..{COLOURS - 1}",
    )
    require(
        arrays["dihedrals"].max(initial=0) < COUNT,
        f"symmetry {arrays['dihedrals'].max(initial=0)}: expected 0..{COUNT - 1}",
    )
    # Ten powers of two have this sum only if each is there once.
    marks = np.left_shift(1, arrays["colours"].astype(np.uint16)).sum(axis=1)
    require(
        bool((marks == (1 << COLOURS) - 1).all()),
        f"colours: expected permutations of 0..{COLOURS - 1}",
    )


class ArcExamples:
    """A split of ARC: each example is computed from the base grids when it is asked for,
    and depends on its index alone.

    A group is a task, a puzzle one of its versions, an example one of the version's pairs.
    ``header``; ``puzzle_ids`` int32 [M], ``example_offsets`` int64 [M + 1], ``group_offsets`` int64
    [G + 1] as in :mod:`storage.examples`; ``tasks`` [G]: names.

    Made by :func:`make_examples`, or from what :meth:`plan` returned.

    :raises ConfigurationError: arrays that do not fit one another: compiled code reads where they
        say.
    """

    def __init__(
        self, header: Header, parameters: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        self.header = header
        _require_fit(header, parameters, arrays)
        self.tasks: tuple[str, ...] = tuple(parameters["tasks"])
        self.puzzle_ids: npt.NDArray[np.int32] = arrays["puzzle_ids"]
        self.group_offsets: npt.NDArray[np.int64] = arrays["group_offsets"]
        self._translate: bool = parameters["translate"]
        self._base = Base(arrays["cells"], arrays["shapes"], arrays["pair_offsets"])
        self._dihedrals: npt.NDArray[np.uint8] = arrays["dihedrals"]
        self._colours: npt.NDArray[np.uint8] = arrays["colours"]
        pairs, versions = np.diff(self._base.offsets), np.diff(self.group_offsets)
        self.example_offsets = offsets_of(np.repeat(pairs, versions))
        self._starts = offsets_of(pairs * versions)
        self._cell_offsets = self._base.cell_offsets
        self._shapes = self._base.shapes.astype(np.int64)
        self._seeds = np.array(
            [derive(header.seed, "arc", task, "translation") for task in self.tasks], np.uint64
        )

    def __len__(self) -> int:
        return int(self._starts[-1])

    def plan(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What :meth:`from_plan` needs besides the header: values for JSON, and arrays (the base
        grids and a table of versions)."""
        return {"tasks": list(self.tasks), "translate": self._translate}, {
            "cells": self._base.cells,
            "shapes": self._base.shapes,
            "pair_offsets": self._base.offsets,
            "group_offsets": self.group_offsets,
            "puzzle_ids": self.puzzle_ids,
            "dihedrals": self._dihedrals,
            "colours": self._colours,
        }

    @classmethod
    def from_plan(
        cls, header: Header, parameters: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> "ArcExamples":
        """The examples that :meth:`plan` described; their rows are the same."""
        return cls(header, parameters, arrays)

    def rows(
        self, index: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Inputs and labels of the examples at ``index`` [K]: uint8 [K, L] each. Threads may call
        it at once.

        :raises IndexError: an index outside 0..N - 1.
        """
        if len(index) and not 0 <= index.min() <= index.max() < len(self):
            raise IndexError(f"example {index.min()}..{index.max()}: expected 0..{len(self) - 1}")
        inputs, labels = (np.empty((len(index), self.header.length), np.uint8) for _ in range(2))
        _write_rows(
            np.ascontiguousarray(index, np.int64),
            self.header.grid[0],
            self._translate,
            self._base.cells,
            self._cell_offsets,
            self._shapes,
            self._base.offsets,
            self.group_offsets,
            self._starts,
            self._dihedrals,
            self._colours,
            self._seeds,
            inputs,
            labels,
        )
        return inputs, labels

    def augmentation(self, puzzle: int) -> Augmentation:
        """What puzzle 0..M - 1 of this split is."""
        group = int(np.searchsorted(self.group_offsets, puzzle, side="right")) - 1
        return Augmentation(
            self.tasks[group], int(self._dihedrals[puzzle]), tuple(self._colours[puzzle].tolist())
        )

    def names(self) -> list[str]:
        """The names of all puzzles [M], as :attr:`Augmentation.name`."""
        digits = (self._colours + np.uint8(ord("0"))).tobytes().decode("ascii")
        names = [
            f"{self.tasks[group]}{SEPARATOR}t{which}{SEPARATOR}{digits[start : start + COLOURS]}"
            for group, which, start in zip(
                np.repeat(np.arange(len(self.tasks)), np.diff(self.group_offsets)).tolist(),
                self._dihedrals.tolist(),
                range(0, len(digits), COLOURS),
                strict=True,
            )
        ]
        for task, first in zip(self.tasks, self.group_offsets[:-1].tolist(), strict=True):
            names[first] = task
        return names


def make_examples(
    train: Sequence[Task],
    test: Sequence[Task],
    *,
    augmentations: int,
    seed: int,
    side: int = SIDE,
    sources: Mapping[str, str] | None = None,
) -> tuple[ArcExamples, ArcExamples]:
    """The training and the test split, as the authors divide ARC.

    Training: every pair of the tasks ``train``, and the demonstrations of the tasks ``test``. Test:
    the test pairs of ``test``, in all versions, with the puzzle ids of the versions of that task in
    training. Row 0 of the puzzle table is blank. Training pairs stand anywhere on the frame (input
    and output at the same place, uniformly drawn), but for one pair of each puzzle, drawn too; that
    one and all test pairs stand in the corner.

    :param augmentations: versions per task besides itself, see :func:`draw_versions`.
    :param side: of the frame, L = side x side; smaller than 30 for tasks that are small.
    :raises ConfigurationError: two tasks of one name, a grid that the frame cannot hold, nothing to
        test, a test task without demonstrations or tests.
    """
    tasks = [*train, *test]
    require(bool(test), "no test tasks: expected at least one; name a source of test tasks")
    for task in test:
        require(
            bool(task.train and task.test),
            f"test task {task.name!r}: expected demonstrations and test pairs; leave it out",
        )
    require(augmentations >= 0, f"augmentations={augmentations}: expected 0 or more")
    require(1 <= side <= SIDE, f"side={side}: expected 1..{SIDE}")
    seen: set[str] = set()
    for task in tasks:
        require(
            task.name not in seen,
            f"task {task.name!r} is there twice: expected each name once; leave out one of its "
            "sources",
        )
        seen.add(task.name)
        require(
            task.side <= side,
            f"task {task.name!r} has a grid of side {task.side}: expected at most {side}; raise "
            "side or leave it out",
        )
    versions = draw_versions(tasks, augmentations, seed)
    puzzle_ids = np.arange(1, len(versions.dihedrals) + 1, dtype=np.int32)
    header = Header(
        vocabulary=VOCABULARY,
        grid=(side, side),
        num_puzzle_ids=len(puzzle_ids) + 1,
        seed=seed,
        augmentations=augmentations,
        sources=dict(sources or {}),
    )

    def split(
        chosen: Sequence[Task], pairs: Sequence[Sequence[Pair]], first: int, translate: bool
    ) -> ArcExamples:
        base, part = Base.of(pairs), slice(versions.offsets[first], None)
        arrays = {
            "cells": base.cells,
            "shapes": base.shapes,
            "pair_offsets": base.offsets,
            "group_offsets": versions.offsets[first:] - versions.offsets[first],
            "puzzle_ids": puzzle_ids[part],
            "dihedrals": versions.dihedrals[part],
            "colours": versions.colours[part],
        }
        return ArcExamples(
            header, {"tasks": [task.name for task in chosen], "translate": translate}, arrays
        )

    return (
        split(
            tasks,
            [*(task.pairs for task in train), *(task.train for task in test)],
            0,
            translate=True,
        ),
        split(test, [task.test for task in test], len(train), translate=False),
    )


def held_out(training: ArcExamples, tasks: Sequence[Task]) -> ArcExamples:
    """The test pairs of tasks whose demonstrations are in the split ``training``, each as it is, in
    the corner, with the puzzle id that its task itself has there.

    :raises ConfigurationError: a task that is not in ``training``.
    """
    groups = {name: group for group, name in enumerate(training.tasks)}
    for task in tasks:
        require(
            task.name in groups,
            f"task {task.name!r}: expected its demonstrations among the training tasks; add them",
        )
    base, count = Base.of([task.test for task in tasks]), len(tasks)
    firsts = training.group_offsets[[groups[task.name] for task in tasks]]
    arrays = {
        "cells": base.cells,
        "shapes": base.shapes,
        "pair_offsets": base.offsets,
        "group_offsets": np.arange(count + 1),
        "puzzle_ids": training.puzzle_ids[firsts],
        "dihedrals": np.zeros(count, np.uint8),
        "colours": np.tile(np.arange(COLOURS, dtype=np.uint8), (count, 1)),
    }
    names = [task.name for task in tasks]
    return ArcExamples(training.header, {"tasks": names, "translate": False}, arrays)
