"""The checks of votes find what they are there for."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from assets.evaluation.vote_checks import every_prediction_votes, judged_right, ranked
from assets.outcomes import CheckOutcome
from trm_model.puzzles.arc.tasks import Pair, Task


def pair(given: int, asked: int) -> Pair:
    return Pair(np.full((1, 2), given, np.uint8), np.full((2, 1), asked, np.uint8))


TASKS = [
    Task("one", (pair(0, 0),), (pair(1, 2),)),
    # Two of three test inputs are equal: the predictions for one count for the other as well.
    Task("three", (pair(0, 0),), (pair(1, 2), pair(1, 3), pair(4, 5))),
]
PREDICTIONS = pl.DataFrame(
    {
        "puzzle": ["one"] * 2 + ["three"] * 6,
        "name": ["one#0", "one#1"] + ["three#0"] * 3 + ["three#1"] * 3,
    }
)
VOTES = pl.DataFrame(
    [
        ("one", 0, 1, 1, 0.9, True, "2/2"),
        ("one", 0, 2, 1, 0.4, False, "22"),
        ("three", 0, 1, 3, 0.1, True, "2/2"),
        ("three", 0, 2, 1, 0.9, False, "3/3"),
        ("three", 1, 1, 3, 0.1, False, "2/2"),
        ("three", 1, 2, 1, 0.9, True, "3/3"),
        ("three", 2, 1, 2, 0.5, True, "5/5"),
    ],
    schema=["task", "test_input", "rank", "votes", "mean_halt", "correct", "grid"],
    orient="row",
)
Check = Callable[[pl.DataFrame], CheckOutcome]
CHECKS: dict[str, Check] = {
    "votes": lambda votes: every_prediction_votes(votes, PREDICTIONS, TASKS),
    "ranked": ranked,
    "judged": lambda votes: judged_right(votes, TASKS),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_good_votes_pass(check: Check) -> None:
    assert check(VOTES).passed
    assert check(VOTES.sample(fraction=1.0, shuffle=True, seed=1)).passed


def cell(row: int, column: str, value: object) -> pl.DataFrame:
    values = VOTES[column].to_list()
    values[row] = value
    return VOTES.with_columns(pl.Series(column, values))


@pytest.mark.parametrize(
    ("check", "votes"),
    [
        ("votes", cell(0, "votes", 2)),
        ("votes", VOTES[1:]),
        ("votes", VOTES[:-1]),
        ("votes", cell(6, "test_input", 3)),
        ("votes", cell(6, "task", "another")),
        ("ranked", cell(0, "rank", 2)),
        ("ranked", cell(1, "rank", 3)),
        ("ranked", cell(3, "votes", 4)),
        ("ranked", cell(1, "mean_halt", 0.95)),
        ("ranked", cell(1, "grid", "2/2")),
        ("judged", cell(0, "correct", False)),
        ("judged", cell(1, "correct", True)),
        ("judged", cell(4, "correct", True)),
    ],
)
def test_planted_faults_are_found(check: str, votes: pl.DataFrame) -> None:
    assert [name for name, made in CHECKS.items() if not made(votes).passed] >= [check]
    assert not CHECKS[check](votes).passed
