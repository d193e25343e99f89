"""Answers that need no thought."""

import numpy as np

from storage.examples import Header
from trm_model.puzzles.maze.family import Maze
from trm_model.puzzles.sequence.examples import AdditionExamples
from trm_model.puzzles.sudoku.family import Sudoku
from trm_model.puzzles.trivial import SAMPLED, training_labels, trivial_answers


def test_the_most_frequent_token_is_counted_on_the_training_labels() -> None:
    family = Sudoku(4)
    trained = np.full((3, 16), 3, np.uint8)
    trained[:2, 5] = 4
    inputs = np.full((2, 16), 1, np.uint8)
    found = trivial_answers(family, inputs, trained, ignore=0)
    assert list(found) == ["copy the question", "2 everywhere", "each cell's most frequent token"]
    copied, everywhere, by_cell = found.values()
    assert (copied == inputs).all()
    assert (everywhere == 3).all()
    assert by_cell[:, 5].tolist() == [4, 4]
    assert (np.delete(by_cell, 5, axis=1) == 3).all()


def test_cells_that_are_not_counted_have_no_part_in_it() -> None:
    trained = np.zeros((5, 4), np.uint8)
    trained[0, 0] = 2
    found = trivial_answers(Maze(2), np.ones((1, 4), np.uint8), trained, ignore=0)
    assert list(found) == ["no path", "space everywhere", "each cell's most frequent token"]
    assert found["each cell's most frequent token"][0, 0] == 2


def test_labels_are_of_puzzles_as_they_are() -> None:
    pairs = np.array([(12, 34), (1, 2)])
    labels = training_labels(AdditionExamples(pairs, 2, copies=1, seed=0))
    assert (labels == AdditionExamples(pairs, 2, copies=0, seed=0).rows(np.arange(2))[1]).all()


class Numbered:
    """Groups of one puzzle with two examples and another without, whose labels are their index."""

    header = Header(vocabulary=("pad",), grid=(1, 1))
    puzzle_ids = np.zeros(6_000, np.int32)
    group_offsets = np.arange(0, 6_001, 2)
    example_offsets = np.concatenate([[0], np.cumsum(np.tile([2, 1], 3_000))])

    def rows(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return index[:, None], index[:, None]


def test_of_many_puzzles_a_sample_that_is_spread_evenly() -> None:
    labels = training_labels(Numbered())[:, 0]
    assert len(labels) == 2 * SAMPLED
    assert (labels % 3 < 2).all()
    assert (labels[0], labels[-1]) == (0, 3 * 3_000 - 2)
    assert set(np.diff(labels[::2]).tolist()) <= {6, 9, 12}
