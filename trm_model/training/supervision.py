"""One supervision step of training, on the carried examples: the deep supervision of HRM and
TRM."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trm_model.model.batch import IGNORE, Batch
from trm_model.model.corruption import corrupted_answer, corrupted_share, training_levels
from trm_model.model.halting import example_logits, halts
from trm_model.model.reasoner import Reasoner
from trm_model.model.state import Output, State
from trm_model.model.variant import DepthCurriculum, NoisyStart, Variant
from trm_model.noise import Noise
from trm_model.training.losses import Losses, going_on, losses


@dataclass(frozen=True, slots=True)
class Carry:
    """What training carries between optimizer steps: examples, their state (of each start), their
    steps so far [B] and who has halted [B]."""

    batch: Batch
    state: State
    steps: Tensor
    halted: Tensor

    @staticmethod
    def fresh(reasoner: Reasoner, batch: Batch, noise: Noise) -> "Carry":
        """Every example of ``batch`` at its first step."""
        size = len(batch.inputs)
        device = batch.inputs.device
        return Carry(
            batch,
            reasoner.start(noise.repeat(reasoner.variant.training_rollouts)),
            torch.zeros(size, dtype=torch.int64, device=device),
            torch.zeros(size, dtype=torch.bool, device=device),
        )

    def refill(self, reasoner: Reasoner, batch: Batch, noise: Noise) -> "Carry":
        """Halted examples replaced by the fresh ones at their place in ``batch``."""
        return Carry(
            batch.where(self.halted, self.batch),
            reasoner.start(noise.repeat(reasoner.variant.training_rollouts)).where(
                self.halted, self.state
            ),
            torch.where(self.halted, 0, self.steps),
            torch.zeros_like(self.halted),
        )


@dataclass(frozen=True, slots=True)
class Supervision:
    """Result of one supervision step; ``carry`` is detached; ``rows`` are the puzzle rows read,
    with ``grad`` after backward.

    With several starts per example, ``output`` and ``losses`` are the winners'.
    """

    output: Output
    losses: Losses
    carry: Carry
    rows: Tensor


def supervise(
    reasoner: Reasoner,
    carry: Carry,
    *,
    max_steps: int,
    noise: Noise,
    earliest: Tensor | int = 0,
    stage: Variant | None = None,
) -> Supervision:
    """Run one supervision step on ``carry`` (already refilled) and decide who halts.

    :param max_steps: most supervision steps per example (:meth:`Variant.training_steps`).
    :param noise: of this step, one item per example.
    :param earliest: see :func:`trm_model.model.halting.earliest_halts`.
    :param stage: the recursion to use, where a curriculum changes it (:meth:`Variant.stage`).
    """
    variant, batch, training = reasoner.variant, carry.batch, torch.is_grad_enabled()
    starts = variant.training_rollouts
    wide, draws = batch.repeat(starts), noise.repeat(starts)
    rows = reasoner.puzzle_rows[batch.puzzle_ids].requires_grad_(training)
    wide_rows, state = rows.repeat(starts, 1), carry.state
    target = batch.labels.masked_fill(batch.labels == IGNORE, 0)
    if isinstance(variant.start, NoisyStart):
        levels = training_levels(variant.start.order, carry.steps, max_steps, draws)
        share = corrupted_share(variant.start.schedule, levels)
        latents = state.latents if variant.start.carried_latents else reasoner.start(draws).latents
        state = State(
            corrupted_answer(reasoner, variant.start, target, share, rows, draws), latents
        )
    # Teacher forcing: each cell reads the right answer of the one before it.
    output = reasoner(
        wide.inputs, wide_rows, state, draws, stage, target if variant.autoregressive else None
    )
    result = losses(output, wide.labels, halting=variant.halting, loss=variant.loss)
    state, steps = output.state.detach(), carry.steps + 1
    if variant.halting == "q_learning" and training and max_steps > 1:
        with torch.no_grad():
            following = reasoner(wide.inputs, wide_rows, state, draws.at("following"), stage)
        result = result._replace(go_on=going_on(output, following, steps >= max_steps))
    if starts > 1:
        result, where = result.winners(starts)
        output = Output(
            output.logits[where],
            output.halt_logits[where],
            output.continue_logits[where],
            output.state,
        )
    if isinstance(variant.curriculum, DepthCurriculum):
        result = result._replace(weight=variant.curriculum.loss_decay**carry.steps)
    if variant.state_noise and training:
        state = state.perturbed(variant.state_noise, draws.at("perturbation"))
    halted = halts(
        example_logits(output.halt_logits.detach(), batch.labels != IGNORE),
        output.continue_logits.detach(),
        result.solved,
        steps,
        halting=variant.halting,
        max_steps=max_steps,
        earliest=earliest,
    )
    return Supervision(
        output, result, replace(carry, state=state, steps=steps, halted=halted), rows
    )
