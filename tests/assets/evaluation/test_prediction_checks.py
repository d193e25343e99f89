"""The checks of predictions find what they are there for."""

import numpy as np
import polars as pl
import pytest

from assets.evaluation.prediction_checks import (
    counted_right,
    evaluated,
    every_example_once,
    tokens_in_vocabulary,
)
from storage.examples import Header

HEADER = Header(vocabulary=("pad", "a", "b", "c"), grid=(1, 3), ignore_id=0)
LABELS = np.array([[1, 2, 3], [1, 0, 3], [2, 2, 2]], np.uint8)
ANSWERS = np.array([[1, 2, 3], [1, 3, 3], [2, 1, 2]], np.uint8)
"""All right; right where it counts; one cell wrong."""
DESCRIBED = pl.DataFrame(
    {
        "split": ["test"] * 3,
        "example": [0, 1, 2],
        "puzzle": ["p", "q", "r"],
        "name": ["p#0", "q#0", "r#0"],
        "difficulty": [0, 0, 0],
    }
)
PREDICTIONS = DESCRIBED.with_columns(
    solved=pl.Series([True, True, False]),
    cell_accuracy=pl.Series([1.0, 1.0, 2 / 3]),
    solved_after=pl.Series([[False, True], [True, True], [True, False]]),
    prediction=pl.Series([row.tobytes() for row in ANSWERS], dtype=pl.Binary),
)


def test_good_predictions_pass() -> None:
    assert evaluated(PREDICTIONS) == (3, 1)
    assert every_example_once(PREDICTIONS, DESCRIBED).passed
    assert tokens_in_vocabulary(PREDICTIONS, HEADER).passed
    assert counted_right(PREDICTIONS, LABELS, HEADER).passed


@pytest.mark.parametrize(
    ("rows", "figure", "count"),
    [
        (PREDICTIONS[[0, 2]], "missing", 1),
        (PREDICTIONS[[0, 1, 2, 1]], "repeated", 1),
        (PREDICTIONS.with_columns(example=pl.col("example") + 1), "of_no_example", 3),
        (PREDICTIONS.with_columns(name=pl.col("name") + "x"), "of_no_example", 3),
    ],
)
def test_rows_that_are_not_the_examples_are_found(
    rows: pl.DataFrame, figure: str, count: int
) -> None:
    outcome = every_example_once(rows, DESCRIBED)
    assert not outcome.passed
    assert outcome.figures[figure] == count


@pytest.mark.parametrize("answer", [b"\x01\x02\x04", b"\x01\x02", b"\x01\x02\x03\x01", b""])
def test_answers_that_no_model_can_give_are_found(answer: bytes) -> None:
    rows = PREDICTIONS.with_columns(
        prediction=pl.Series([ANSWERS[0].tobytes(), answer, ANSWERS[2].tobytes()], dtype=pl.Binary)
    )
    outcome = tokens_in_vocabulary(rows, HEADER)
    assert not outcome.passed
    assert outcome.figures["first_failed"] == "row 1"


@pytest.mark.parametrize(
    "wrong",
    [
        pl.Series("solved", [True, True, True]),
        pl.Series("solved", [True, False, False]),
        pl.Series("cell_accuracy", [1.0, 1.0, 1 / 3]),
        pl.Series("solved_after", [[True, False], [True, True], [True, False]]),
    ],
)
def test_wrong_counts_are_found(wrong: pl.Series) -> None:
    assert not counted_right(PREDICTIONS.with_columns(wrong), LABELS, HEADER).passed
