"""The order of candidates with equal votes and equal halting logits: who came first."""

import numpy as np
import pytest

from tests.trm_model.puzzles.test_arc import SIDE, naive_tokens, random_task
from trm_model.puzzles.arc import votes as voting

TASK = random_task("task", 0, tests=1)


@pytest.mark.parametrize("block", [1, 2, 1 << 14])
@pytest.mark.parametrize("order", [(4, 1, 3, 2, 5), (5, 4, 3, 2, 1), (2, 5, 1, 4, 3)])
def test_equal_candidates_stand_in_the_order_of_their_arrival(
    monkeypatch: pytest.MonkeyPatch, block: int, order: tuple[int, ...]
) -> None:
    monkeypatch.setattr(voting, "BLOCK", block)
    colours = (*order, *reversed(order))
    question = naive_tokens(TASK.test[0].input)
    answers = [naive_tokens(np.full((2, 2), colour, np.uint8)) for colour in colours]
    votes = voting.vote(
        ["task"] * len(colours),
        np.array([question] * len(colours), np.uint8).reshape(-1, SIDE * SIDE),
        np.array(answers, np.uint8).reshape(-1, SIDE * SIDE),
        np.zeros(len(colours), np.float32),
        [TASK],
    )
    assert [int(vote.grid[0, 0]) for vote in votes] == list(order)
    assert [vote.rank for vote in votes] == [1, 2, 3, 4, 5]
    assert {(vote.votes, vote.mean_halt) for vote in votes} == {(2, 0.5)}
