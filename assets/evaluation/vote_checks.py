"""What votes must satisfy. Each check is a plain function of what is stored; assets/checks.py
declares it."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from assets.families.arc import to_text
from assets.outcomes import CheckOutcome, all_pass
from trm_model.puzzles.arc.tasks import Task

OF_INPUT = ("task", "test_input")
"""Columns of :class:`assets.tables.Votes` that say which test input a row is."""


def every_prediction_votes(
    votes: pl.DataFrame, predictions: pl.DataFrame, tasks: Sequence[Task]
) -> CheckOutcome:
    """Whether each test input has as many votes as versions of its task were answered; of test
    inputs that are equal each has the votes of all of them."""
    versions = dict(predictions.group_by("puzzle").agg(pl.col("name").n_unique()).iter_rows())
    counted = {
        (task, test_input): count
        for task, test_input, count in votes.group_by(OF_INPUT).agg(pl.col("votes").sum()).rows()
    }
    wrong: list[str] = []
    inputs = 0
    for task in tasks:
        grids = [pair.input.tobytes() + bytes(pair.input.shape) for pair in task.test]
        inputs += len(grids)
        for number, grid in enumerate(grids):
            expected = versions[task.name] * grids.count(grid)
            if counted.pop((task.name, number), 0) != expected:
                wrong.append(f"{task.name}, test input {number}: expected {expected} votes")
    wrong += [f"{task}, test input {number}: not evaluated" for task, number in counted]
    figures: dict[str, int | float | str] = {"test_inputs": inputs, "failed": len(wrong)}
    return CheckOutcome(not wrong, figures | ({"first_failed": wrong[0]} if wrong else {}))


def ranked(votes: pl.DataFrame) -> CheckOutcome:
    """Whether the candidates of each test input have ranks from 1, most votes first, then the
    surest, and are different grids."""
    in_order = votes.sort(*OF_INPUT, "rank")
    before = in_order.select(pl.col("votes", "mean_halt").shift(1).over(OF_INPUT))
    good = in_order.select(
        rank=pl.col("rank") == pl.int_range(1, pl.len() + 1).over(OF_INPUT),
        grid=pl.col("grid").is_first_distinct().over(OF_INPUT),
        votes=before["votes"].fill_null(2**62) >= pl.col("votes"),
        sure=(before["votes"] != pl.col("votes")).fill_null(True)
        | (before["mean_halt"] >= pl.col("mean_halt")),
    )
    return all_pass(good.select(pl.all_horizontal(pl.all())).to_series().to_numpy(), "candidate")


def judged_right(votes: pl.DataFrame, tasks: Sequence[Task]) -> CheckOutcome:
    """Whether ``correct`` says which candidates are their task's answer."""
    answers = {
        (task.name, number): to_text(pair.output)
        for task in tasks
        for number, pair in enumerate(task.test)
    }
    good = [
        correct == (answers.get((task, number)) == grid)
        for task, number, grid, correct in votes.select(*OF_INPUT, "grid", "correct").iter_rows()
    ]
    return all_pass(np.array(good, np.bool_), "candidate")
