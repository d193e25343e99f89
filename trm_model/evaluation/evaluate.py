"""Carrying out an evaluation: every example for all supervision steps, as the papers do, or as the
evaluation says.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trm_model.finite import require_finite
from trm_model.model.batch import IGNORE, Batch, DeviceExamples
from trm_model.model.evaluation import Evaluation
from trm_model.model.reasoner import Reasoner
from trm_model.model.selections.selection import Judged
from trm_model.model.state import Output
from trm_model.noise import Noise


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation found for each of N examples.

    :param predictions: uint8 [N, S, L] after each of the S test steps, or [N, 1, L] after the last.
    :param right_cells: int64 [N, S].
    :param labelled_cells: int64 [N].
    :param halt_logits: float32 [N, S].
    :param halts: bool [N, S]: whether the variant's halting rule holds after each step.
    """

    predictions: npt.NDArray[np.uint8]
    right_cells: npt.NDArray[np.int64]
    labelled_cells: npt.NDArray[np.int64]
    halt_logits: npt.NDArray[np.float32]
    halts: npt.NDArray[np.bool_]

    @property
    def solved(self) -> npt.NDArray[np.bool_]:
        """Whether every labelled cell is right after each step, [N, S]."""
        return self.right_cells == self.labelled_cells[:, None]

    @property
    def halted_at(self) -> npt.NDArray[np.int32]:
        """The first step (1..S) at which the halting rule holds, S where it never does, [N]."""
        first = self.halts.argmax(axis=1) + 1
        last = self.halts.shape[1]
        return np.where(self.halts.any(axis=1), first, last).astype(np.int32)


class Answer(NamedTuple):
    """The chosen answers after one test step: ``prediction`` int64 [B, L], ``halt_logits`` float32
    [B], and whether the halting rule holds, ``halts`` bool [B].
    """

    prediction: Tensor
    halt_logits: Tensor
    halts: Tensor


@torch.no_grad()
def rollout(
    reasoner: Reasoner, batch: Batch, depth: int, evaluation: Evaluation, noise: Noise
) -> Iterator[Output]:
    """The outputs of ``depth`` test steps, of [K B] with K rollouts per example."""
    variant = reasoner.variant
    yield from variant.generation.rollout(reasoner, variant.start, batch, depth, evaluation, noise)


@torch.no_grad()
def answers(
    reasoner: Reasoner, batch: Batch, depth: int, evaluation: Evaluation, noise: Noise
) -> Iterator[Answer]:
    """The answers after each of ``depth`` test steps, chosen among all rollouts of an example; the
    halting logit is NaN where a logit of the answer is not finite.

    :raises ConfigurationError: an evaluation that the variant cannot have.
    """
    generation, halting = reasoner.variant.generation, reasoner.variant.halting
    generation.require_evaluation(evaluation)
    count, size = evaluation.rollouts, len(batch.inputs)
    labelled = (batch.labels != IGNORE).repeat(count, 1)
    # At test nobody knows whether an answer is right.
    unsolved = torch.zeros(len(labelled), dtype=torch.bool, device=labelled.device)
    stopped, kept = unsolved, None
    for output in rollout(reasoner, batch, depth, evaluation, noise):
        sound = output.logits.isfinite().all(-1).all(-1)
        halt_logits = generation.example_logits(output.halt_logits, labelled)
        tries = Judged(
            output.logits.argmax(-1),
            torch.where(sound, halt_logits, torch.nan),
            generation.example_logits(output.continue_logits, labelled),
        )
        if evaluation.stop_at_halting:
            if kept is not None:
                tries = Judged(
                    torch.where(stopped.unsqueeze(-1), kept.prediction, tries.prediction),
                    torch.where(stopped, kept.halt_logits, tries.halt_logits),
                    torch.where(stopped, kept.continue_logits, tries.continue_logits),
                )
            stopped = stopped | halting.wants(tries.halt_logits, tries.continue_logits, unsolved)
            kept = tries
        chosen = evaluation.selection.select(
            Judged(*(each.unflatten(0, (count, size)) for each in tries))
        )
        halts = halting.wants(chosen.halt_logits, chosen.continue_logits, unsolved[:size])
        yield Answer(chosen.prediction, chosen.halt_logits, halts)


def finite_answers(
    reasoner: Reasoner, batch: Batch, depth: int, evaluation: Evaluation, noise: Noise
) -> list[Answer]:
    """All :func:`answers`, which must come from finite numbers.

    :raises NotFiniteError: they do not.
    """
    found = list(answers(reasoner, batch, depth, evaluation, noise))
    require_finite({"logits of answers": torch.stack([answer.halt_logits for answer in found])})
    return found


def most_examples(reasoner: Reasoner, depth: int, evaluation: Evaluation, batch_size: int) -> int:
    """How many examples are answered together where at most ``batch_size`` rollouts are: at least
    one, with all its rollouts.
    """
    wanted = max(1, batch_size // evaluation.rollouts)
    return reasoner.variant.generation.most_examples(reasoner, depth, wanted)


def evaluate(
    reasoner: Reasoner,
    data: DeviceExamples,
    evaluation: Evaluation | None = None,
    *,
    max_steps: int,
    batch_size: int,
    index: npt.NDArray[np.int64] | None = None,
    every_step: bool = True,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Evaluated:
    """Test a model on the examples ``index`` int64 [N] (None: all) of ``data``, in order.

    :param evaluation: None: the variant's own.
    :param max_steps: supervision steps in training, where the evaluation leaves the depth open.
    :param batch_size: most rollouts computed together, of one or more examples; results do not
        depend on it.
    :param every_step: keep the predictions after each step, not only after the last (memory: S
        times as much).
    :param progress: told how many of how many examples are done.
    :raises ConfigurationError: an evaluation that the variant cannot have.
    :raises NotFiniteError: logits that are not finite.
    """
    evaluation = evaluation or reasoner.variant.evaluation
    chosen = np.arange(len(data)) if index is None else index
    depth = reasoner.variant.test_steps(max_steps, evaluation)
    size = most_examples(reasoner, depth, evaluation, batch_size)
    parts: list[list[npt.NDArray[Any]]] = []
    for start in range(0, len(chosen), size):
        part = chosen[start : start + size]
        # An example's noise depends on its number alone, not on the batch that it is in.
        noise = Noise(evaluation.seed, torch.from_numpy(part).to(data.device))
        batch = data.gather(part)
        found = finite_answers(reasoner, batch, depth, evaluation, noise)
        columns = _columns(batch, found, every_step=every_step)
        parts.append([column.cpu().numpy() for column in columns])
        progress(start + len(part), len(chosen))
    return Evaluated(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _columns(batch: Batch, found: list[Answer], *, every_step: bool) -> tuple[Tensor, ...]:
    """The fields of an :class:`Evaluated` for one batch."""
    labelled = batch.labels != IGNORE
    right = [((answer.prediction == batch.labels) & labelled).sum(-1) for answer in found]
    kept = found if every_step else found[-1:]
    return (
        torch.stack([answer.prediction.to(torch.uint8) for answer in kept], 1),
        torch.stack(right, 1),
        labelled.sum(-1),
        torch.stack([answer.halt_logits for answer in found], 1),
        torch.stack([answer.halts for answer in found], 1),
    )
