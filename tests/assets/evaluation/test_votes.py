"""pass@k from the table of votes alone."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assets.evaluation.metrics import Metric, wilson
from assets.evaluation.votes import (
    by_votes,
    pass_rows,
    task_rows,
    vote_rows,
    vote_table,
    votes_cast,
)
from trm_model.puzzles.arc.augmentation import Augmentation
from trm_model.puzzles.arc.tasks import Pair, Task
from trm_model.puzzles.arc.tokens import to_tokens
from trm_model.puzzles.arc.votes import PASS_KS, pass_at_k, recorded_tasks, vote

REFERENCE = Path(__file__).resolve().parents[2] / "reference" / "arc_vote"


def test_pass_at_k_is_that_of_the_votes() -> None:
    """The table says how many test inputs a task has: the data are not needed any more."""
    tasks = recorded_tasks(REFERENCE)
    identifiers = json.loads((REFERENCE / "identifiers.json").read_text("utf-8"))
    with np.load(REFERENCE / "predictions.npz", allow_pickle=False) as given:
        scored = given["puzzle_identifiers"] != 0
        votes = vote(
            [identifiers[puzzle] for puzzle in given["puzzle_identifiers"][scored]],
            given["inputs"][scored],
            given["preds"][scored],
            given["q_halt_logits"][scored],
            tasks,
        )
    table = vote_table(votes, tasks)
    expected = pass_at_k(votes, tasks)
    for rows in (table, table.sample(fraction=1.0, shuffle=True, seed=0)):
        found = {row.k: row.value for row in pass_rows(rows)}
        assert found == pytest.approx(expected)
    assert len(set(expected.values())) > 1
    assert {row.n for row in pass_rows(table)} == {len(tasks)}


def test_a_test_input_counts_once_and_only_by_its_first_candidates() -> None:
    """Of two test inputs one is answered by the second candidate, and by a third one too."""
    table = pl.DataFrame(
        {
            "task": ["a"] * 4,
            "test_inputs": [2] * 4,
            "test_input": [0, 0, 0, 1],
            "rank": [1, 2, 3, 1],
            "correct": [False, True, True, False],
        }
    )
    found = {row.k: row.value for row in pass_rows(table)}
    assert found == {k: 0.0 if k == 1 else 0.5 for k in PASS_KS}


def test_tasks_have_rows_of_their_own() -> None:
    table = pl.DataFrame(
        {
            "task": ["a", "a", "a", "b"],
            "test_inputs": [3, 3, 3, 1],
            "test_input": [0, 1, 2, 0],
            "rank": [1, 2, 3, 1],
            "correct": [True, True, True, False],
        }
    )
    first, second = task_rows(table)
    assert first == ("pass_at_k_of_group", 2, 2 / 3, *wilson(2, 3), 3, "task=a")
    assert second == ("pass_at_k_of_group", 2, 0.0, *wilson(0, 1), 1, "task=b")


def test_numbers_of_votes_are_round() -> None:
    assert votes_cast(1) == []
    assert votes_cast(2) == [1]
    assert votes_cast(101) == [1, 2, 5, 10, 20, 50, 100]


def test_fewer_votes_are_those_of_the_first_versions() -> None:
    """A task with six versions: the second, the fifth and the sixth are right. Of five the right
    and another answer have two votes each, and the right one is surer."""
    right, wrong, other = (np.array([[colour]], np.uint8) for colour in (3, 5, 7))
    question = np.array([[1]], np.uint8)
    task = Task("t", (), (Pair(question, right),))
    names = ["t", *(Augmentation("t", turn, tuple(range(10))).name for turn in range(1, 6))]
    answers = [wrong, right, other, other, right, right]
    inputs = np.stack([to_tokens(question, 4)] * 6)
    cells = np.stack([to_tokens(answer, 4) for answer in answers])
    predictions = pl.DataFrame(
        {
            "example": range(6),
            "puzzle": ["t"] * 6,
            "name": names,
            "halt_logit": [1.0, 1.0, 0.0, 0.0, 0.0, 0.0],
            "prediction": [answer.tobytes() for answer in cells],
        }
    )
    whole = vote_table(vote(names, inputs, cells, np.eye(6)[1], [task]), [task])
    found = vote_rows(predictions, inputs, [task], whole)
    assert [(row.group, row.k, row.value) for row in found] == [
        ("votes=1", 1, 0.0), ("votes=1", 2, 0.0), ("votes=2", 1, 0.0), ("votes=2", 2, 1.0),
        ("votes=5", 1, 1.0), ("votes=5", 2, 1.0), ("votes=6", 1, 1.0), ("votes=6", 2, 1.0),
    ]  # fmt: skip
    order = np.random.default_rng(0).permutation(6)
    assert vote_rows(predictions[order], inputs[order], [task], whole) == found
    curve = by_votes(pl.DataFrame(found, schema=Metric._fields, orient="row"))
    assert curve.select("votes", "value").rows() == [(1, 0.0), (2, 1.0), (5, 1.0), (6, 1.0)]
