"""Evaluation: every example for all supervision steps, as the papers do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trm_model.model.batch import IGNORE, Batch, DeviceExamples
from trm_model.model.corruption import LEVELS, corrupted_answer, levels_at_test
from trm_model.model.generation import generate, most_examples
from trm_model.model.halting import example_logits
from trm_model.model.reasoner import Reasoner
from trm_model.model.state import Output, State
from trm_model.model.variant import NoisyStart, RandomStart
from trm_model.noise import Noise


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Per example: ``predictions`` uint8 [N, S, L] after each of the S test steps (or [N, 1, L]
    after the last), ``right_cells`` int64 [N, S], ``labelled_cells`` int64 [N], ``halt_logits``
    float32 [N, S]."""

    predictions: npt.NDArray[np.uint8]
    right_cells: npt.NDArray[np.int64]
    labelled_cells: npt.NDArray[np.int64]
    halt_logits: npt.NDArray[np.float32]

    @property
    def solved(self) -> npt.NDArray[np.bool_]:
        """Whether every labelled cell is right after each step, [N, S]."""
        return self.right_cells == self.labelled_cells[:, None]

    @property
    def halted_at(self) -> npt.NDArray[np.int32]:
        """The first step (1..S) whose halting logit is positive, S where none is, [N]."""
        halts = self.halt_logits > 0
        return np.where(halts.any(axis=1), halts.argmax(axis=1) + 1, halts.shape[1]).astype(
            np.int32
        )


@torch.no_grad()
def evaluate(
    reasoner: Reasoner,
    data: DeviceExamples,
    *,
    max_steps: int,
    batch_size: int,
    index: npt.NDArray[np.int64] | None = None,
    every_step: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Evaluation:
    """Run the variant's test steps on the examples ``index`` (None: all) of ``data`` in order;
    nothing halts early.

    :param max_steps: supervision steps of variants that do not set their own
        (:meth:`Variant.test_steps`).
    :param every_step: keep the predictions after each step, not only after the last (memory: S
        times as much).
    :param seed: of test-time noise, where a variant has it; an example's noise does not depend on
        the batch it is in.
    """
    parts: list[list[npt.NDArray[Any]]] = []
    chosen = np.arange(len(data)) if index is None else index
    steps = reasoner.variant.test_steps(max_steps)
    batch_size = most_examples(reasoner, steps, batch_size)
    for start in range(0, len(chosen), batch_size):
        part = chosen[start : start + batch_size]
        noise = Noise(seed, torch.from_numpy(part).to(data.device))
        parts.append(
            [
                t.cpu().numpy()
                for t in _evaluate_batch(reasoner, data.gather(part), steps, noise, every_step)
            ]
        )
        progress(start + len(part), len(chosen))
    return Evaluation(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


@torch.no_grad()
def rollout(reasoner: Reasoner, batch: Batch, steps: int, noise: Noise) -> Iterator[Output]:
    """The outputs of ``steps`` test steps, of [K * B] with K rollouts per example.

    DRM (authors' code): the first step starts from a wholly corrupted answer, each next one from
    the last step's answer with a falling share of cells corrupted again; z is kept, or starts
    afresh. Autoregressive variants: see :func:`trm_model.model.generation.generate`.
    """
    variant = reasoner.variant
    if variant.autoregressive:
        yield from generate(reasoner, batch, steps, noise)
        return
    wide, draws = batch.repeat(variant.test_rollouts), noise.repeat(variant.test_rollouts)
    rows = reasoner.puzzle_rows[wide.puzzle_ids]
    begin = reasoner.start(draws)
    state, logits, levels = begin, None, [LEVELS, *levels_at_test(steps)]
    for step in range(steps):
        now = draws.at("step", step)
        if isinstance(variant.start, NoisyStart):
            tokens = torch.zeros_like(wide.inputs) if logits is None else logits.argmax(-1)
            share = torch.full(
                (len(tokens),), levels[step] / LEVELS, dtype=torch.float64, device=tokens.device
            )
            latents = state.latents if variant.start.carried_latents else begin.latents
            state = State(
                corrupted_answer(reasoner, variant.start, tokens, share, rows, now, logits), latents
            )
        output = reasoner(wide.inputs, rows, state, now)
        state, logits = output.state, output.logits
        yield output


def answers(
    reasoner: Reasoner, batch: Batch, steps: int, noise: Noise
) -> Iterator[tuple[Tensor, Tensor]]:
    """The prediction int64 [B, L] and halting logit float32 [B] after each of ``steps`` test steps,
    from all rollouts of an example."""
    for output in rollout(reasoner, batch, steps, noise):
        prediction, halt_logits = _answer(reasoner, output, reasoner.variant.test_rollouts)
        yield prediction, example_logits(halt_logits, batch.labels != IGNORE)


def _answer(reasoner: Reasoner, output: Output, rollouts: int) -> tuple[Tensor, Tensor]:
    """One prediction [B, L] and halting logit [B] from those of all rollouts [K * B]."""
    predictions, halt_logits = output.logits.argmax(-1), output.halt_logits
    if rollouts == 1:
        return predictions, halt_logits
    predictions, halt_logits = (
        predictions.view(rollouts, -1, predictions.shape[-1]),
        halt_logits.view(rollouts, -1),
    )
    if isinstance(reasoner.variant.start, RandomStart):
        best = halt_logits.argmax(0)
        return predictions[best, torch.arange(len(best), device=best.device)], halt_logits.amax(0)
    return predictions.mode(0).values, halt_logits.mean(0)


def _evaluate_batch(
    reasoner: Reasoner, batch: Batch, steps: int, noise: Noise, every_step: bool
) -> tuple[Tensor, ...]:
    labelled = batch.labels != IGNORE
    predictions, right, logits = [], [], []
    for prediction, halt_logits in answers(reasoner, batch, steps, noise):
        predictions.append(prediction.to(torch.uint8))
        right.append(((prediction == batch.labels) & labelled).sum(-1))
        logits.append(halt_logits)
    kept = predictions if every_step else predictions[-1:]
    return torch.stack(kept, 1), torch.stack(right, 1), labelled.sum(-1), torch.stack(logits, 1)
