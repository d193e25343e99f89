"""pass@k from the table of votes alone."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assets.evaluation.votes import pass_rows, vote_table
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
