"""One supervision step of training, on the carried examples: the deep supervision of HRM and
TRM."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trm_model.model.batch import IGNORE, Batch
from trm_model.model.reasoner import Reasoner
from trm_model.model.recursion import Recursion
from trm_model.model.state import Output, State
from trm_model.noise import Noise
from trm_model.training.losses import Losses, losses


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
        fresh = reasoner.start(noise.repeat(reasoner.variant.training_rollouts))
        return Carry(
            batch.where(self.halted, self.batch),
            fresh.where(self.halted, self.state),
            torch.where(self.halted, 0, self.steps),
            torch.zeros_like(self.halted),
        )

    def part(self, rows: slice) -> "Carry":
        """Some of the examples, with all their starts."""

        def of(x: Tensor) -> Tensor:
            return x.view(-1, len(self.steps), *x.shape[1:])[:, rows].flatten(0, 1)

        answer, latents = self.state
        state = State(of(answer), tuple(map(of, latents)))
        return Carry(self.batch.part(rows), state, self.steps[rows], self.halted[rows])

    @staticmethod
    def joined(parts: "Sequence[Carry]") -> "Carry":
        """The carry of all examples, from those of some each, in order; one part is all."""
        if len(parts) == 1:
            return parts[0]

        def whole(each: Iterable[Tensor]) -> Tensor:
            split = (
                x.view(-1, len(part.steps), *x.shape[1:])
                for x, part in zip(each, parts, strict=True)
            )
            return torch.cat(list(split), 1).flatten(0, 1)

        latents = zip(*(part.state.latents for part in parts), strict=True)
        return Carry(
            Batch.joined([part.batch for part in parts]),
            State(whole(part.state.answer for part in parts), tuple(map(whole, latents))),
            torch.cat([part.steps for part in parts]),
            torch.cat([part.halted for part in parts]),
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

    def learned(self) -> "Learned":
        """What stays after backward."""
        return Learned(
            Losses(*(value.detach() for value in self.losses)), self.carry, self.rows.grad
        )


@dataclass(frozen=True, slots=True)
class Learned:
    """What stays of a supervision step whose gradients are in the weights: the losses without their
    graph, the carry, and the gradient of the puzzle rows that were read, [B, W]."""

    losses: Losses
    carry: Carry
    row_gradient: Tensor | None

    @property
    def row_gradients(self) -> list[Tensor]:
        """The gradient of the rows; nothing where the model has none."""
        return [] if self.row_gradient is None else [self.row_gradient]

    @property
    def spoiled(self) -> Tensor:
        """Which examples have a loss that is not finite, bool [B]."""
        losses = self.losses
        return ~(losses.answer + losses.halt + losses.go_on).isfinite()

    @staticmethod
    def joined(parts: "Sequence[Learned]") -> "Learned":
        """Of all examples, from those of some each, in order; one part is all."""
        if len(parts) == 1:
            return parts[0]
        gradients = [part.row_gradient for part in parts if part.row_gradient is not None]
        return Learned(
            Losses(*map(torch.cat, zip(*(part.losses for part in parts), strict=True))),
            Carry.joined([part.carry for part in parts]),
            torch.cat(gradients) if gradients else None,
        )


def supervise(
    reasoner: Reasoner,
    carry: Carry,
    *,
    max_steps: int,
    noise: Noise,
    earliest: Tensor | int = 0,
    recursion: Recursion | None = None,
    label_smoothing: float = 0.0,
    unsmoothed: int | None = None,
) -> Supervision:
    """Run one supervision step on ``carry`` (already refilled) and decide who halts.

    :param max_steps: most supervision steps per example (:meth:`Variant.training_steps`).
    :param noise: of this step, one item per example.
    :param earliest: see :func:`trm_model.training.exploration.earliest_halts`.
    :param recursion: the calls to make, where a curriculum changes them (:meth:`Variant.stage`).
    :param label_smoothing, unsmoothed: see :func:`losses`.
    """
    variant, batch, training = reasoner.variant, carry.batch, torch.is_grad_enabled()
    starts = variant.training_rollouts
    wide, draws = batch.repeat(starts), noise.repeat(starts)
    rows = reasoner.puzzle_rows[batch.puzzle_ids].requires_grad_(training)
    wide_rows, labelled = rows.repeat(starts, 1), batch.labels != IGNORE
    target = batch.labels.masked_fill(~labelled, 0)
    state = variant.start.before_training_step(
        reasoner, carry.state, target, carry.steps, max_steps, rows, draws
    )
    answers = variant.generation.teacher(target)
    output = reasoner(wide.inputs, wide_rows, state, draws, recursion, answers)
    result = losses(output, wide.labels, variant, label_smoothing, unsmoothed, reasoner.vocabulary)
    state, steps = output.state.detach(), carry.steps + 1
    if variant.halting.looks_ahead and training and max_steps > 1:
        with torch.no_grad():
            ahead = draws.at("following")
            following = reasoner(wide.inputs, wide_rows, state, ahead, recursion, answers)
        going_on = variant.halting.going_on_loss(output, following, steps >= max_steps)
        result = result._replace(go_on=going_on)
    if starts > 1:
        result, where = result.winners(starts)
        output = Output(
            output.logits[where],
            output.halt_logits[where],
            output.continue_logits[where],
            output.state,
        )
    result = result._replace(weight=variant.curriculum.weight(carry.steps))
    if variant.state_noise and training:
        state = state.perturbed(variant.state_noise, draws.at("perturbation"))
    halted = variant.halting.halts(
        variant.generation.example_logits(output.halt_logits.detach(), labelled),
        output.continue_logits.detach(),
        result.solved,
        steps,
        max_steps=max_steps,
        earliest=earliest,
    )
    following_carry = replace(carry, state=state, steps=steps, halted=halted)
    return Supervision(output, result, following_carry, rows)
