"""Attention in one pass on CPUs, against its formula in float64."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tests.trm_model.model.kernels import AVX2, only_on_x86, passes, with_gradients
from trm_model.model.kernels import attention as fused
from trm_model.model.kernels.tiles import threads_reached
from trm_model.model.layers import NORM_EPSILON, rms_norm, truncated_normal
from trm_model.model.layout import Layout
from trm_model.model.mixers.attention import SelfAttention, rotary_table
from trm_model.model.positions.none import NoPosition
from trm_model.model.positions.rope import Rotary
from trm_model.model.size import Size

Inputs = tuple[Tensor, Tensor, Tensor, Tensor | None]


def inputs_of(batch: int, length: int, width: int, heads: int, *, turned: bool = True) -> Inputs:
    """x [B, S, D], the weights, and the table that turns queries and keys."""
    g = torch.Generator().manual_seed(0)
    angles = torch.rand(length, width // heads // 2, generator=g) * 6
    return (
        torch.randn((batch, length, width), generator=g),
        truncated_normal((3 * width, width), width**-0.5, g),
        truncated_normal((width, width), width**-0.5, g),
        rotary_table(angles) if turned else None,
    )


pytestmark = pytest.mark.skipif(
    not threads_reached(), reason="torch's threads are not OpenMP's here"
)


def ours(x: Tensor, qkv: Tensor, out: Tensor, *, table: Tensor | None, heads: int) -> Tensor:
    return fused.post_norm_attention(x, qkv, out, table, heads, NORM_EPSILON)


def formula(x: Tensor, qkv: Tensor, out: Tensor, *, table: Tensor | None, heads: int) -> Tensor:
    query, key, value = (x @ qkv.T).view(*x.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
    if table is not None:
        cosine, sine = table

        def turned(each: Tensor) -> Tensor:
            left, right = each.chunk(2, -1)
            return each * cosine + torch.cat((-right, left), -1) * sine

        query, key = turned(query), turned(key)
    weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
    y = x + (weights @ value).transpose(1, 2).reshape(x.shape) @ out.T
    return y * (y.square().mean(-1, keepdim=True) + 1e-5).rsqrt()


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


SHAPES = [
    (5, 20, 64, 4),
    (2, 97, 32, 2),
    (7, 3, 16, 2),
    (25, 3, 16, 2),
    (11, 6, 16, 2),
    (1, 1, 8, 1),
    (4, 33, 40, 5),
    (1, 130, 8, 2),
    (65, 1, 24, 3),
    (3, 70, 272, 4),  # Wide: two examples share a tile, and the last has one of its own.
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("turned", [False, True])
def test_equals_the_formula_forward_and_backward(
    shape: tuple[int, int, int, int], turned: bool
) -> None:
    *inputs, table = inputs_of(*shape, turned=turned)
    mine = with_gradients(partial(ours, table=table, heads=shape[-1]), torch.float32, *inputs)
    reference = with_gradients(
        partial(formula, table=table, heads=shape[-1]), torch.float64, *inputs
    )
    for one, theirs in zip(mine, reference, strict=True):
        torch.testing.assert_close(
            one.double(), theirs, rtol=1e-4, atol=1e-5 * theirs.abs().max().item()
        )
    with torch.no_grad():
        assert torch.equal(ours(*inputs, table=table, heads=shape[-1]), mine[0])


def test_large_scores_and_what_is_not_finite() -> None:
    x, *weights, table = inputs_of(5, 20, 16, 2)
    x = x * 100
    mine = with_gradients(partial(ours, table=table, heads=2), torch.float32, x, *weights)
    reference = with_gradients(partial(formula, table=table, heads=2), torch.float64, x, *weights)
    torch.testing.assert_close(mine[0].double(), reference[0], rtol=1e-3, atol=1e-3)
    x[1, 3, 5] = float("nan")
    result = ours(x, *weights, table=table, heads=2)
    assert result[1].isnan().all()
    others = [0, 2, 3, 4]
    assert torch.equal(result[others], mine[0][others])


def test_an_example_has_the_same_bits_in_any_batch_and_with_any_number_of_threads(
    threads: None,
) -> None:
    x, *weights, table = inputs_of(7, 20, 16, 2)
    function = partial(ours, table=table, heads=2)
    whole = function(x, *weights)
    assert torch.equal(function(x[2:6].clone(), *weights), whole[2:6])
    torch.set_num_threads(1)
    assert torch.equal(function(x, *weights), whole)


def test_gradients_do_not_depend_on_the_number_of_threads_beyond_rounding(threads: None) -> None:
    *inputs, table = inputs_of(7, 20, 16, 2)
    function = partial(ours, table=table, heads=2)
    several = with_gradients(function, torch.float32, *inputs)
    torch.set_num_threads(1)
    for one, more in zip(with_gradients(function, torch.float32, *inputs), several, strict=True):
        torch.testing.assert_close(one, more, rtol=1e-4, atol=1e-5)


def test_what_the_gradient_needs_is_kept_only_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Queries, keys and values of each tile; otherwise of each thread."""
    kept: list[int] = []
    run = fused.run

    def spy(*arguments: Any) -> None:
        kept.append(len(arguments[10]))
        run(*arguments)

    monkeypatch.setattr(fused, "run", spy)
    x, qkv, out, table = inputs_of(64, 40, 8, 1)
    qkv.requires_grad_()
    ours(x, qkv, out, table=table, heads=1)
    with torch.no_grad():
        ours(x, qkv, out, table=table, heads=1)
    ours(x, qkv.detach(), out, table=table, heads=1)
    assert kept[0] == 64
    assert kept[1] == kept[2] == min(64, torch.get_num_threads())


