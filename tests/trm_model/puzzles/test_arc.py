"""ARC's tasks: names, inverses, crops and checks, each against a plain implementation from the
definition."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trm_model.puzzles import arc
from trm_model.puzzles.arc.augmentation import Augmentation
from trm_model.puzzles.arc.tasks import Pair, Task
from trm_model.seeding import numpy_generator

SIDE = 8
grids = arrays.arrays(
    np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=SIDE), elements=st.integers(0, 9)
)
augmentations = st.builds(
    lambda which, rest: Augmentation("task", which, (0, *rest)),
    st.integers(0, 7),
    st.permutations(range(1, 10)),
)


def naive_tokens(grid: arc.Grid, top: int = 0, left: int = 0, side: int = SIDE) -> np.ndarray:
    """A grid on its frame, one cell after the other."""
    frame = np.zeros((side + 1, side + 1), np.uint8)
    rows, columns = grid.shape
    for row in range(rows):
        frame[top + row, left + columns] = 1
        for column in range(columns):
            frame[top + row, left + column] = grid[row, column] + 2
            frame[top + rows, left + column] = 1
    return frame[:side, :side].reshape(-1)


def random_task(
    name: str, seed: int, pairs: int = 3, tests: int = 1, side: int = 5, colours: int = 10
) -> Task:
    generator = numpy_generator(seed, name)

    def grid() -> arc.Grid:
        return generator.integers(0, colours, generator.integers(1, side + 1, 2)).astype(np.uint8)

    made = [Pair(grid(), grid()) for _ in range(pairs + tests)]
    return Task(name, tuple(made[:pairs]), tuple(made[pairs:]))


def constant(name: str, *colours: int) -> Task:
    """A task of 1 x 1 grids, which no symmetry of the square changes."""
    made = tuple(
        Pair(np.full((1, 1), colour, np.uint8), np.zeros((1, 1), np.uint8)) for colour in colours
    )
    return Task(name, made, made[:1])


# Names and inverses


@settings(deadline=None)  # compiles
@given(grids, augmentations)
def test_undo_is_the_inverse(grid: arc.Grid, augmentation: Augmentation) -> None:
    image = augmentation.apply(grid)
    assert image.dtype == np.uint8
    assert arc.parse_name(augmentation.name) == augmentation
    np.testing.assert_array_equal(arc.parse_name(augmentation.name).undo(image), grid)
    np.testing.assert_array_equal(
        image == 0, Augmentation("", augmentation.dihedral).apply(grid) == 0
    )


@settings(deadline=None)  # compiles
@given(grids, augmentations)
def test_tokens_restore_to_the_grid(grid: arc.Grid, augmentation: Augmentation) -> None:
    cells, shapes = arc.restore(naive_tokens(augmentation.apply(grid))[None], [augmentation])
    assert shapes.tolist() == [list(grid.shape)]
    np.testing.assert_array_equal(cells[0, : grid.size].reshape(grid.shape), grid)


def test_names_as_the_authors() -> None:
    assert Augmentation("03560426").name == "03560426"
    assert arc.parse_name("03560426|||t2|||0738561429") == Augmentation(
        "03560426", 2, (0, 7, 3, 8, 5, 6, 1, 4, 2, 9)
    )


@pytest.mark.parametrize(
    "name",
    [
        "a|||t8|||0123456789",
        "a|||t1|||0123456788",
        "a|||t1",
        "a|||1|||0123456789",
        "a|||t1|||0123456789|||",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected TASK"):
        arc.parse_name(name)


@settings(deadline=None)
@given(arrays.arrays(np.uint8, (4, 4), elements=st.integers(0, 13)))
def test_crop_is_the_largest_rectangle(tokens: np.ndarray) -> None:
    best = (0, 0)
    for rows, columns in itertools.product(range(1, 5), range(4, 0, -1)):
        part = tokens[:rows, :columns]
        if ((part >= 2) & (part <= 11)).all() and rows * columns > best[0] * best[1]:
            best = rows, columns
    np.testing.assert_array_equal(arc.crop(tokens.reshape(-1)), tokens[: best[0], : best[1]] - 2)


# Checks


def naive_check(tokens: np.ndarray) -> tuple[int, int] | None:
    frame = tokens.reshape(SIDE, SIDE)
    if tokens.max() > 11 or tokens.max() < 2:
        return None
    rows, columns = np.nonzero(frame >= 2)
    part = frame[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    place = int(rows.min()), int(columns.min())
    return place if (part >= 2).all() and (naive_tokens(part - 2, *place) == tokens).all() else None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_check_agrees_with_the_definition(data: st.DataObject) -> None:
    examples: list[np.ndarray] = []
    for _ in range(2):
        grid = data.draw(grids)
        top, left = (data.draw(st.integers(0, SIDE - side)) for side in grid.shape)
        tokens = naive_tokens(grid, top, left)
        for place, token in data.draw(
            st.lists(st.tuples(st.integers(0, SIDE * SIDE - 1), st.integers(0, 13)), max_size=2)
        ):
            tokens[place] = token
        examples.append(tokens)
    first, second = (naive_check(tokens) for tokens in examples)
    assert arc.check_examples(examples[0][None], examples[1][None]).tolist() == [
        first is not None and first == second
    ]
    assert arc.check_examples(examples[0][None], examples[0][None]).tolist() == [first is not None]


# Drawing


def test_preview_draws_pairs_side_by_side() -> None:
    pair = Pair(np.array([[1, 0]], np.uint8), np.array([[2], [0]], np.uint8))
    assert (
        arc.preview(Task("x", (pair,), (pair,)))
        == "x train 1\n1. -> 2\n      .\n\nx test 1\n1. -> 2\n      ."
    )
