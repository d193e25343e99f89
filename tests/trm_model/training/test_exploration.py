"""Exploration of longer thinking, alone and in a training step."""

from dataclasses import replace

import torch

from tests.trm_model.model.test_model import NOISE, batch, generator, make
from trm_model.training.exploration import earliest_halts
from trm_model.training.supervision import Carry, supervise
from trm_model.variants import VARIANTS


def test_the_first_step_that_exploration_lets_halt_is_the_second() -> None:
    """Drawn uniformly from 2..max_steps; the first step is no longer thinking at all."""
    for most in (2, 3, 5):
        drawn = earliest_halts(6_000, most, 1.0, generator())
        steps, counts = drawn.unique(return_counts=True)
        assert steps.tolist() == list(range(2, most + 1))
        expected = 6_000 / (most - 1)
        assert (counts - expected).abs().max() < 5 * expected**0.5
    assert (earliest_halts(50, 16, 0.0, generator()) == 0).all()
    some = earliest_halts(6_000, 2, 0.25, generator())
    assert some.unique().tolist() == [0, 2]
    assert abs((some == 2).float().mean().item() - 0.25) < 0.03


def test_an_example_that_explores_goes_on_to_the_step_that_was_drawn() -> None:
    """All want to halt at once, and each does at its step."""
    model = make(replace(VARIANTS["trm_mlp"], cycles=1, latent_updates=1))
    with torch.no_grad():
        model.halt_bias.fill_(30.0)
    earliest = torch.tensor([0, 1, 2, 3, 4])
    carry, halted = Carry.fresh(model, batch(), NOISE), list[list[bool]]()
    for _ in range(4):
        step = supervise(model, carry, max_steps=4, noise=NOISE, earliest=earliest)
        carry = step.carry
        halted.append(carry.halted.tolist())
    assert halted == [[step >= first for first in earliest.tolist()] for step in (1, 2, 3, 4)]
