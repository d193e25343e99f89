"""When cells that are answered one after the other stop, and how large their cache is."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from trm_model.model.batch import IGNORE, Batch
from trm_model.model.evaluation import Evaluation
from trm_model.model.generations import autoregressive
from trm_model.model.generations.autoregressive import Autoregressive, Cache, generate
from trm_model.model.mixers.attention import Attention
from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Size
from trm_model.model.variant import Variant
from trm_model.noise import Noise

NOISE = Noise(0, torch.arange(2))
VARIANT = Variant(
    mixer=Attention(), generation=Autoregressive(), cycles=2, latent_updates=2, layers=1
)


def make(variant: Variant = VARIANT) -> Reasoner:
    return Reasoner(
        variant,
        Size(width=16, heads=2, prefix=1, puzzle_width=16),
        vocabulary=5,
        length=4,
        num_puzzles=1,
        generator=torch.Generator().manual_seed(0),
    )


BATCH = Batch(
    torch.tensor([[1, 2, 3, 4], [4, 3, 2, 1]]),
    torch.tensor([[IGNORE, 1, 1, 1], [IGNORE, 1, IGNORE, 1]]),
    torch.zeros(2, dtype=torch.int64),
)


@pytest.mark.parametrize(("logit", "halts"), [(-1.0, False), (0.0, False), (1e-6, True)])
def test_a_positive_logit_stops_a_cell(logit: float, *, halts: bool) -> None:
    """Stopped cells keep what they answered after their first step; a logit of zero goes on."""
    model = make()
    with torch.no_grad():
        model.halt_bias.fill_(logit)
    first, second = generate(model, BATCH, 2, NOISE, halting=True)
    for row, cell in ((0, 1), (0, 2), (0, 3), (1, 1), (1, 3)):
        assert torch.equal(first.logits[row, cell], second.logits[row, cell]) is halts
    # What is not to be answered goes on.
    assert not torch.equal(first.logits[0, 0], second.logits[0, 0])
    assert not torch.equal(first.logits[1, 2], second.logits[1, 2])
    one, two = generate(model, BATCH, 2, NOISE)
    assert not torch.equal(one.logits[0, 1], two.logits[0, 1])


def test_as_many_examples_as_have_a_cache_below_the_bound() -> None:
    assert autoregressive.CACHE_BYTES == 2**30
    model = make()
    # Keys and values of 5 positions and 16 channels in each of 6 layer calls of each step.
    assert model.layer_calls == 6
    one = 2 * 6 * 5 * 16 * 4
    at_once = 2**30 // (3 * one)
    assert Autoregressive().most_examples(model, 3, 10**9, Evaluation()) == at_once
    assert Autoregressive().most_examples(model, 3, 7, Evaluation()) == 7
    assert Autoregressive().most_examples(model, 10**9, 7, Evaluation()) == 1


@pytest.mark.parametrize(("final", "entries"), [(False, 18), (True, 3)])
def test_what_a_cache_holds(*, final: bool, entries: int) -> None:
    """Entries of 3 steps of 2 cycles of 3 layer calls, or of a last cycle alone."""
    cache = Cache(make(), 2, 3, final=final)
    assert cache.entries.shape == (entries, 2, 2, 2, 5, 8)


def test_an_example_takes_one_rollout_without_noise() -> None:
    for changes in ({"rollouts": 2}, {"noise": 0.1}):
        with pytest.raises(ValueError, match="belong to whole answers"):
            replace(VARIANT, evaluation=Evaluation(**cast(Any, changes)))
    assert replace(VARIANT, evaluation=Evaluation(depth=3)).test_steps(16) == 3


def test_halted_positions_show_the_keys_of_their_last_step() -> None:
    """One attention layer call per step: entries [steps, keys and values, B, H, P + L, width]."""
    model = SimpleNamespace(
        size=Size(width=4, heads=1, prefix=0, puzzle_width=0),
        length=3,
        layer_calls=1,
        recursion=SimpleNamespace(cycles=1),
        dtype=torch.float32,
        answer_start=torch.zeros(4),
    )
    cache = Cache(cast(Any, model), 2, 3)
    nobody, second = torch.tensor([False, False]), torch.tensor([False, True])

    def give(value: float) -> torch.Tensor:
        new = torch.full((2, 1, 1, 4), value)
        return cache.extend(new, -new)[0]

    cache.move(0, 1)
    cache.step(nobody)
    assert give(1.0)[:, 0, :, 0].tolist() == [[1.0], [1.0]]
    cache.step(second)
    assert give(2.0)[:, 0, :, 0].tolist() == [[2.0], [1.0]]
    cache.step(second)
    assert give(3.0)[:, 0, :, 0].tolist() == [[3.0], [1.0]]
    cache.move(1, 2)
    cache.step(nobody)
    # The position before shows, at each step, what it showed then.
    assert give(7.0)[:, 0, :, 0].tolist() == [[1.0, 7.0], [1.0, 7.0]]
    cache.finish()
    cache.move(2, 3)
    for expected in ([[1.0, 7.0, 9.0], [1.0, 7.0, 9.0]], [[2.0, 7.0, 9.0], [1.0, 7.0, 9.0]]):
        cache.step(nobody)
        assert give(9.0)[:, 0, :, 0].tolist() == expected
