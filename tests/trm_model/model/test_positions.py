"""What is embedded: its size, learned positions, and the puzzle's prefix."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from trm_model.model.layout import Layout
from trm_model.model.mixers.attention import Attention, rotary_table, rotate
from trm_model.model.positions.learned import Learned
from trm_model.model.positions.none import NoPosition
from trm_model.model.positions.rope import Rotary
from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Size
from trm_model.variants import VARIANTS

SIZE = Size(width=16, heads=2, prefix=2, puzzle_width=24)


def make(mixer: Attention, variant: str = "trm") -> Reasoner:
    return Reasoner(
        replace(VARIANTS[variant], mixer=mixer),
        SIZE,
        vocabulary=6,
        length=4,
        num_puzzles=3,
        generator=torch.Generator().manual_seed(0),
    )


INPUTS = torch.tensor([[1, 2, 3, 4], [5, 0, 1, 1]])


def rows() -> Tensor:
    return torch.randn(2, 24, generator=torch.Generator().manual_seed(1))


def test_questions_without_positions_are_scaled_embeddings_after_the_puzzles_row() -> None:
    model = make(Attention(positions=(NoPosition(),)))
    with torch.no_grad():
        found = model.embed(INPUTS, rows())
    assert found.shape == (2, 6, 16)
    torch.testing.assert_close(found[:, 2:], 4.0 * model.tokens.detach()[INPUTS])
    # 24 numbers of the row fill one and a half positions; the rest is zero.
    torch.testing.assert_close(found[:, :2].flatten(1)[:, :24], 4.0 * rows())
    assert found[:, 1, 8:].eq(0.0).all()


def test_learned_positions_are_averaged_in_so_that_the_size_stays() -> None:
    """``sqrt(D) * sqrt(1/2) * (x + position)``, as in the authors' code: two independent vectors of
    variance 1 / D give one of variance 1."""
    model, without = (
        make(Attention(positions=(Learned(),))),
        make(Attention(positions=(NoPosition(),))),
    )
    assert model.positions is not None
    with torch.no_grad():
        without.tokens.copy_(model.tokens)
        plain = without.embed(INPUTS, rows()) / math.sqrt(16)
        found = model.embed(INPUTS, rows())
    expected = math.sqrt(16) * math.sqrt(0.5) * (plain + model.positions.detach())
    torch.testing.assert_close(found, expected)
    assert model.positions.shape == (6, 16)


def test_an_answer_at_test_as_the_authors_embed_it_has_neither_factor_nor_positions() -> None:
    model = make(Attention(positions=(Learned(),)), "drm")
    assert model.answer_tokens is not None
    assert model.positions is not None
    with torch.no_grad():
        scaled, plain = (
            model.embed_answer(INPUTS, rows(), scaled=scaled) for scaled in (True, False)
        )
    embedded = model.answer_tokens.detach()[INPUTS]
    torch.testing.assert_close(plain[:, 2:], embedded)
    torch.testing.assert_close(
        scaled[:, 2:], math.sqrt(8.0) * (embedded + model.positions.detach()[2:])
    )
    assert torch.equal(plain[:, :2], scaled[:, :2])


def test_rotary_positions_turn_pairs_of_channels() -> None:
    """Channels i and i + 4 of 8 form a pair, turned at position p by p * 10000^(-i / 4)."""
    table = rotary_table(Rotary().angles(Layout(2, 3), 8))
    assert table.shape == (2, 5, 8)
    x = torch.randn(1, 1, 5, 8, generator=torch.Generator().manual_seed(2))
    found = rotate(x, table)
    for position in range(5):
        for i in range(4):
            angle = position * 10_000.0 ** (-i / 4)
            left, right = x[0, 0, position, i].item(), x[0, 0, position, i + 4].item()
            expected = torch.tensor(
                [
                    left * math.cos(angle) - right * math.sin(angle),
                    right * math.cos(angle) + left * math.sin(angle),
                ]
            )
            torch.testing.assert_close(found[0, 0, position, [i, i + 4]], expected)
