"""Positions that say in which row and column a cell is, alone and together with others."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trm_model.authors.checkpoints import names
from trm_model.choices import from_plain, to_plain
from trm_model.errors import ConfigurationError
from trm_model.model.cost import cost
from trm_model.model.layout import Layout
from trm_model.model.mixers.attention import Attention, SelfAttention, rotary_table, rotate
from trm_model.model.mixers.token_mlp import TokenMlp
from trm_model.model.positions.grid_rotary import GridRotary
from trm_model.model.positions.learned import Learned
from trm_model.model.positions.none import NoPosition
from trm_model.model.positions.position import Position, joined_lookups
from trm_model.model.positions.rope import Rotary
from trm_model.model.positions.row_column import RowColumn
from trm_model.model.reasoner import Reasoner
from trm_model.model.size import Size
from trm_model.model.variant import Variant
from trm_model.variants import VARIANTS, load_variants

SIZE = Size(width=16, heads=2, prefix=2, puzzle_width=24)
LAYOUT = Layout(prefix=2, length=6, grid=(2, 3))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(*positions: Position, grid: tuple[int, int] | None = (2, 3)) -> Reasoner:
    return Reasoner(
        replace(VARIANTS["trm"], mixer=Attention(positions=positions)),
        SIZE,
        vocabulary=6,
        length=6,
        num_puzzles=3,
        generator=generator(),
        grid=grid,
    )


def test_angles_of_rows_and_columns() -> None:
    """Of 8 channels two pairs turn with the row and two with the column, at rates 1 and 1 / sqrt of
    the base; the prefix of two lies at -2 and -1 in both."""
    found = GridRotary(base=100.0).angles(LAYOUT, 8)
    places = [(-2, -2), (-1, -1), (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    expected = [[row, row / 10.0, column, column / 10.0] for row, column in places]
    exact = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(found.double(), exact, rtol=1e-6, atol=1e-7)
    table = rotary_table(found).double()
    assert table.shape == (2, 8, 8)
    twice = exact.repeat(1, 2)
    torch.testing.assert_close(table, torch.stack((twice.cos(), twice.sin())), rtol=0, atol=1e-6)


def test_scores_depend_on_the_offset_of_rows_and_columns_alone() -> None:
    layout = Layout(0, 30, (5, 6))
    table = rotary_table(GridRotary(base=10.0).angles(layout, 8)).double()
    query, key = (torch.randn(8, generator=generator(seed)).expand(1, 1, 30, 8) for seed in (1, 2))
    scores = (rotate(query, table) @ rotate(key, table).mT)[0, 0].view(5, 6, 5, 6)
    by_offset = {}
    for r, c, s, d in np.ndindex(5, 6, 5, 6):
        score = scores[r, c, s, d].item()
        assert by_offset.setdefault((s - r, d - c), score) == pytest.approx(score, abs=1e-4)
    assert len(by_offset) == 9 * 11
    # A row further is not a column further.
    assert abs(by_offset[0, 1] - by_offset[1, 0]) > 1e-3


def test_along_one_row_only_the_columns_half_turns() -> None:
    angles = GridRotary().angles(Layout(1, 4, (1, 4)), 8)
    assert angles[1:, :2].eq(0.0).all()
    torch.testing.assert_close(angles[1:, 2:], Rotary().angles(Layout(0, 4), 4))


def test_lookups_of_rows_columns_and_boxes() -> None:
    assert RowColumn().lookups(LAYOUT).tolist() == [
        [0, 1, 2, 2, 2, 3, 3, 3],
        [4, 5, 6, 7, 8, 6, 7, 8],
    ]
    boxes = RowColumn(box_height=2, box_width=3).lookups(Layout(0, 36, (6, 6)))
    cells = [(row, column) for row in range(6) for column in range(6)]
    assert boxes.tolist() == [
        [row for row, _ in cells],
        [6 + column for _, column in cells],
        [12 + row // 2 * 2 + column // 3 for row, column in cells],
    ]


def test_a_combination_is_the_sum_of_its_parts() -> None:
    rotary, line = GridRotary(base=10.0), Rotary()
    both = SelfAttention(SIZE, LAYOUT, generator(), positions=(rotary, line), causal=False)
    assert both.rotary is not None
    summed = rotary.angles(LAYOUT, 8) + line.angles(LAYOUT, 8)
    torch.testing.assert_close(both.rotary, rotary_table(summed))
    several = (rotary, Learned(), RowColumn(), NoPosition())
    joined = joined_lookups((each.lookups(LAYOUT) for each in several), LAYOUT)
    np.testing.assert_array_equal(joined[0], np.arange(8))
    np.testing.assert_array_equal(joined[1:], 8 + RowColumn().lookups(LAYOUT))

    model, plain = make(Learned(), RowColumn()), make(NoPosition())
    inputs, rows = torch.tensor([[1, 2, 3, 4, 5, 0]]), torch.randn(1, 24, generator=generator(1))
    with torch.no_grad():
        plain.tokens.copy_(model.tokens)
        found, without = (each.embed(inputs, rows) for each in (model, plain))
        assert model.positions is not None
        cell, row, column = model.positions[6], model.positions[8 + 3], model.positions[8 + 7]
    # Four vectors of variance 1 / D, times sqrt(D), keep the variance 1 when halved. The fourth
    # cell after the prefix's two positions, number 6, is in row 1 and column 1.
    expected = 0.5 * (without[0, 6] + math.sqrt(16) * (cell + row + column))
    torch.testing.assert_close(found[0, 6], expected)
    assert model.positions.shape == (8 + 4 + 5, 16)
    assert plain.positions is None


def test_the_papers_models_have_the_line_alone() -> None:
    """Their tables, names of weights and identities are those from before there was a choice."""
    rates = 10_000.0 ** (-torch.arange(0, 8, 2, dtype=torch.float32) / 8)
    angles = torch.outer(torch.arange(8, dtype=torch.float32), rates).repeat(1, 2)
    attention = Attention().build(
        SIZE, LAYOUT, VARIANTS["trm"].feed_forward, generator(), causal=False
    )
    assert torch.equal(
        rotary_table(Rotary().angles(LAYOUT, 8)), torch.stack((angles.cos(), angles.sin()))
    )
    assert set(attention.state_dict()) == {"qkv", "out"}
    assert "positions" not in make(Rotary()).state_dict()
    assert VARIANTS["trm"].identity() == {"mixer": {"attention": {}}}
    assert VARIANTS["trm_mlp"].identity() == {}
    assert VARIANTS["trm_grid"].identity() == {
        "mixer": {"attention": {"positions": [{"grid_rotary": {}}, {"learned": {}}]}}
    }


@pytest.mark.parametrize(
    ("text", "mixer"),
    [
        ("{attention: {positions: learned}}", Attention(positions=(Learned(),))),
        ("{attention: {positions: rope}}", Attention()),
        ("{attention: {positions: none}}", Attention(positions=(NoPosition(),))),
        ("{token_mlp: {positions: learned}}", TokenMlp(positions=(Learned(),))),
        (
            "{attention: {positions: {grid_rotary: {base: 10}}}}",
            Attention(positions=(GridRotary(base=10),)),
        ),
        (
            "{attention: {positions: [grid_rotary, {row_column: {box_height: 2, box_width: 2}}]}}",
            Attention(positions=(GridRotary(), RowColumn(box_height=2, box_width=2))),
        ),
    ],
)
def test_in_yaml_one_or_several(tmp_path: Path, text: str, mixer: Attention | TokenMlp) -> None:
    """One by its name alone, as it was written before they could be combined."""
    (tmp_path / "mine.yaml").write_text(f"base: trm\nchanges: {{mixer: {text}}}\n")
    found = load_variants(tmp_path).named("mine")
    assert found == replace(VARIANTS["trm"], mixer=mixer)
    assert from_plain(Variant, json.loads(json.dumps(to_plain(found)))) == found


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: make(GridRotary(), grid=None), "grid_rotary positions with grid=None, length=6"),
        (lambda: make(RowColumn(), grid=(2, 2)), r"row_column positions with grid=\(2, 2\)"),
        (
            lambda: GridRotary().angles(LAYOUT, 6),
            "heads of 6 channels: expected a multiple of 4",
        ),
        (
            lambda: make(RowColumn(box_height=2, box_width=2)),
            "boxes of 2 x 2 on a grid of 2 x 3: expected boxes that fill the grid",
        ),
        (lambda: RowColumn(box_height=2), "box_height=2, box_width=None: expected both"),
        (lambda: RowColumn(box_height=0, box_width=1), "box_height=0"),
        (lambda: GridRotary(base=1.0), "base=1.0: expected a number above 1"),
        (lambda: Rotary(base=0.5), "base=0.5: expected a number above 1"),
        (lambda: Attention(positions=()), "expected at least one"),
        (lambda: Attention(positions=(Rotary(), Rotary(base=10.0))), "each at most once"),
        (lambda: TokenMlp(positions=(GridRotary(),)), "act on attention heads"),
        (lambda: names(VARIANTS["trm_grid"], SIZE), "the authors' code has no such model"),
        (
            lambda: names(
                replace(VARIANTS["trm"], mixer=Attention(positions=(Rotary(base=10.0),))), SIZE
            ),
            "their format holds one of rope, learned, none only",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as error:
        build()
    assert "\n" not in str(error.value)


def test_costs_are_those_of_the_grid() -> None:
    variant = replace(VARIANTS["trm"], mixer=Attention(positions=(RowColumn(),)))
    without = replace(VARIANTS["trm"], mixer=Attention(positions=(NoPosition(),)))

    def parameters(variant: Variant, length: int, grid: tuple[int, int] | None = None) -> int:
        return cost(variant, SIZE, vocabulary=6, length=length, grid=grid).parameters

    for length, grid, vectors in ((6, (2, 3), 4 + 5), (6, None, 3 + 8), (9, None, 5 + 5)):
        found = parameters(variant, length, grid) - parameters(without, length, grid)
        assert found == 16 * vectors
