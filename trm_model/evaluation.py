"""Evaluation: every example for all supervision steps, as the papers do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trm_model.batches import DeviceExamples
from trm_model.losses import IGNORE
from trm_model.reasoner import Reasoner
from trm_model.supervision import Batch, Carry


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Per example: ``predictions`` uint8 [N, S, L] after each of the S supervision steps, ``right_cells`` int64 [N, S],
    ``labelled_cells`` int64 [N], ``halt_logits`` float32 [N, S]."""

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
        return np.where(halts.any(axis=1), halts.argmax(axis=1) + 1, halts.shape[1]).astype(np.int32)


@torch.no_grad()
def evaluate(
    reasoner: Reasoner,
    data: DeviceExamples,
    *,
    max_steps: int,
    batch_size: int,
    limit: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Evaluation:
    """Run ``max_steps`` supervision steps on the first ``limit`` (None: all) examples of ``data`` in order; nothing halts early."""
    parts: list[list[npt.NDArray[Any]]] = []
    total = min(len(data), limit) if limit is not None else len(data)
    for start in range(0, total, batch_size):
        stop = min(start + batch_size, total)
        batch = data.gather(np.arange(start, stop))
        parts.append([t.cpu().numpy() for t in _evaluate_batch(reasoner, batch, max_steps)])
        progress(stop, total)
    return Evaluation(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _evaluate_batch(reasoner: Reasoner, batch: Batch, max_steps: int) -> tuple[torch.Tensor, ...]:
    state = Carry.fresh(reasoner, batch).state
    rows = reasoner.puzzle_rows[batch.puzzle_ids]
    labelled = batch.labels != IGNORE
    predictions, right, logits = [], [], []
    for _ in range(max_steps):
        output = reasoner(batch.inputs, rows, state)
        state = output.state
        prediction = output.logits.argmax(-1)
        predictions.append(prediction.to(torch.uint8))
        right.append(((prediction == batch.labels) & labelled).sum(-1))
        logits.append(output.halt_logits)
    return torch.stack(predictions, 1), torch.stack(right, 1), labelled.sum(-1), torch.stack(logits, 1)
