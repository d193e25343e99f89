"""Random latents and their updates, number by number."""

from dataclasses import replace

import pytest
import torch

from trm_model.model.haltings.q_learning import QLearning
from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Size
from trm_model.model.starts.fixed import FixedStart
from trm_model.model.starts.random import RandomStart
from trm_model.model.variant import Variant
from trm_model.noise import Noise

NOISE = Noise(0, torch.arange(3))


def make(variant: Variant) -> Reasoner:
    return Reasoner(
        variant,
        Size(width=16, heads=2, prefix=1, puzzle_width=8),
        vocabulary=5,
        length=4,
        num_puzzles=1,
        generator=torch.Generator().manual_seed(0),
    )


def test_latents_are_normal_numbers_and_the_answer_is_fixed() -> None:
    model = make(Variant(start=RandomStart(), latents=2))
    found = model.start(NOISE)
    assert torch.equal(found.answer, model.answer_start.expand(3, 5, 16))
    for number, latent in enumerate(found.latents):
        assert torch.equal(latent, NOISE.normal(f"latent {number}", 5, 16))
    fixed = make(Variant(start=FixedStart(), latents=2)).start(NOISE)
    assert torch.equal(fixed.latents[1], model.latent_starts[1].expand(3, 5, 16))


@pytest.mark.parametrize(("damping", "noise"), [(1.0, 0.0), (0.75, 0.0), (1.0, 0.5), (0.25, 0.5)])
def test_updates_are_damped_and_noisy(damping: float, noise: float) -> None:
    start = RandomStart(damping=damping, update_noise=noise)
    old, new = torch.randn((2, 3, 5, 16), generator=torch.Generator().manual_seed(1))
    drawn = NOISE.at("update", 7).normal("update", 5, 16)
    expected = old + damping * (new - old) + noise * drawn
    torch.testing.assert_close(start.update(old, new, NOISE, 7), expected)
    assert torch.equal(FixedStart().update(old, new, NOISE, 7), new)


def test_several_starts_are_trained_and_one_is_enough_otherwise() -> None:
    assert Variant(start=RandomStart(count=3)).training_rollouts == 3
    assert Variant(start=RandomStart()).training_rollouts == 1
    assert Variant().training_rollouts == 1
    assert FixedStart().carried
    assert RandomStart().carried
    assert not FixedStart().masks
    # The value of going on is one example's: one random start is allowed, several are not.
    replace(Variant(halting=QLearning()), start=RandomStart(count=1))
