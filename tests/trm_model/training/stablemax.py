"""Extreme logits, and stablemax of them in float64."""

import torch
from torch import Tensor

SIGNS = ("positive", "negative", "mixed")


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


def relative_error(found: Tensor, expected: Tensor) -> float:
    """The largest relative error where the expected number can be written in float32."""
    there = expected.abs() > 1e-37
    assert there.any()
    return float(((found.double() - expected) / expected)[there].abs().max())
