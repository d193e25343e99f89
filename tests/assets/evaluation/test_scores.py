"""The check of scores."""

import polars as pl

from assets.evaluation.scores import above_chance


def test_the_lower_bound_must_be_above_the_best_trivial_answer() -> None:
    for low, passed in ((0.311, True), (0.31, False), (0.2, False)):
        rows = [
            ("exact_accuracy", None, 0.0, 0.0, 0.1),
            ("cell_accuracy", None, 0.41, low, 0.43),
            ("trivial_exact_accuracy", "one digit", 0.9, 0.9, 0.9),
            ("trivial_cell_accuracy", "one digit", 0.25, 0.2, 0.3),
            ("trivial_cell_accuracy", "copy the question", 0.31, 0.3, 0.32),
        ]
        scores = pl.DataFrame(rows, ["metric", "group", "value", "low", "high"], orient="row")
        found = above_chance(scores)
        assert found.passed == passed
        assert found.figures == {
            "found": f"cell accuracy 0.4100 [{low:.4f}, 0.4300], best trivial answer "
            "'copy the question' 0.3100"
        }
