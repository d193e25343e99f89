"""Halting where the head judges cells: what an example's logit and loss are."""

import torch

from trm_model.model.generations.autoregressive import Autoregressive
from trm_model.model.generations.parallel import Parallel

LABELLED = torch.tensor([[False, True, True], [True, True, False], [False, False, False]])
LOGITS = torch.tensor([[-9.0, 2.0, 1.0], [3.0, -1.0, -7.0], [5.0, 5.0, 5.0]])


def test_the_least_of_the_labelled_cells_decides() -> None:
    found = Autoregressive().example_logits(LOGITS, LABELLED)
    assert found.tolist() == [1.0, -1.0, torch.inf]


def test_an_examples_loss_is_the_mean_over_its_labelled_cells() -> None:
    losses = torch.tensor([[100.0, 2.0, 4.0], [1.0, 2.0, 100.0], [100.0, 100.0, 100.0]])
    assert Autoregressive().halting_loss(losses, LABELLED).tolist() == [3.0, 1.5, 0.0]


def test_cells_are_judged_after_the_prefix_and_examples_at_the_first_position() -> None:
    answer = torch.arange(5.0).view(1, 5, 1)
    assert Autoregressive().judged(answer, 2).flatten().tolist() == [2.0, 3.0, 4.0]
    assert Parallel().judged(answer, 2).flatten().tolist() == [0.0]


def test_what_the_head_learns_is_whether_what_it_judges_is_right() -> None:
    cells, solved = torch.tensor([[True, False], [True, True]]), torch.tensor([False, True])
    assert torch.equal(Autoregressive().judged_right(cells, solved), cells)
    assert torch.equal(Parallel().judged_right(cells, solved), solved)
    each = torch.tensor([0.5, 2.0])
    assert torch.equal(Parallel().halting_loss(each, cells), each)
    assert torch.equal(Parallel().example_logits(each, cells), each)


def test_only_cells_one_after_the_other_read_answers_in_training() -> None:
    target = torch.tensor([[1, 2, 3]])
    assert Autoregressive().teacher(target) is target
    assert Parallel().teacher(target) is None
    assert (Autoregressive().causal, Parallel().causal) == (True, False)
    assert (Autoregressive().reads_answers, Parallel().reads_answers) == (True, False)
