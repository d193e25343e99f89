"""Sudoku examples by index, and their check."""

import numpy as np
import pytest

from trm_model.errors import ConfigurationError
from trm_model.puzzles import sudoku
from trm_model.puzzles.sudoku.checks import check_examples
from trm_model.puzzles.sudoku.examples import SudokuExamples
from trm_model.puzzles.sudoku.tokens import SHAPES


def source(n: int, copies: int = 5, seed: int = 1) -> tuple[sudoku.Generated, SudokuExamples]:
    made = sudoku.generate(20, SHAPES[n], seed=3, extra_clues=(0, 2))
    return made, SudokuExamples(
        made.puzzles, made.answers, SHAPES[n], copies, seed, {"puzzles": "abc"}
    )


@pytest.mark.parametrize("n", [4, 6, 9])
def test_rows_are_each_puzzle_followed_by_versions_of_its_class(n: int) -> None:
    made, examples = source(n)
    assert examples.header.vocabulary == SHAPES[n].vocabulary
    assert examples.header.length == n * n
    assert examples.example_offsets.tolist() == list(range(121))
    assert examples.group_offsets.tolist() == list(range(0, 121, 6))
    assert not examples.puzzle_ids.any()
    assert len(examples.puzzle_ids) == 120
    inputs, labels = examples.rows(np.arange(120))
    assert (inputs[::6] == sudoku.to_tokens(made.puzzles)).all()
    assert (labels[::6] == sudoku.to_tokens(made.answers)).all()
    forms = sudoku.canonical(sudoku.from_tokens(inputs), sudoku.from_tokens(labels), SHAPES[n])
    assert (forms == np.repeat(made.forms, 6, axis=0)).all()
    assert len(np.unique(inputs, axis=0)) > 100


@pytest.mark.parametrize("n", [4, 9])
def test_a_row_depends_on_seed_puzzle_and_version_alone(n: int) -> None:
    made, examples = source(n)
    inputs, labels = examples.rows(np.arange(120))
    order = np.array([119, 0, 7, 7, 64, 3])
    for got, all_rows in zip(examples.rows(order), (inputs, labels), strict=True):
        assert (got == all_rows[order]).all()
    more = SudokuExamples(made.puzzles[:4], made.answers[:4], SHAPES[n], 9, 1)
    assert (more.rows(np.arange(10, 16))[0] == inputs[6:12]).all()
    _, other = source(n, seed=2)
    assert (other.rows(np.arange(1, 6))[0] != inputs[1:6]).any()
    assert [part.shape for part in examples.rows(np.arange(0))] == [(0, n * n)] * 2
    for index in (-1, 120):
        with pytest.raises(IndexError, match=r"expected 0\.\.119"):
            examples.rows(np.array([index]))


def test_a_plan_makes_the_same_rows() -> None:
    _, examples = source(6)
    again = SudokuExamples.from_plan(examples.header, *examples.plan())
    assert again.header == examples.header
    for mine, theirs in zip(again.rows(np.arange(120)), examples.rows(np.arange(120)), strict=True):
        assert (mine == theirs).all()


def test_answers_that_do_not_fit_are_refused() -> None:
    made, _ = source(4)
    with pytest.raises(ConfigurationError, match="expected uint8 \\[G, 16\\] both"):
        SudokuExamples(made.puzzles, made.answers[1:], SHAPES[4], 1, 0)
    answers = made.answers.copy()
    answers[2, 3] = 0
    with pytest.raises(ConfigurationError, match="answer 2"):
        SudokuExamples(made.puzzles, answers, SHAPES[4], 1, 0)
    with pytest.raises(ConfigurationError, match="copies=-1"):
        SudokuExamples(made.puzzles, made.answers, SHAPES[4], -1, 0)


@pytest.mark.parametrize("n", [4, 6, 9])
def test_the_check_finds_what_the_plain_checks_find(n: int) -> None:
    _, examples = source(n)
    inputs, labels = examples.rows(np.arange(120))
    assert all(good.all() for good in check_examples(inputs, labels, SHAPES[n]))
    generator = np.random.Generator(np.random.Philox(n))
    for values in (
        inputs,
        labels,
    ):
        # Any token, pad and the first past the vocabulary included, in one or two cells of half the
        # examples.
        for row in range(0, 120, 2):
            values[row, generator.integers(0, n * n, generator.integers(1, 3))] = (
                generator.integers(0, n + 3)
            )
    labels[3, 5] += 64
    spoilt = np.arange(120) % 4 == 1
    labels[spoilt, 0], labels[spoilt, 1] = (
        labels[spoilt, 1].copy(),
        labels[spoilt, 0].copy(),
    )  # Rows stay right; columns do not.
    solved, kept = check_examples(inputs, labels, SHAPES[n])
    grids = [row.reshape(n, n) for row in labels]
    expected = [
        all(
            sorted(unit.ravel().tolist()) == list(range(2, n + 2))
            for unit in (
                *grid,
                *grid.T,
                *(
                    grid[r : r + SHAPES[n].box_rows, c : c + SHAPES[n].box_columns]
                    for r in range(0, n, SHAPES[n].box_rows)
                    for c in range(0, n, SHAPES[n].box_columns)
                ),
            )
        )
        for grid in grids
    ]
    assert solved.tolist() == expected
    assert kept.tolist() == [
        bool(((i == sudoku.BLANK) | (i == v)).all()) for i, v in zip(inputs, labels, strict=True)
    ]
    assert 0 < solved.sum() < 120
    assert 0 < kept.sum() < 120
