"""Stablemax in float32 against its formula in float64."""

import pytest
import torch

from tests.trm_model.training.stablemax import SIGNS, logits, reference, relative_error
from trm_model.training.losses import log_stablemax


@pytest.mark.parametrize("tokens", [2, 3, 11, 60])
@pytest.mark.parametrize("sign", SIGNS)
def test_float32_is_as_exact_as_it_can_be(sign: str, tokens: int) -> None:
    x = logits(sign, tokens).requires_grad_()
    labels = torch.arange(len(x)).unsqueeze(1) % tokens
    found = log_stablemax(x)
    assert found.dtype is torch.float32
    found.gather(-1, labels).sum().backward()
    assert x.grad is not None
    logs, gradient = reference(x.detach(), labels)
    assert relative_error(found.detach(), logs) < 1e-6
    assert relative_error(x.grad, gradient) < 1e-6
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
