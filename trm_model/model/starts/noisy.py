"""DRM: the answer starts from a corrupted target (arXiv 2604.18839, and its authors' code)."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from trm_model.choices import check_fields
from trm_model.devices import placed
from trm_model.errors import require
from trm_model.model.part import Facts, ModelView
from trm_model.model.starts.start import Start, fixed_state
from trm_model.model.state import State
from trm_model.noise import Noise

Schedule = Literal["cosine", "linear", "sigmoid"]
Corruption = Literal["mask", "uniform", "gaussian"]
Order = Literal["independent", "annealed", "constant"]
Remask = Literal["random", "confidence"]

LEVELS = 1000
COSINE_OFFSET = 0.008
SIGMOID_FROM, SIGMOID_TO = -5.0, 3.0
BLUR_CELLS, BLUR_WIDTH = 5, 1.5


def corrupted_share(schedule: Schedule, levels: Tensor) -> Tensor:
    """Share of corrupted cells at noise levels 0..1000: float64, 0 to 1, of the levels' shape."""
    t = levels.double() / LEVELS
    if schedule == "linear":
        return t
    if schedule == "cosine":
        angle = 0.5 * math.pi * ((t + COSINE_OFFSET) / (1.0 + COSINE_OFFSET)).clamp(0.0, 1.0)
        return 1.0 - torch.cos(angle) ** 2
    low, high = (1.0 / (1.0 + math.exp(-end)) for end in (SIGMOID_FROM, SIGMOID_TO))
    raised = torch.sigmoid(SIGMOID_FROM + t * (SIGMOID_TO - SIGMOID_FROM))
    return (raised - low) / (high - low)


def levels_at_test(depth: int) -> list[int]:
    """Noise levels after each of ``depth`` test steps, falling from 1000 as the square of the
    remaining share of steps.
    """
    # float32, as the authors compute it: the last digit depends on it.
    shares = torch.linspace(0.0, 1.0, depth, dtype=torch.float32) if depth > 1 else torch.ones(1)
    return (shares.square() * (LEVELS - 1) + 1).long().flip(0).tolist()


