"""Counter-based noise, and DRM's corruption against formulas written out."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trm_model.model.test_model import SIZE, batch, generator
from trm_model.errors import ConfigurationError
from trm_model.evaluation.evaluate import rollout
from trm_model.model.evaluation import Evaluation
from trm_model.model.reasoner import Reasoner
from trm_model.model.starts.noisy import (
    NoisyStart,
    corrupted_share,
    least_confident,
    levels_at_test,
    training_levels,
)
from trm_model.noise import Noise
from trm_model.training.supervision import Carry, supervise
from trm_model.variants import VARIANTS


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**63 - 1), first=st.integers(0, 2**40))
def test_an_example_draws_the_same_in_any_batch(seed: int, first: int) -> None:
    together = Noise(seed, torch.arange(first, first + 6))
    alone = Noise(seed, torch.tensor([first + 4]))
    assert torch.equal(together.normal("a", 3, 2)[4], alone.normal("a", 3, 2)[0])
    assert torch.equal(together.uniform("a", 5)[4], alone.uniform("a", 5)[0])
    assert torch.equal(together.repeat(3).uniform("a", 5)[4::6], alone.repeat(3).uniform("a", 5))
    assert together.uniform("a").shape == (6,)
    assert not torch.equal(together.uniform("a", 5), together.uniform("b", 5))
    assert not torch.equal(together.at("x").uniform("a", 5), together.uniform("a", 5))


def test_splitmix_is_the_published_one() -> None:
    """The first outputs of SplitMix64 from state 1234567, as its reference implementation prints
    them."""
    from trm_model import noise

    counters = torch.arange(1, 6) * noise._GOLDEN + 1234567  # pyright: ignore[reportPrivateUsage]
    unsigned = noise._mix(counters).numpy().astype(np.uint64).tolist()  # pyright: ignore[reportPrivateUsage]
    assert unsigned == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_noise_has_its_distributions() -> None:
    noise = Noise(3, torch.arange(2000))
    uniform, normal = noise.uniform("u", 50).flatten(), noise.normal("n", 50).flatten()
    assert 0.0 <= uniform.min() < uniform.max() < 1.0
    counts = torch.histc(uniform.float(), 20, 0.0, 1.0)
    assert (
        (counts - 5000) ** 2 / 5000
    ).sum().item() < 45  # chi-squared, 19 degrees of freedom: 0.1 %
    for power, moment in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)):
        assert normal.double().pow(power).mean().item() == pytest.approx(moment, abs=0.06)
    table = noise.uniform("u", 50)
    assert abs(np.corrcoef(table[:-1].flatten(), table[1:].flatten())[0, 1]) < 0.01
    assert abs(np.corrcoef(table[:, :-1].flatten(), table[:, 1:].flatten())[0, 1]) < 0.01
    assert noise.normal("n", 200).isfinite().all()


def test_schedules_are_their_formulas() -> None:
    levels = torch.tensor([0, 1, 250, 500, 999, 1000])
    for level, cosine, linear, sigmoid in zip(
        levels.tolist(),
        *(corrupted_share(s, levels).tolist() for s in ("cosine", "linear", "sigmoid")),
        strict=True,
    ):
        t = level / 1000
        assert linear == pytest.approx(t)
        assert cosine == pytest.approx(1 - math.cos(math.pi / 2 * (t + 0.008) / 1.008) ** 2)
        low, high, here = (1 / (1 + math.exp(-x)) for x in (-5.0, 3.0, -5.0 + 8.0 * t))
        assert sigmoid == pytest.approx((here - low) / (high - low), abs=1e-12)
    assert levels_at_test(16) == [
        1000,
        871,
        751,
        640,
        538,
        444,
        360,
        285,
        218,
        160,
        112,
        72,
        40,
        18,
        5,
        1,
    ]
    assert levels_at_test(1) == [1000]


def test_training_levels_by_order() -> None:
    steps, noise = torch.tensor([0, 1, 3]), Noise(0, torch.arange(3))
    assert training_levels("constant", steps, 4, noise).tolist() == [500] * 3
    assert training_levels("annealed", steps, 4, noise).tolist() == [
        levels_at_test(4)[s] for s in (0, 1, 3)
    ]
    drawn = training_levels(
        "independent", torch.zeros(20_000), 4, Noise(0, torch.arange(20_000))
    ).double()
    assert drawn.min() >= 0
    assert drawn.max() <= 999
    assert drawn.mean().item() == pytest.approx(499.5, abs=8)


@pytest.mark.parametrize("correlated", [False, True])
def test_cells_are_chosen_with_their_share(correlated: bool) -> None:
    noise, share = Noise(1, torch.arange(4000)), torch.full((4000,), 0.3, dtype=torch.float64)
    model = Reasoner(
        VARIANTS["drm"],
        SIZE,
        vocabulary=6,
        length=36,
        num_puzzles=1,
        generator=generator(),
        grid=(6, 6),
    )
    cells = NoisyStart(correlated=correlated).choose_cells(share, noise, model).double()
    # Each cell by itself, also in the corners, where the blur sees fewer neighbours.
    assert (cells.mean(0) - 0.3).abs().max() < 0.035
    grid = cells.view(-1, 6, 6)
    beside = np.corrcoef(grid[:, 2, 2], grid[:, 2, 3])[0, 1]
    far = np.corrcoef(grid[:, 0, 0], grid[:, 5, 5])[0, 1]
    assert beside > 0.4 if correlated else abs(beside) < 0.06
    assert abs(far) < 0.06


def test_the_least_confident_cells() -> None:
    logits = torch.randn(3, 8, 5, generator=generator())
    confidence = logits.softmax(-1).max(-1).values
    for share, count in ((0.0, 0), (0.25, 2), (1.0, 8)):
        chosen = least_confident(logits, share)
        assert chosen.sum(-1).tolist() == [count] * 3
        if 0 < count < 8:
            assert all(
                confidence[i][chosen[i]].max() < confidence[i][~chosen[i]].min() for i in range(3)
            )


def drm(**changes: Any) -> Reasoner:
    variant = replace(VARIANTS["drm"], start=NoisyStart(**changes))
    return Reasoner(
        variant, SIZE, vocabulary=6, length=9, num_puzzles=4, generator=generator(), grid=(3, 3)
    )


def cells_of(model: Reasoner, y: torch.Tensor) -> torch.Tensor:
    return y[:, SIZE.prefix :] / math.sqrt(SIZE.width)


def test_corrupted_answers() -> None:
    noise, tokens, rows = (
        Noise(0, torch.arange(5)),
        batch().labels.clamp(min=0),
        torch.randn(5, SIZE.puzzle_width, generator=generator()),
    )
    for corruption in ("mask", "uniform", "gaussian"):
        model = drm(corruption=corruption)
        start = model.variant.start
        assert isinstance(start, NoisyStart)
        assert model.answer_tokens is not None
        assert len(model.answer_tokens) == len(model.tokens) == 6 + (corruption == "mask")
        none, all_ = (
            start.corrupted_answer(
                model, tokens, torch.full((5,), share, dtype=torch.float64), rows, noise
            ).detach()
            for share in (0.0, 1.0)
        )
        clean = model.answer_tokens.detach()[tokens]
        torch.testing.assert_close(cells_of(model, none), clean)
        assert torch.equal(none[:, : SIZE.prefix], all_[:, : SIZE.prefix])
        if corruption == "mask":
            torch.testing.assert_close(
                cells_of(model, all_), model.answer_tokens.detach()[6].expand(5, 9, -1)
            )
        elif corruption == "uniform":
            nearest = torch.cdist(cells_of(model, all_), model.answer_tokens.detach()).argmin(-1)
            assert set(nearest.flatten().tolist()) == set(range(6))
        else:
            assert all_[:, SIZE.prefix :].std().item() == pytest.approx(1.0, rel=0.1)
            half = start.corrupted_answer(
                model, tokens, torch.full((5,), 0.5, dtype=torch.float64), rows, noise
            ).detach()
            torch.testing.assert_close(
                half,
                (math.sqrt(0.5) * (none + all_)).where(
                    torch.arange(11)[:, None] >= SIZE.prefix, none
                ),
            )


def test_test_steps_see_no_label_and_forget_z_if_told_to() -> None:
    for carried in (True, False):
        model, examples, noise = (
            drm(carried_latents=carried),
            batch(),
            Noise(0, torch.arange(5)),
        )
        other = type(examples)(
            examples.inputs, torch.ones_like(examples.labels), examples.puzzle_ids
        )
        one, two = (
            list(rollout(model, each, 3, Evaluation(), noise)) for each in (examples, other)
        )
        assert all(torch.equal(a.logits, b.logits) for a, b in zip(one, two, strict=True))
        # Before the first and, at level 1000, before the second step all is masked: without a
        # carried z they are equal.
        assert torch.equal(one[0].logits, one[1].logits) != carried


def test_training_draws_a_fresh_batch_or_carries_on() -> None:
    for order, halted in (("independent", True), ("constant", True), ("annealed", False)):
        model, noise = drm(order=order), Noise(0, torch.arange(5))
        steps = model.variant.training_steps(4)
        result = supervise(model, Carry.fresh(model, batch(), noise), max_steps=steps, noise=noise)
        assert result.carry.halted.all().item() is halted


def test_correlated_noise_needs_the_grid() -> None:
    with pytest.raises(ConfigurationError, match="correlated noise with grid=None, length=9"):
        Reasoner(
            VARIANTS["drm_correlated"],
            SIZE,
            vocabulary=6,
            length=9,
            num_puzzles=1,
            generator=generator(),
        )
