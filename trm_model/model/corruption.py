"""DRM's noise: how a target or an answer is corrupted, in training and between test steps (arXiv
2604.18839, authors' code)."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from trm_model.model.reasoner import Reasoner
from trm_model.model.variant import NoisyStart, Order, Schedule
from trm_model.noise import Noise

LEVELS = 1000
COSINE_OFFSET = 0.008
SIGMOID_FROM, SIGMOID_TO = -5.0, 3.0
BLUR_CELLS, BLUR_WIDTH = 5, 1.5


def corrupted_share(schedule: Schedule, levels: Tensor) -> Tensor:
    """Share of corrupted cells at noise levels 0..1000, float64, 0 to 1."""
    t = levels.double() / LEVELS
    if schedule == "linear":
        return t
    if schedule == "cosine":
        return (
            1.0
            - torch.cos(
                0.5 * math.pi * ((t + COSINE_OFFSET) / (1.0 + COSINE_OFFSET)).clamp(0.0, 1.0)
            )
            ** 2
        )
    low, high = (1.0 / (1.0 + math.exp(-end)) for end in (SIGMOID_FROM, SIGMOID_TO))
    return (torch.sigmoid(SIGMOID_FROM + t * (SIGMOID_TO - SIGMOID_FROM)) - low) / (high - low)


def levels_at_test(steps: int) -> list[int]:
    """Noise levels after each test step, falling from 1000 as the square of the remaining share of
    steps."""
    # float32, as the authors compute it: the last digit depends on it.
    shares = torch.linspace(0.0, 1.0, steps, dtype=torch.float32) if steps > 1 else torch.ones(1)
    return (shares.square() * (LEVELS - 1) + 1).long().flip(0).tolist()


def training_levels(order: Order, steps: Tensor, max_steps: int, noise: Noise) -> Tensor:
    """The noise level of each example, int64 [B], after ``steps`` [B] supervision steps."""
    if order == "independent":
        return (noise.uniform("level") * LEVELS).long()
    if order == "constant":
        return torch.full_like(steps, LEVELS // 2)
    return torch.tensor(levels_at_test(max_steps), device=steps.device)[steps]


def choose_cells(
    start: NoisyStart, share: Tensor, noise: Noise, length: int, grid: tuple[int, int] | None
) -> Tensor:
    """Cells to corrupt at random, bool [B, L]: each with probability ``share`` [B]."""
    if not start.correlated:
        return noise.uniform("cells", length) < share.unsqueeze(-1)
    assert grid is not None, "the model was built without the shape of the grid"
    return _correlated_uniform(noise, grid).flatten(1) < share.unsqueeze(-1)


def _correlated_uniform(noise: Noise, grid: tuple[int, int]) -> Tensor:
    """Numbers uniform in [0, 1] one by one, alike among neighbours: blurred normal numbers through
    their distribution function."""
    normal = noise.normal("cells", *grid).unsqueeze(1)
    offsets = torch.arange(BLUR_CELLS, device=normal.device) - BLUR_CELLS // 2
    line = torch.exp(-(offsets**2) / (2.0 * BLUR_WIDTH**2))
    kernel = torch.outer(line, line)[None, None]
    blurred = F.conv2d(normal, kernel, padding=BLUR_CELLS // 2)
    variance = F.conv2d(torch.ones_like(normal[:1]), kernel.square(), padding=BLUR_CELLS // 2)
    return torch.special.ndtr(blurred / variance.sqrt()).squeeze(1)


def least_confident(logits: Tensor, share: float) -> Tensor:
    """The ``share`` of cells whose best token is least probable, bool [B, L]; logits [B, L, V]."""
    rank = logits.softmax(-1).amax(-1).argsort(-1).argsort(-1)
    return rank < share * logits.shape[1]


def corrupted_answer(
    reasoner: Reasoner,
    start: NoisyStart,
    tokens: Tensor,
    share: Tensor,
    rows: Tensor,
    noise: Noise,
    logits: Tensor | None = None,
) -> Tensor:
    """DRM's answer: ``tokens`` int64 [B, L], of which the ``share`` [B] is corrupted -> y [B, P +
    L, D].

    :param logits: at test, what the tokens were read from, [B, L, V]; None in training and before
        the first test step.
    """
    scaled = start.scaled or logits is None
    if start.corruption == "gaussian":
        y = reasoner.embed_answer(tokens, rows, scaled=scaled)
        prefix = reasoner.size.prefix
        part = share.to(y.dtype).view(-1, 1, 1)
        gaussian = noise.normal("embedding", *y[:, prefix:].shape[1:]).to(y.dtype)
        return torch.cat(
            (y[:, :prefix], (1.0 - part).sqrt() * y[:, prefix:] + part.sqrt() * gaussian), dim=1
        )
    if start.remask == "confidence" and logits is not None:
        cells = least_confident(logits, float(share[0]))
    else:
        cells = choose_cells(start, share, noise, tokens.shape[1], reasoner.grid)
    if start.corruption == "mask":
        corrupted = torch.full_like(tokens, reasoner.mask_token)
    else:
        corrupted = (noise.uniform("token", tokens.shape[1]) * reasoner.vocabulary).long()
    return reasoner.embed_answer(torch.where(cells, corrupted, tokens), rows, scaled=scaled)
