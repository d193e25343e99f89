"""Which answer each selection chooses among rollouts that are written out."""

import pytest
import torch

from tests.trm_model.evaluation.tries import tries_of
from trm_model.errors import ConfigurationError
from trm_model.model.selections.confidence import ConfidenceVote
from trm_model.model.selections.first_to_halt import FirstToHalt
from trm_model.model.selections.first_valid import FirstValid
from trm_model.model.selections.last_step import LastStep
from trm_model.model.selections.lowest_residual import LowestResidual
from trm_model.model.selections.most_frequent import MostFrequent
from trm_model.model.selections.selection import First, Judged, Selection, Tries

# Three rollouts of two examples of two cells.
ANSWERS = torch.tensor([[[1, 2], [5, 5]], [[3, 2], [4, 4]], [[3, 2], [4, 5]]])
LOGITS = torch.tensor([[0.5, 2.0], [-1.0, 1.0], [0.25, 0.0]])
NOW = tries_of(ANSWERS, LOGITS, -LOGITS)


def chosen(selection: Selection, tries: Tries = NOW) -> list[list[int]]:
    found = selection.select(tries)
    assert found.halt_logits.shape == found.continue_logits.shape == (2,)
    return found.prediction.tolist()


def test_the_first_rollout_is_a_single_one() -> None:
    assert chosen(LastStep()) == [[1, 2], [5, 5]]


def test_the_most_frequent_answer_is_a_whole_one() -> None:
    """Of the second example all differ: the first rollout's."""
    found = MostFrequent().select(NOW)
    assert found.prediction.tolist() == [[3, 2], [5, 5]]
    assert found.halt_logits.tolist() == [-1.0, 2.0]


def test_cells_are_voted_on_by_confidence() -> None:
    confidence = torch.tensor([[[0.9, 0.5], [0.5, 0.4]], [[0.4, 0.5], [0.3, 0.5]]])
    confidence = torch.cat([confidence, torch.tensor([[[0.4, 0.5], [0.3, 0.2]]])])
    found = ConfidenceVote().select(NOW._replace(confidence=confidence))
    # 0.9 for 1 against 0.4 + 0.4 for 3; 0.5 for 5 against 0.3 + 0.3 for 4; 0.4 + 0.2 against 0.5.
    assert found.prediction.tolist() == [[1, 2], [4, 5]]
    torch.testing.assert_close(found.halt_logits, LOGITS.mean(0))


def test_the_stillest_rollout_of_the_last_steps() -> None:
    residuals = (
        torch.tensor([[0.0, 9.0], [9.0, 9.0], [9.0, 0.0]]),
        torch.tensor([[2.0, 1.0], [1.0, 2.0], [3.0, 3.0]]),
    )
    still = NOW._replace(residuals=residuals)
    assert chosen(LowestResidual(), still) == [[3, 2], [5, 5]]
    assert chosen(LowestResidual(window=2), still) == [[1, 2], [4, 5]]
    assert chosen(LowestResidual(window=9), still) == [[1, 2], [4, 5]]
    # After the first step nothing is known.
    assert chosen(LowestResidual()) == [[1, 2], [5, 5]]
    for window in (0, 65):
        with pytest.raises(ConfigurationError, match=f"window={window}: expected"):
            LowestResidual(window=window)


EARLIER = Judged(ANSWERS + 10, LOGITS * 10, LOGITS)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # The earliest step; rollouts that have none do not count.
        ([[2, 0], [1, 0], [0, 3]], [[13, 12], [14, 15]]),
        # Of several at one step the surest, by its logit then.
        ([[2, 1], [2, 1], [2, 1]], [[11, 12], [15, 15]]),
    ],
)
def test_the_first_to_halt_answers_what_it_answered_then(
    steps: list[list[int]], expected: list[list[int]]
) -> None:
    halted = First(torch.tensor(steps), EARLIER)
    assert chosen(FirstToHalt(), NOW._replace(halted=halted)) == expected
    assert chosen(FirstValid(), NOW._replace(valid=halted)) == expected


def test_where_none_has_halted_the_surest_answers() -> None:
    assert chosen(FirstToHalt()) == [[1, 2], [5, 5]]
    assert chosen(FirstValid(), NOW._replace(valid=First.none(NOW.now))) == [[1, 2], [5, 5]]
    with pytest.raises(ValueError, match="nobody has verified"):
        chosen(FirstValid())


def test_the_first_answer_that_something_holds_of_is_kept() -> None:
    first = First.none(NOW.now)
    later = Judged(ANSWERS + 1, LOGITS + 1, LOGITS + 2)
    holds = torch.tensor([[True, False], [False, False], [False, True]])
    first = first.after(1, holds, NOW.now)
    assert first.step.tolist() == [[1, 0], [0, 0], [0, 1]]
    first = first.after(2, torch.ones_like(holds), later)
    assert first.step.tolist() == [[1, 2], [2, 2], [2, 1]]
    assert first.answer.prediction.tolist() == [
        [[1, 2], [6, 6]],
        [[4, 3], [5, 5]],
        [[4, 3], [4, 5]],
    ]
    assert first.answer.halt_logits[2].tolist() == [1.25, 0.0]


def test_the_first_rollouts_are_chosen_among_alone() -> None:
    residuals = (torch.tensor([[2.0, 2.0], [1.0, 3.0], [0.0, 0.0]]),)
    some = NOW._replace(
        residuals=residuals, valid=First(torch.tensor([[0, 0], [0, 2], [1, 1]]), EARLIER)
    )
    two = some.first(2)
    assert chosen(LowestResidual(), two) == [[3, 2], [5, 5]]
    assert chosen(FirstValid(), two) == [[11, 12], [14, 14]]
    assert chosen(MostFrequent(), two) == [[1, 2], [5, 5]]
    assert two.computed.shape == (2, 2)
