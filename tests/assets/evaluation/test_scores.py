"""The check of scores."""

import polars as pl

from assets.evaluation.scores import above_chance


def test_the_lower_bound_must_be_above_chance() -> None:
    for low, passed in ((0.3, True), (0.2, False)):
        assert (
            above_chance(pl.DataFrame({"metric": ["cell_accuracy"], "low": [low]}), 0.25).passed
            == passed
        )
