"""Which versions of each ARC task there are, drawn by compiled loops."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trm_model.compiled import numba
from trm_model.puzzles.arc.augmentation import walk
from trm_model.puzzles.arc.tasks import Pair, Task
from trm_model.puzzles.arc.tokens import COLOURS
from trm_model.puzzles.splitmix import STEP, mix, scale
from trm_model.puzzles.symmetry import COUNT
from trm_model.seeding import derive

TRIES = 5
"""Draws per augmentation wanted."""


@numba.njit(cache=True)
def _image_sums(cells, cell_offsets, shapes, first, last, sums):
    """``sums[which, pair, colour]``: sum over the cells of that colour in the pair's image of a
    random weight of their place, and ``sums[which, pair, 10]``: a random number for the image's
    shape. The hash of a recoloured image is linear in them."""
    sums[:] = 0
    for pair in range(first, last):
        for part in range(2):
            grid = cells[cell_offsets[2 * pair + part] : cell_offsets[2 * pair + part + 1]]
            height, width = shapes[pair, 2 * part], shapes[pair, 2 * part + 1]
            for which in range(COUNT):
                rows, columns, start, down, right = walk(which, height, width)
                of_pair = sums[which, pair - first]
                of_pair[COLOURS] += mix(
                    np.uint64(1 << 20) + np.uint64((part * 32 + rows) * 32 + columns)
                )
                for row in range(rows):
                    for column in range(columns):
                        colour = grid[start + row * down + column * right]
                        of_pair[colour] += mix(
                            STEP * np.uint64(1 + (part * 32 + row) * 32 + column)
                        )


@numba.njit(cache=True)
def _draw_versions(
    cells, cell_offsets, shapes, pair_offsets, seeds, copies, tries, dihedrals, colours, counts
):
    """For each task the identity and up to ``copies`` versions with other pairs, from ``tries``
    draws of (symmetry, colours)."""
    weights = np.empty(COLOURS, np.uint64)
    for colour in range(COLOURS):
        weights[colour] = mix(STEP * np.uint64(1 << 30) + np.uint64(colour)) | np.uint64(1)
    slots = 1
    while slots < 4 * (copies + 1):
        slots *= 2
    made = 0
    for task in range(len(seeds)):
        pairs = pair_offsets[task + 1] - pair_offsets[task]
        sums = np.empty((COUNT, pairs, COLOURS + 1), np.uint64)
        _image_sums(cells, cell_offsets, shapes, pair_offsets[task], pair_offsets[task + 1], sums)
        seen = np.zeros(slots, np.uint64)
        state = seeds[task]
        count = trial = 0
        while count <= copies and trial <= tries:
            new = colours[made + count]
            for colour in range(COLOURS):
                new[colour] = colour
            which = 0
            if trial:
                state += STEP
                which = scale(mix(state) >> np.uint64(32), COUNT)
                for last in range(COLOURS - 1, 1, -1):
                    state += STEP
                    other = 1 + scale(mix(state) >> np.uint64(32), last)
                    new[last], new[other] = new[other], new[last]
            trial += 1
            # The hash of the image, a set of pairs: a sum over them.
            value = np.uint64(0)
            for pair in range(pairs):
                of_pair = sums[which, pair, COLOURS]
                for colour in range(COLOURS):
                    of_pair += weights[new[colour]] * sums[which, pair, colour]
                value += mix(of_pair)
            value |= np.uint64(1)  # 0 marks an empty slot
            slot = np.int64(value >> np.uint64(1)) & (slots - 1)
            while seen[slot] != 0 and seen[slot] != value:
                slot = (slot + 1) & (slots - 1)
            if seen[slot] == 0:
                seen[slot] = value
                dihedrals[made + count] = which
                count += 1
        counts[task] = count
        made += count
    return made


@dataclass(frozen=True, slots=True)
class Base:
    """Grids of many pairs in flat arrays: ``cells`` uint8 [C], all grids one after the other, input
    and output of each pair in turn; ``shapes`` uint8 [P, 4], rows and columns of input and output;
    ``offsets`` int64 [G + 1]: pairs of each task."""

    cells: npt.NDArray[np.uint8]
    shapes: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]

    @staticmethod
    def of(tasks: Iterable[Sequence[Pair]]) -> "Base":
        """The pairs of each task."""
        groups = [tuple(pairs) for pairs in tasks]
        pairs = [pair for group in groups for pair in group]
        cells = [np.zeros(0, np.uint8), *(grid.reshape(-1) for pair in pairs for grid in pair)]
        shapes = np.array(
            [(*pair.input.shape, *pair.output.shape) for pair in pairs], np.uint8
        ).reshape(-1, 4)
        return Base(np.concatenate(cells), shapes, offsets_of([len(group) for group in groups]))

    @property
    def cell_offsets(self) -> npt.NDArray[np.int64]:
        """[2 P + 1]: where each grid starts in ``cells``."""
        sizes = self.shapes.astype(np.int64).reshape(-1, 2).prod(axis=1)
        return offsets_of(sizes)


def offsets_of(sizes: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Where parts of these sizes start and end, [n + 1]."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.asarray(sizes, np.int64))])


class Versions(NamedTuple):
    """Versions of tasks, one after the other: ``dihedrals`` uint8 [M], ``colours`` uint8 [M, 10],
    ``offsets`` int64 [G + 1] of tasks.

    The first version of each task is the task itself."""

    dihedrals: npt.NDArray[np.uint8]
    colours: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]


def draw_versions(tasks: Sequence[Task], augmentations: int, seed: int) -> Versions:
    """For each task itself and up to ``augmentations`` versions of it: random symmetry, random
    colours (black stays).

    As the authors do, versions whose pairs are those of an earlier one (as a set) are drawn again,
    at most 5 x ``augmentations`` draws in all; a task of few colours has fewer versions. They are
    told apart by a 64-bit hash of all pairs, which is computed without making any grid. The
    versions of a task depend on the seed, its name and its pairs alone.
    """
    base = Base.of([task.pairs for task in tasks])
    most = len(tasks) * (augmentations + 1)
    dihedrals, colours, counts = (
        np.zeros(most, np.uint8),
        np.zeros((most, COLOURS), np.uint8),
        np.zeros(len(tasks), np.int64),
    )
    seeds = np.array([derive(seed, "arc", task.name, "versions") for task in tasks], np.uint64)
    made = _draw_versions(
        base.cells,
        base.cell_offsets,
        base.shapes.astype(np.int64),
        base.offsets,
        seeds,
        augmentations,
        TRIES * augmentations,
        dihedrals,
        colours,
        counts,
    )
    return Versions(dihedrals[:made], colours[:made], offsets_of(counts))
