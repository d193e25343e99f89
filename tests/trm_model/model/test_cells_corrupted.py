"""DRM's corruption, number by number."""

import math
from typing import Any

import pytest
import torch

from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Size
from trm_model.model.starts import noisy
from trm_model.model.starts.noisy import (
    NoisyStart,
    corrupted_share,
    least_confident,
    levels_at_test,
    training_levels,
)
from trm_model.model.state import State
from trm_model.model.variant import Variant
from trm_model.noise import Noise

NOISE = Noise(0, torch.arange(3))
SIZE = Size(width=16, heads=2, prefix=1, puzzle_width=8)
TOKENS = torch.tensor([[1, 2, 3, 4], [0, 1, 2, 3], [4, 4, 1, 0]])
ROWS = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))


def make(**changes: Any) -> tuple[Reasoner, NoisyStart]:
    start = NoisyStart(**changes)
    model = Reasoner(
        Variant(start=start, cycles=1, latent_updates=1),
        SIZE,
        vocabulary=5,
        length=4,
        num_puzzles=1,
        generator=torch.Generator().manual_seed(0),
        grid=(2, 2),
    )
    return model, start


def shares(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def embedded(model: Reasoner, tokens: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.embed_answer(tokens, ROWS)


def test_shares_at_some_levels() -> None:
    levels = torch.tensor([0, 500, 1000])
    for schedule, expected in (
        ("linear", [0.0, 0.5, 1.0]),
        ("cosine", [1.554e-4, 0.50623, 1.0]),
        ("sigmoid", [0.0, (1 / (1 + math.e) - 0.0066929) / (0.9525741 - 0.0066929), 1.0]),
    ):
        found = corrupted_share(schedule, levels)  # type: ignore[arg-type]
        assert found.dtype is torch.float64
        assert found.tolist() == pytest.approx(expected, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize(("depth", "levels"), [(1, [1000]), (2, [1000, 1]), (3, [1000, 250, 1])])
def test_levels_fall_as_squares(depth: int, levels: list[int]) -> None:
    assert levels_at_test(depth) == levels


def test_levels_in_training() -> None:
    steps = torch.tensor([0, 2, 1])
    drawn = NOISE.uniform("level")
    assert training_levels("independent", steps, 3, NOISE).tolist() == [
        int(1000 * number) for number in drawn.tolist()
    ]
    assert training_levels("constant", steps, 3, NOISE).tolist() == [500] * 3
    assert training_levels("annealed", steps, 3, NOISE).tolist() == [1000, 1, 250]


def test_cells_are_masked_by_their_own_numbers() -> None:
    model, start = make()
    drawn = NOISE.uniform("cells", 4)
    given = shares(0.2, 0.5, 0.9)
    found = start.corrupted_answer(model, TOKENS, given, ROWS, NOISE).detach()
    expected = TOKENS.masked_fill(drawn < given[:, None], 5)
    torch.testing.assert_close(found, embedded(model, expected))


def test_cells_get_tokens_drawn_uniformly() -> None:
    model, start = make(corruption="uniform")
    given = shares(0.2, 0.5, 0.9)
    drawn = (5 * NOISE.uniform("token", 4)).long()
    expected = torch.where(NOISE.uniform("cells", 4) < given[:, None], drawn, TOKENS)
    found = start.corrupted_answer(model, TOKENS, given, ROWS, NOISE).detach()
    torch.testing.assert_close(found, embedded(model, expected))


def test_gaussian_noise_keeps_the_size() -> None:
    model, start = make(corruption="gaussian")
    given = shares(0.2, 0.5, 0.9)
    clean = embedded(model, TOKENS)
    normal = NOISE.normal("embedding", 4, 16)
    part = given.float()[:, None, None]
    expected = clean.clone()
    expected[:, 1:] = (1 - part).sqrt() * clean[:, 1:] + part.sqrt() * normal
    found = start.corrupted_answer(model, TOKENS, given, ROWS, NOISE).detach()
    torch.testing.assert_close(found, expected)


def test_correlated_cells_are_a_blurred_normal_field() -> None:
    """A Gaussian of width 1.5 over 5 x 5 cells, divided by its own deviation at each cell, cut off
    at the border."""
    rows, columns = 4, 5
    normal = NOISE.normal("cells", rows, columns)
    found = noisy._correlated_uniform(NOISE, (rows, columns))  # pyright: ignore[reportPrivateUsage]
    for row in range(rows):
        for column in range(columns):
            total, variance = torch.zeros(3), 0.0
            for other_row in range(max(0, row - 2), min(rows, row + 3)):
                for other_column in range(max(0, column - 2), min(columns, column + 3)):
                    distance = (row - other_row) ** 2 + (column - other_column) ** 2
                    weight = math.exp(-distance / (2 * 1.5**2))
                    total += weight * normal[:, other_row, other_column]
                    variance += weight**2
            expected = torch.special.ndtr(total / math.sqrt(variance))
            torch.testing.assert_close(found[:, row, column], expected)
    model, start = make(correlated=True)
    chosen = start.choose_cells(shares(0.3, 0.6, 0.9), NOISE, model)
    field = noisy._correlated_uniform(NOISE, (2, 2)).flatten(1)  # pyright: ignore[reportPrivateUsage]
    assert torch.equal(chosen, field < torch.tensor([[0.3], [0.6], [0.9]]))


def test_as_many_cells_as_the_share_says_are_least_confident() -> None:
    logits = torch.tensor([[[3.0, 0.0], [1.0, 0.0], [0.0, 4.0], [0.0, 2.0]]])
    assert least_confident(logits, 0.0).tolist() == [[False, False, False, False]]
    assert least_confident(logits, 0.25).tolist() == [[False, True, False, False]]
    assert least_confident(logits, 0.26).tolist() == [[False, True, False, True]]
    assert least_confident(logits, 1.0).tolist() == [[True] * 4]


def state() -> State:
    return State(torch.full((3, 5, 16), 7.0), (torch.full((3, 5, 16), 8.0),))


@pytest.mark.parametrize("carried", [True, False])
def test_a_training_step_starts_from_the_corrupted_target(*, carried: bool) -> None:
    model, start = make(order="annealed", carried_latents=carried)
    steps = torch.tensor([0, 1, 2])
    with torch.no_grad():
        found = start.before_training_step(model, state(), TOKENS, steps, 3, ROWS, NOISE)
        share = corrupted_share("cosine", torch.tensor([1000, 250, 1]))
        expected = start.corrupted_answer(model, TOKENS, share, ROWS, NOISE)
    torch.testing.assert_close(found.answer, expected)
    latent = state().latents[0] if carried else model.start(NOISE).latents[0]
    torch.testing.assert_close(found.latents[0], latent)


@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("carried", [True, False])
@pytest.mark.parametrize("remask", ["random", "confidence"])
def test_a_test_step_corrupts_the_last_answer_again(
    step: int, remask: str, *, carried: bool
) -> None:
    """At the levels 1000, 1000, 250 of three steps; before the first step nothing is known."""
    model, start = make(carried_latents=carried, remask=remask, scaled=False)
    logits = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(2)) if step else None
    first = State(torch.zeros(3, 5, 16), (torch.full((3, 5, 16), 9.0),))
    with torch.no_grad():
        found = start.before_test_step(model, state(), logits, step, 3, ROWS, NOISE, first)
        share = shares(*([1.0, 1.0, 0.25][step],) * 3)
        tokens = torch.zeros_like(TOKENS) if logits is None else logits.argmax(-1)
        expected = start.corrupted_answer(model, tokens, share, ROWS, NOISE, logits)
    torch.testing.assert_close(found.answer, expected)
    assert found.latents[0][0, 0, 0].item() == (8.0 if carried else 9.0)
    # The first step embeds as training does, later ones without the factor as the authors' code.
    if step < 2:
        masked = model.answer_tokens
        assert masked is not None
        factor = 4.0 if step == 0 else 1.0
        torch.testing.assert_close(found.answer[0, 1], factor * masked.detach()[5])


def test_masked_answers_have_one_token_more() -> None:
    for corruption, rows in (("mask", 6), ("uniform", 5), ("gaussian", 5)):
        model, start = make(corruption=corruption)
        assert start.masks is (rows == 6)
        assert len(model.tokens) == rows
    assert make(order="annealed")[1].carried
    assert not make(order="constant")[1].carried