def training_levels(order: Order, steps: Tensor, max_steps: int, noise: Noise) -> Tensor:
    """The noise level of each example, int64 [B], after ``steps`` [B] supervision steps."""
    if order == "independent":
        return (noise.uniform("level") * LEVELS).long()
    if order == "constant":
        return torch.full_like(steps, LEVELS // 2)
    return placed(torch.tensor(levels_at_test(max_steps)), steps.device)[steps]


def _correlated_uniform(noise: Noise, grid: tuple[int, int]) -> Tensor:
    """Numbers uniform in [0, 1] each, alike among neighbours: blurred normal numbers through their
    distribution function. [B, rows, columns].
    """
    normal = noise.normal("cells", *grid).unsqueeze(1)
    offsets = torch.arange(BLUR_CELLS, device=normal.device) - BLUR_CELLS // 2
    line = torch.exp(-(offsets**2) / (2.0 * BLUR_WIDTH**2))
    kernel = torch.outer(line, line)[None, None]
    blurred = F.conv2d(normal, kernel, padding=BLUR_CELLS // 2)
    ones = torch.ones_like(normal[:1])
    variance = F.conv2d(ones, kernel.square(), padding=BLUR_CELLS // 2)
    return torch.special.ndtr(blurred / variance.sqrt()).squeeze(1)


def least_confident(logits: Tensor, share: float) -> Tensor:
    """The ``share`` of cells whose best token is least probable, bool [B, L]; logits [B, L, V]."""
    rank = logits.softmax(-1).amax(-1).argsort(-1).argsort(-1)
    return rank < share * logits.shape[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisyStart(Start):
    """The answer starts from a corrupted target (DRM).

    In training a fresh batch comes with each optimizer step, and its targets are corrupted by a
    noise level drawn for each example. At test the first step starts from a wholly corrupted
    answer, each later one from the last step's answer with a falling share of cells corrupted
    again.

    :param schedule: share of corrupted cells as a function of the noise level t.
    :param corruption: of a cell: the mask token, a token drawn uniformly, or Gaussian noise on its
        embedding.
    :param order: t in training: ``independent``: uniform for each example, no carried state (DRM);
        ``annealed``: falls with the example's own supervision step, state carried as in TRM;
        ``constant``: half of all levels for all.
    :param remask: what is corrupted again between test steps: cells drawn at ``random``, or those
        of least ``confidence``.
    :param correlated: neighbouring cells of the grid tend to be corrupted together.
    :param carried_latents: keep z from step to step; False: z starts afresh with each corrupted
        answer.
    :param scaled: embed the re-masked answer at test as in training; False: without the factor
        sqrt(D) and positions, as the authors' code.
    """

    name: ClassVar[str] = "noisy"
    reads_answers: ClassVar[bool] = True
    not_causal: ClassVar[str] = (
        "noise and the choice of starts belong to whole answers; use start=FixedStart()"
    )
    schedule: Schedule = "cosine"
    corruption: Corruption = "mask"
    order: Order = "independent"
    remask: Remask = "random"
    correlated: bool = False
    carried_latents: bool = True
    scaled: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        require(
            self.corruption != "gaussian" or not (self.correlated or self.remask == "confidence"),
            "corruption='gaussian' touches every cell: correlated and remask='confidence' choose "
            "cells; use corruption='mask' or 'uniform' with them",
        )

    def check(self, variant: Facts) -> None:
        """Noise that falls from step to step needs several steps."""
        require(
            variant.deep_supervision or self.order != "annealed",
            "deep_supervision=False with noise that falls from step to step: one supervision step "
            "per example leaves nothing to go on with; use order='independent'",
        )

    @property
    def masks(self) -> bool:
        """See :class:`Start`."""
        return self.corruption == "mask"

    @property
    def carried(self) -> bool:
        """See :class:`Start`."""
        return self.order == "annealed"

    def require_grid(self, grid: tuple[int, int] | None, length: int) -> None:
        """See :class:`Start`."""
        require(
            not self.correlated or (grid is not None and grid[0] * grid[1] == length),
            f"correlated noise with grid={grid}, length={length}: expected the grid's rows and "
            "columns; give grid, or use correlated=False",
        )

    def initial(self, model: ModelView, noise: Noise) -> State:
        """See :class:`Start`."""
        return fixed_state(model, noise)

    def choose_cells(self, share: Tensor, noise: Noise, model: ModelView) -> Tensor:
        """Cells to corrupt at random, bool [B, L]: each with probability ``share`` [B]."""
        if self.correlated and model.grid is not None:
            return _correlated_uniform(noise, model.grid).flatten(1) < share.unsqueeze(-1)
        return noise.uniform("cells", model.length) < share.unsqueeze(-1)

    def corrupted_answer(
        self,
        model: ModelView,
        tokens: Tensor,
        share: Tensor,
        rows: Tensor,
        noise: Noise,
        logits: Tensor | None = None,
    ) -> Tensor:
        """DRM's answer y [B, P + L, D]: ``tokens`` int64 [B, L], of which ``share`` [B] is
        corrupted.

        :param logits: at test, what the tokens were read from, [B, L, V]; None in training and
            before the first test step.
        """
        scaled = self.scaled or logits is None
        if self.corruption == "gaussian":
            y = model.embed_answer(tokens, rows, scaled=scaled)
            prefix, part = model.size.prefix, share.to(y.dtype).view(-1, 1, 1)
            gaussian = noise.normal("embedding", *y[:, prefix:].shape[1:]).to(y.dtype)
            cells = (1.0 - part).sqrt() * y[:, prefix:] + part.sqrt() * gaussian
            return torch.cat((y[:, :prefix], cells), dim=1)
        if self.remask == "confidence" and logits is not None:
            chosen = least_confident(logits, float(share[0]))
        else:
            chosen = self.choose_cells(share, noise, model)
        if self.corruption == "mask":
            corrupted = torch.full_like(tokens, model.mask_token)
        else:
            corrupted = (noise.uniform("token", tokens.shape[1]) * model.vocabulary).long()
        answer = torch.where(chosen, corrupted, tokens)
        return model.embed_answer(answer, rows, scaled=scaled)

    def before_training_step(
        self,
        model: ModelView,
        state: State,
        target: Tensor,
        steps: Tensor,
        max_steps: int,
        rows: Tensor,
        noise: Noise,
    ) -> State:
        """See :class:`Start`."""
        levels = training_levels(self.order, steps, max_steps, noise)
        share = corrupted_share(self.schedule, levels)
        latents = state.latents if self.carried_latents else model.start(noise).latents
        return State(self.corrupted_answer(model, target, share, rows, noise), latents)

    def before_test_step(
        self,
        model: ModelView,
        state: State,
        logits: Tensor | None,
        step: int,
        depth: int,
        rows: Tensor,
        noise: Noise,
        first: State,
    ) -> State:
        """See :class:`Start`."""
        level = [LEVELS, *levels_at_test(depth)][step]
        tokens = (
            torch.zeros(len(rows), model.length, dtype=torch.int64, device=rows.device)
            if logits is None
            else logits.argmax(-1)
        )
        share = torch.full(
            (len(tokens),), level / LEVELS, dtype=torch.float64, device=tokens.device
        )
        latents = state.latents if self.carried_latents else first.latents
        answer = self.corrupted_answer(model, tokens, share, rows, noise, logits)
        return State(answer, latents)
