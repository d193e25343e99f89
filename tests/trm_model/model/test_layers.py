"""Layers against their formulas, number by number."""

import math

import pytest
import torch

from trm_model.model.layers import aligned_linear, inner_width, linear, rms_norm, truncated_normal


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("std", [0.0, 0.25, 2.0])
def test_truncated_normal_numbers_have_the_stated_deviation(std: float) -> None:
    """Cut at two standard deviations of the normal numbers before rescaling, whose variance the
    cut lowers to 1 - 4 phi(2) / (Phi(2) - Phi(-2)) = 0.7741."""
    found = truncated_normal((400, 500), std, generator())
    assert found.dtype is torch.float32
    assert found.std().item() == pytest.approx(std, rel=5e-3)
    assert found.mean().item() == pytest.approx(0.0, abs=0.01 * std)
    limit = 2.0 * std / math.sqrt(0.7741)
    assert found.abs().max().item() == pytest.approx(limit, rel=1e-3)
    kurtosis = ((found / std) ** 4).mean().item() if std else 2.3637
    # Of the cut distribution: its fourth moment over its variance squared.
    assert kurtosis == pytest.approx(2.3637, rel=0.02)


def test_truncated_normal_numbers_are_the_quantiles_of_uniform_ones() -> None:
    uniform = torch.rand((7,), generator=generator(), dtype=torch.float64)
    mass = math.erf(math.sqrt(2.0))
    normal = torch.distributions.Normal(0.0, 1.0)
    low = 0.5 * (1.0 - mass)
    expected = normal.icdf(low + uniform * mass) * 0.3 / math.sqrt(0.7741)
    found = truncated_normal((7,), 0.3, generator())
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-5)


def test_rms_norm_divides_by_the_root_mean_square() -> None:
    x = torch.tensor([[3.0, -4.0], [0.0, 0.0], [1e-3, 1e-3]])
    expected = x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(rms_norm(x), expected)
    assert rms_norm(x.bfloat16()).dtype is torch.bfloat16


@pytest.mark.parametrize(
    ("width", "expansion", "inner"),
    [
        (512, 4.0, 1536),
        (96, 4.0, 256),
        (97, 4.0, 512),
        (1, 0.1, 0),
        (384, 1.0, 256),
        (512, 2.0, 768),
    ],
)
def test_inner_widths_are_rounded_up(width: int, expansion: float, inner: int) -> None:
    """Two thirds of ``expansion * width``, rounded to the nearest whole number first."""
    assert inner_width(width, expansion) == inner


@pytest.mark.parametrize("shape", [(6,), (2, 6), (3, 2, 6), (2, 3, 2, 6)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("threads", [1, 2])
def test_linear_is_the_product_with_the_transposed_weight(
    shape: tuple[int, ...], dtype: torch.dtype, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    x = torch.randn(shape, generator=generator()).to(dtype)
    weight = torch.randn((4, 6), generator=generator())
    found = linear(x, weight)
    assert found.dtype is dtype
    expected = torch.einsum("...i,oi->...o", x, weight.to(dtype))
    torch.testing.assert_close(
        found,
        expected,
        rtol=2e-2 if dtype is torch.bfloat16 else 1e-5,
        atol=1e-2 if dtype is torch.bfloat16 else 1e-6,
    )


@pytest.mark.parametrize("shape", [(97, 24), (24, 97), (11, 13), (8, 16), (1, 1)])
@pytest.mark.parametrize("turned", [False, True])
def test_padded_to_what_tensor_cores_like_it_is_the_same_product(
    shape: tuple[int, int], turned: bool
) -> None:
    """With its gradients, also where the last axis of x is another one in memory; the products that
    are computed have sides of multiples of 8."""
    outs, ins = shape
    x = torch.randn((3, 5, ins), generator=generator(), dtype=torch.float64)
    if turned:
        x = x.transpose(1, 2).contiguous().transpose(1, 2)
    weight = torch.randn(shape, generator=generator(), dtype=torch.float64)
    leaves = [t.requires_grad_() for t in (x, weight)]
    found, expected = aligned_linear(*leaves), x @ weight.T
    assert found.shape == (3, 5, outs)
    torch.testing.assert_close(found, expected)
    slope = torch.linspace(-1, 1, found.numel(), dtype=torch.float64).view(found.shape)
    mine = torch.autograd.grad((found * slope).sum(), leaves)
    for one, other in zip(mine, torch.autograd.grad((expected * slope).sum(), leaves), strict=True):
        torch.testing.assert_close(one, other)
    whole = found._base if found._base is not None else found
    assert whole.shape[-1] % 8 == 0
