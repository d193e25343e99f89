"""Stored examples and computed ones are gone through in the same way."""

from pathlib import Path

import numpy as np
import pytest

from storage.examples import Bytes2d, write_examples, write_plan
from trm_model.puzzles import sudoku
from trm_model.puzzles.plans import map_examples, plan_of
from trm_model.puzzles.sudoku.examples import SudokuExamples

MADE = sudoku.generate(5, sudoku.SHAPES[4], seed=1)
EXAMPLES = SudokuExamples(MADE.puzzles, MADE.answers, sudoku.SHAPES[4], 3, 0)


@pytest.mark.parametrize("computed", [False, True])
def test_all_examples_are_handed_over_once(computed: bool, tmp_path: Path) -> None:
    path = tmp_path / "train.zarr"
    if computed:
        write_plan(path, EXAMPLES, plan_of(EXAMPLES))
    else:
        write_examples(path, EXAMPLES, workers=1)

    def work(start: int, inputs: Bytes2d, labels: Bytes2d) -> tuple[int, Bytes2d, Bytes2d]:
        return start, inputs, labels

    parts = sorted(map_examples(path, work, block=7), key=lambda part: part[0])
    total = int(EXAMPLES.example_offsets[-1])
    assert not computed or [part[0] for part in parts] == list(range(0, total, 7))
    found = [np.concatenate(cells) for cells in zip(*(part[1:] for part in parts), strict=True)]
    for cells, expected in zip(found, EXAMPLES.rows(np.arange(total)), strict=True):
        assert np.array_equal(cells, expected)