def test_gradients_of_some_and_twice_and_computed_again() -> None:
    *inputs, table = inputs_of(5, 20, 16, 2)
    function = partial(ours, table=table, heads=2)
    all_of_them = with_gradients(function, torch.float32, *inputs)[1:]
    for wanted, expected in enumerate(all_of_them):
        leaves = [each.clone().requires_grad_(n == wanted) for n, each in enumerate(inputs)]
        result = function(*leaves)
        weight = torch.linspace(-1, 1, result.numel()).view(result.shape)
        loss = (result * weight).sum()
        for _ in range(2):
            found = torch.autograd.grad(loss, leaves[wanted], retain_graph=True)
            assert torch.equal(found[0], expected)
    again = partial(checkpoint, function, use_reentrant=False)
    for one, other in zip(
        with_gradients(again, torch.float32, *inputs)[1:], all_of_them, strict=True
    ):
        assert torch.equal(one, other)


def test_what_is_not_finite_stays_in_its_example_in_the_gradient_too(threads: None) -> None:
    torch.set_num_threads(1)  # The tiles after it are of the same thread.
    x, *weights, table = inputs_of(7, 40, 16, 2)
    good = with_gradients(partial(ours, table=table, heads=2), torch.float32, x, *weights)[1]
    x[1, 3, 5] = float("nan")
    found = with_gradients(partial(ours, table=table, heads=2), torch.float32, x, *weights)[1]
    assert found[1].isnan().all()
    others = [0, 2, 3, 4, 5, 6]
    assert torch.equal(found[others], good[others])


def test_what_does_not_fit_is_not_read() -> None:
    x, qkv, out, table = inputs_of(2, 5, 16, 2)
    assert table is not None
    assert fused.serves(x, qkv, out, table, 2)
    assert fused.serves(x, qkv, out, None, 2)
    for others in (
        (x.double(), qkv, out, table, 2),
        (x, qkv.bfloat16(), out, table, 2),
        (x, qkv, out.to("meta"), table, 2),
        (x, qkv, out, table.double(), 2),
        (x, qkv, out, table[:, :4], 2),
        (x, qkv, out, table, 4),
        (x, qkv, out, None, 3),
        (*inputs_of(2, 5, 24, 8, turned=False)[:3], torch.zeros(2, 5, 3), 8),
        (x, qkv[:-1], out, table, 2),
        (x, qkv, out[:, :-1], table, 2),
        (x[..., :12], qkv[:36, :12], out[:12, :12], None, 2),
        (x[:0], qkv, out, table, 2),
        (x[0], qkv, out, table, 2),
        (x.new_zeros(1, fused.MOST_POSITIONS + 1, 16), qkv, out, None, 2),
    ):
        assert not fused.serves(*others)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("positions", [Rotary(), NoPosition()], ids=lambda each: each.name)
def test_the_sublayer_gives_what_its_formula_gives(
    causal: bool, positions: Rotary | NoPosition, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []
    kernel = fused.post_norm_attention

    def spy(*arguments: Any) -> Tensor:
        calls.append(None)
        return kernel(*arguments)

    monkeypatch.setattr(fused, "post_norm_attention", spy)
    size = Size(width=16, heads=2, prefix=0, puzzle_width=0)
    sublayer = SelfAttention(
        size,
        Layout(0, 6),
        torch.Generator().manual_seed(0),
        positions=(positions,),
        causal=causal,
    )
    x = torch.randn(3, 6, 16, generator=torch.Generator().manual_seed(1))
    expected = rms_norm(x + sublayer(x))
    torch.testing.assert_close(sublayer.post_norm(x), expected, rtol=1e-4, atol=1e-5)
    # There is no kernel with a mask.
    assert len(calls) == int(not causal)
    compiled = torch.compile(sublayer.post_norm, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected, rtol=1e-6, atol=1e-6)
    wide = x.double()
    result = sublayer.double().post_norm(wide)
    assert result.dtype == torch.float64
    torch.testing.assert_close(result.float(), expected, rtol=1e-4, atol=1e-5)


def test_strided_inputs_are_read_as_they_are() -> None:
    x, qkv, out, table = inputs_of(2, 5, 16, 2)
    wide = torch.zeros(4, 5, 32)
    wide[::2, :, ::2] = x
    strided = ours(wide[::2, :, ::2], qkv.T.contiguous().T, out, table=table, heads=2)
    assert torch.equal(strided, ours(x, qkv, out, table=table, heads=2))


def test_a_second_derivative_is_refused() -> None:
    x, qkv, out, table = inputs_of(1, 3, 16, 2)
    x.requires_grad_()
    with pytest.raises(NotImplementedError, match=r"has no second one; use model\.double"):
        torch.autograd.grad(ours(x, qkv, out, table=table, heads=2).sum(), x, create_graph=True)


CHECK = """
import sys
from tests.trm_model.model import test_fused_attention
from tests.trm_model.model.test_fused_attention import SHAPES
from trm_model.model.kernels.instructions import WIDE
check = test_fused_attention.test_equals_the_formula_forward_and_backward
assert int(sys.argv[1] or WIDE) == WIDE, WIDE
for shape in SHAPES:
    for turned in (False, True):
        check(shape, turned)
"""


@pytest.mark.slow
@only_on_x86
def test_equals_the_formula_on_narrower_registers() -> None:
    passes(CHECK, AVX2, "16")
