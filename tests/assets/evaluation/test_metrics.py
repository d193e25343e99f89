"""Metrics and their intervals."""

import polars as pl
import pytest

from assets.evaluation.metrics import score_rows, wilson


def test_wilson_interval() -> None:
    """Newcombe 1998, Table I: 81 of 263 gives 0.2553 to 0.3662, 0 of 20 gives 0 to 0.1611."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_score_rows() -> None:
    predictions = pl.DataFrame(
        {
            "solved": [True, False],
            "cell_accuracy": [1.0, 0.5],
            "steps": [1, 3],
            "solved_after": [[False, True], [False, False]],
        }
    )
    rows = {(row.metric, row.k): row.value for row in score_rows(predictions)}
    assert rows == {
        ("exact_accuracy", None): 0.5,
        ("cell_accuracy", None): 0.75,
        ("mean_steps", None): 2.0,
        ("exact_accuracy_after_step", 1): 0.0,
        ("exact_accuracy_after_step", 2): 0.5,
    }
