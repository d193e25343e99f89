"""Answers cell by cell, each refined against the kept keys and values of the positions before it
(docs/autoregressive.md).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trm_model.errors import require
from trm_model.model.batch import IGNORE, Batch
from trm_model.model.evaluation import Evaluation
from trm_model.model.generations.generation import Generation, Outputs, played
from trm_model.model.part import Facts, ModelView
from trm_model.model.starts.start import Start
from trm_model.model.state import Output, State
from trm_model.noise import Noise

CACHE_BYTES = 1 << 30
"""Size that a cache stays below in evaluation, unless one example's is larger."""


class Cache:
    """Keys and values of all positions so far, for every attention of the recursion: those that
    training's causal mask would show.

    In training, a position's call c of supervision step s attends to the same call of all earlier
    positions. So there are ``steps * calls * layers`` entries per position. Positions that have
    halted go on showing the keys and values of their last step.

    :param steps: supervision steps that positions may take.
    :param final: keep those of a position's last cycle alone, whatever a later position's step and
        cycle. This is smaller ``steps * cycles`` times, but not what training has seen.
    """

    def __init__(
        self, model: ModelView, batch_size: int, steps: int, *, final: bool = False
    ) -> None:
        size = model.size
        positions, head_width = size.prefix + model.length, size.width // size.heads
        entries = self.entries_of(model, steps, final=final)
        self.per_step, self.final = entries if final else model.layer_calls, final
        shape = (entries, 2, batch_size, size.heads, positions, head_width)
        self.entries = torch.empty(shape, dtype=model.dtype, device=model.answer_start.device)
        self.start = self.stop = self._next = self._step = 0
        self._halted: Tensor | None = None

    @staticmethod
    def entries_of(model: ModelView, steps: int, *, final: bool) -> int:
        """How many keys, and as many values, are kept of each position."""
        if final:
            return model.layer_calls // model.recursion.cycles
        return model.layer_calls * steps

    def move(self, start: int, stop: int) -> None:
        """Go on with the positions ``start`` to ``stop``, at their first step."""
        self.start, self.stop, self._step = start, stop, -1

    def step(self, halted: Tensor) -> None:
        """Begin the positions' next supervision step; examples ``halted`` bool [B] take no part in
        it.
        """
        self._step, self._next = self._step + 1, 0
        self._halted = halted.view(-1, 1, 1, 1) if halted.any() else None

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`trm_model.model.state.KeysAndValues`."""
        place = self._next % self.per_step + (0 if self.final else self._step * self.per_step)
        self._next += 1
        new, here = torch.stack((key, value)), slice(self.start, self.stop)
        if self._halted is not None:
            earlier = place if self.final else place - self.per_step
            new = torch.where(self._halted, self.entries[earlier, ..., here, :], new)
        self.entries[place, ..., here, :] = new
        keys, values = self.entries[place, ..., : self.stop, :]
        return keys, values

    def finish(self) -> None:
        """All examples have halted: later steps show the keys and values of this one."""
        if not self.final:
            first, here = (self._step + 1) * self.per_step, slice(self.start, self.stop)
            last = self.entries[first - self.per_step : first, ..., here, :]
            for begin in range(first, len(self.entries), self.per_step):
                self.entries[begin : begin + self.per_step, ..., here, :] = last


@torch.no_grad()
def generate(
    model: ModelView,
    batch: Batch,
    steps: int,
    noise: Noise,
    *,
    halting: bool = False,
    final: bool = False,
    end: int | None = None,
) -> list[Output]:
    """Answer the labelled cells from the first to the last, greedily, or until the end. Of the
    labels only *where* they are is used.

    Everything before the first labelled cell is one part: its positions are refined together. Then
    each position takes its supervision steps (n x T calls each) against the kept keys and values
    of those before it, its answer is what the next one reads, and its own keys and values are kept.

    :param steps: supervision steps of each position.
    :param halting: a cell stops at its first step with a positive halting logit.
    :param final: see :class:`Cache`.
    :param end: token that ends an answer: later cells of an example stay as they start, and nothing
        is computed once all its answers have ended.
    :returns: the outputs after each step: of every cell what it answered after that many steps of
        its own, halted cells after their last, reading what earlier cells answered in the end.
    """
    labelled = batch.labels != IGNORE
    rows, start = model.puzzle_rows[batch.puzzle_ids], model.start(noise)
    cache = Cache(model, len(labelled), steps, final=final)
    answers, prefix = torch.zeros_like(batch.inputs), model.size.prefix
    first = prefix + int(labelled.any(0).int().argmax())
    stops = range(max(first, 1), prefix + model.length + 1)
    parts: list[list[State]] = [[] for _ in range(steps)]
    ended = torch.zeros(len(labelled), dtype=torch.bool, device=labelled.device)
    for begin, stop in zip((0, *stops), stops, strict=False):
        if ended.all():
            rest = start.part(begin, prefix + model.length)
            parts = [[*part, rest] for part in parts]
            break
        question = model.embed(batch.inputs, rows, answers)[:, begin:stop]
        state = start.part(begin, stop)
        halted = torch.zeros_like(ended)
        cache.move(begin, stop)
        for step in range(steps):
            if (halted | ended).all():
                parts[step].append(state)
                continue
            cache.step(halted)
            following = model.recurse(question, state, model.recursion, noise, cache)
            state = state.where(halted | ended, following)
            parts[step].append(state)
            if halting and begin >= first:
                wants = model.read(state, 0).halt_logits[:, 0] > 0
                halted |= labelled[:, begin - prefix] & wants
        if (halted | ended).all():
            cache.finish()
        if begin >= first:
            answer = model.read(state, 0).logits[:, 0].argmax(-1)
            answers[:, begin - prefix] = answer.masked_fill(~labelled[:, begin - prefix], 0)
            if end is not None:
                ended |= labelled[:, begin - prefix] & (answer == end)
    return [model.read(State.joined(states)) for states in parts]


@dataclass(frozen=True, slots=True)
class Autoregressive(Generation):
    """Cells are answered one after the other, each attending to those before it alone and reading
    the answer of the last of them; the halting head judges each cell.
    """

    name: ClassVar[str] = "autoregressive"
    causal: ClassVar[bool] = True
    reads_answers: ClassVar[bool] = True

    def check(self, variant: Facts) -> None:
        """No part of the variant may let a position see later ones, or need more of earlier ones
        than their keys and values.
        """
        for part in variant.parts():
            require(
                not part.not_causal,
                f"{type(part).__name__} with generation=Autoregressive(): {part.not_causal}, or "
                "generation=Parallel()",
            )

    def teacher(self, target: Tensor) -> Tensor | None:
        """Each cell reads the right answer of the one before it (teacher forcing)."""
        return target

    def judged(self, answer: Tensor, prefix: int) -> Tensor:
        """See :class:`Generation`."""
        return answer[:, prefix:]

    def judged_right(self, cell_right: Tensor, solved: Tensor) -> Tensor:
        """See :class:`Generation`."""
        del solved
        return cell_right

    def halting_loss(self, losses: Tensor, labelled: Tensor) -> Tensor:
        """The mean over the labelled cells."""
        return torch.where(labelled, losses, 0.0).sum(-1) / labelled.sum(-1).clamp(min=1)

    def example_logits(self, halt_logits: Tensor, labelled: Tensor) -> Tensor:
        """The least of the labelled cells', since an example is finished when its last cell is."""
        return halt_logits.masked_fill(~labelled, torch.inf).amin(-1)

    def most_examples(
        self, model: ModelView, depth: int, wanted: int, evaluation: Evaluation
    ) -> int:
        """As many as have a cache of ``depth`` supervision steps in :data:`CACHE_BYTES`, at least
        one.
        """
        positions = model.size.prefix + model.length
        calls = Cache.entries_of(model, depth, final=_final(evaluation))
        numbers = 2 * calls * positions * model.size.width
        return min(wanted, max(1, CACHE_BYTES // (numbers * model.dtype.itemsize)))

    def going_on(self, halt_logits: Tensor, cells: Tensor, evaluation: Evaluation) -> Tensor:
        """The share of the cells that have not halted, where they halt one by one."""
        if not evaluation.halting_per_cell:
            return Generation.going_on(self, halt_logits, cells, evaluation)
        share = ((halt_logits <= 0) & cells).sum(-1) / cells.sum(-1).clamp(min=1)
        return share.float()

    def require_evaluation(self, evaluation: Evaluation) -> None:
        """See :class:`Generation`."""
        given = [f"rollouts={evaluation.rollouts}"] if evaluation.rollouts > 1 else []
        given += filter(None, [evaluation.disturbances])
        require(
            not given,
            f"{', '.join(given)} with cells answered one after the other: rollouts, noise, random "
            "starts and damping belong to whole answers; use rollouts=1 and none of the others",
        )

    def rollout(
        self,
        model: ModelView,
        start: Start,
        batch: Batch,
        depth: int,
        evaluation: Evaluation,
        noise: Noise,
        end: int | None = None,
    ) -> Outputs:
        """See :func:`generate`; nothing is saved by rows that do not go on."""
        del start
        outputs = generate(
            model,
            batch,
            depth,
            noise,
            halting=evaluation.halting_per_cell,
            final=_final(evaluation),
            end=end,
        )
        return played(outputs)


def _final(evaluation: Evaluation) -> bool:
    return evaluation.keys_and_values == "last_cycle"
