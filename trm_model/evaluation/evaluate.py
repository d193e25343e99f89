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

from trm_model.model.batch import IGNORE, Batch, DeviceExamples
from trm_model.model.evaluation import Evaluation
from trm_model.model.reasoner import Reasoner
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
    """The answers after each of ``depth`` test steps, chosen among all rollouts of an example.

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
        logits = generation.example_logits(output.halt_logits, labelled)
        going_on = generation.example_logits(output.continue_logits, labelled)
        prediction = output.logits.argmax(-1)
        if evaluation.stop_at_halting:
            if kept is not None:
                prediction = torch.where(stopped.unsqueeze(-1), kept[0], prediction)
                logits = torch.where(stopped, kept[1], logits)
                going_on = torch.where(stopped, kept[2], going_on)
            stopped = stopped | halting.wants(logits, going_on, unsolved)
            kept = prediction, logits, going_on
        chosen, chosen_logits = evaluation.selection.select(
            prediction.view(count, size, -1), logits.view(count, size)
        )
        halts = halting.wants(chosen_logits, going_on.view(count, size).mean(0), unsolved[:size])
        yield Answer(chosen, chosen_logits, halts)


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
    :param batch_size: most examples answered together; results do not depend on it.
    :param every_step: keep the predictions after each step, not only after the last (memory: S
        times as much).
    :param progress: told how many of how many examples are done.
    :raises ConfigurationError: an evaluation that the variant cannot have.
    """
    evaluation = evaluation or reasoner.variant.evaluation
    chosen = np.arange(len(data)) if index is None else index
    depth = reasoner.variant.test_steps(max_steps, evaluation)
    batch_size = reasoner.variant.generation.most_examples(reasoner, depth, batch_size)
    parts: list[list[npt.NDArray[Any]]] = []
    for start in range(0, len(chosen), batch_size):
        part = chosen[start : start + batch_size]
        # An example's noise depends on its number alone, not on the batch that it is in.
        noise = Noise(evaluation.seed, torch.from_numpy(part).to(data.device))
        batch = data.gather(part)
        found = list(answers(reasoner, batch, depth, evaluation, noise))
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
