"""What the halting head judges: an example, or each of its cells."""

import torch
from torch.nn import functional as F

from trm_model.model.generations.autoregressive import Autoregressive
from trm_model.model.generations.parallel import Parallel

LABELLED = torch.tensor([[True, False, True], [False, True, True], [False, False, True]])
LOGITS = torch.tensor([[2.0, -9.0, 1.0], [-9.0, -1.0, 3.0], [-9.0, -9.0, 0.5]])
RIGHT = torch.tensor([[True, False, False], [False, True, True], [False, False, True]])
SOLVED = torch.tensor([False, True, True])


def test_parallel_answers_are_judged_at_the_first_position() -> None:
    rule, answer = Parallel(), torch.arange(24.0).view(2, 4, 3)
    assert torch.equal(rule.judged(answer, 2), answer[:, 0])
    assert torch.equal(rule.judged_right(RIGHT, SOLVED), SOLVED)
    logits = torch.tensor([1.0, -2.0, 0.0])
    assert torch.equal(rule.halting_loss(logits, LABELLED), logits)
    assert torch.equal(rule.example_logits(logits, LABELLED), logits)
    assert rule.teacher(torch.zeros(2, 3)) is None
    assert (rule.causal, rule.reads_answers) == (False, False)


def test_cells_are_judged_one_by_one_where_they_are_answered_so() -> None:
    """Every cell, and none of the leading positions."""
    rule, answer = Autoregressive(), torch.arange(24.0).view(2, 4, 3)
    assert torch.equal(rule.judged(answer, 1), answer[:, 1:])
    assert torch.equal(rule.judged(answer, 0), answer)
    assert torch.equal(rule.judged_right(RIGHT, SOLVED), RIGHT)
    target = torch.zeros(2, 3, dtype=torch.int64)
    assert rule.teacher(target) is target
    assert (rule.causal, rule.reads_answers) == (True, True)


def test_an_example_halts_with_the_last_of_its_labelled_cells() -> None:
    """Cells that are not counted have no say, however sure or unsure."""
    least = Autoregressive().example_logits(LOGITS, LABELLED)
    assert least.tolist() == [1.0, -1.0, 0.5]
    surer = LOGITS.where(LABELLED, torch.tensor(50.0))
    assert torch.equal(Autoregressive().example_logits(surer, LABELLED), least)


def test_the_halting_loss_of_an_example_is_the_mean_of_its_labelled_cells() -> None:
    each = F.binary_cross_entropy_with_logits(LOGITS, RIGHT.float(), reduction="none")
    found = Autoregressive().halting_loss(each, LABELLED)
    expected = torch.stack(
        [(each[0, 0] + each[0, 2]) / 2, (each[1, 1] + each[1, 2]) / 2, each[2, 2]]
    )
    torch.testing.assert_close(found, expected)
    nothing = torch.zeros(3, 3, dtype=torch.bool)
    assert Autoregressive().halting_loss(each, nothing).tolist() == [0.0, 0.0, 0.0]
