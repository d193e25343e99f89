"""The steps before which examples that explore may not halt (HRM §2)."""

import pytest
import torch

from trm_model.training.exploration import earliest_halts


def drawn(count: int, max_steps: int, exploration: float) -> torch.Tensor:
    return earliest_halts(count, max_steps, exploration, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("max_steps", [2, 3, 4, 16])
def test_exploring_examples_halt_from_step_two_to_the_last_on(max_steps: int) -> None:
    """Each of the steps 2 to ``max_steps``, equally often, and no other."""
    steps = drawn(30_000, max_steps, 1.0)
    values, counts = steps.unique(return_counts=True)
    assert values.tolist() == list(range(2, max_steps + 1))
    share = counts / len(steps)
    torch.testing.assert_close(share, torch.full_like(share, 1 / len(values)), rtol=0.15, atol=0.0)


def test_others_may_halt_at_once() -> None:
    assert drawn(1_000, 16, 0.0).tolist() == [0] * 1_000
    assert (drawn(20_000, 16, 0.25) == 0).float().mean().item() == pytest.approx(0.75, abs=0.01)


def test_one_step_leaves_nothing_to_explore() -> None:
    assert drawn(100, 1, 1.0).tolist() == [1] * 100
