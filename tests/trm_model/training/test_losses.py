"""Stablemax in float32 against its formula in float64."""

import pytest
import torch
from torch import Tensor

from trm_model.training.losses import log_stablemax


def logits(sign: str, tokens: int) -> Tensor:
    """Rows whose largest entries go from 1e-6 to 1e37, their entries down to 1e-8."""
    generator = torch.Generator().manual_seed(tokens)
    tops = torch.linspace(-6.0, 37.0, 44, dtype=torch.float64).repeat_interleave(50).unsqueeze(1)
    drawn = torch.rand(len(tops), tokens, generator=generator, dtype=torch.float64)
    sizes = 10.0 ** (drawn * (tops + 8.0) - 8.0)
    negative = torch.rand(sizes.shape, generator=generator, dtype=torch.float64) < 0.5
    signs = {"positive": 1.0, "negative": -1.0, "mixed": torch.where(negative, -1.0, 1.0)}
    return (signs[sign] * sizes).float()


def reference(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The logarithms of the shares, and the gradient of the labels' ones, in float64, both without
    cancellation: 1 minus a share is the sum of the others."""
    x = x.double()
    scores = torch.where(x < 0, 1.0 / (1.0 + x.abs()), 1.0 + x)
    total = scores.sum(-1, keepdim=True)
    every = torch.ones(x.shape[-1], x.shape[-1], dtype=torch.float64).fill_diagonal_(0.0)
    others = scores @ every
    logs = torch.where(scores > others, -(others / scores).log1p(), (scores / total).log())
    is_label = torch.zeros_like(x, dtype=torch.bool).scatter(-1, labels, value=True)
    gradient = torch.where(is_label, others / total, -scores / total) / (1.0 + x.abs())
    return logs, gradient


def error(found: Tensor, expected: Tensor) -> float:
    """The largest relative error where the expected number can be written in float32."""
    there = expected.abs() > 1e-37
    assert there.any()
    return float(((found.double() - expected) / expected)[there].abs().max())


@pytest.mark.parametrize("tokens", [2, 3, 11, 60])
@pytest.mark.parametrize("sign", ["positive", "negative", "mixed"])
def test_float32_is_as_exact_as_it_can_be(sign: str, tokens: int) -> None:
    x = logits(sign, tokens).requires_grad_()
    labels = torch.arange(len(x)).unsqueeze(1) % tokens
    found = log_stablemax(x)
    assert found.dtype is torch.float32
    found.gather(-1, labels).sum().backward()
    assert x.grad is not None
    logs, gradient = reference(x.detach(), labels)
    assert error(found.detach(), logs) < 1e-6
    assert error(x.grad, gradient) < 1e-6
    assert found.isfinite().all()
    assert x.grad.isfinite().all()


def test_both_derivatives_are_those_of_the_formula() -> None:
    """With any weights of the logarithms, as label smoothing gives them."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 5, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(log_stablemax, (x,))
    assert torch.autograd.gradgradcheck(log_stablemax, (x,))


@pytest.mark.parametrize("bad", [torch.inf, torch.nan])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_not_finite_stays_so(bad: float, place: int) -> None:
    """Whatever the label is: the loss tells that a logit is not finite."""
    x = torch.tensor([1.0, -2.0, 0.5])
    x[place] = bad
    assert not log_stablemax(x).isfinite().any()
