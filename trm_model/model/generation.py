"""Answers cell by cell, each refined against the kept keys and values of the positions before it
(docs/autoregressive.md)."""

import torch
from torch import Tensor

from trm_model.model.batch import IGNORE, Batch
from trm_model.model.reasoner import Reasoner
from trm_model.model.state import Output, State
from trm_model.noise import Noise

CACHE_BYTES = 1 << 30
"""Size that a cache stays below in evaluation, unless one example's is larger."""


def most_examples(reasoner: Reasoner, steps: int, wanted: int) -> int:
    """How many of the ``wanted`` examples to answer together: where they are answered cell by cell,
    as many as have a cache of ``steps`` supervision steps in :data:`CACHE_BYTES`, at least one."""
    if not reasoner.variant.autoregressive:
        return wanted
    numbers = (
        2
        * steps
        * reasoner.variant.depth
        * (reasoner.size.prefix + reasoner.length)
        * reasoner.size.width
    )
    return min(wanted, max(1, CACHE_BYTES // (numbers * reasoner.dtype.itemsize)))


class Cache:
    """Keys and values of all positions so far, for every attention of the recursion: those that
    training's causal mask would show.

    In training, a position's call c of supervision step s attends to the same call of all earlier
    positions. So there are ``steps * calls * layers`` entries per position. Positions that have
    halted go on showing the keys and values of their last step.

    :param steps: supervision steps that positions may take.
    :param final: keep those of a position's last cycle alone, whatever a later position's step and
        cycle. Smaller ``steps * cycles`` times, but not what training has seen.
    """

    def __init__(
        self, reasoner: Reasoner, batch_size: int, steps: int, *, final: bool = False
    ) -> None:
        variant, size = reasoner.variant, reasoner.size
        self.per_step, self.final = variant.depth // (variant.cycles if final else 1), final
        positions, head_width = size.prefix + reasoner.length, size.width // size.heads
        shape = (
            self.per_step * (1 if final else steps),
            2,
            batch_size,
            size.heads,
            positions,
            head_width,
        )
        self.entries = torch.empty(shape, dtype=reasoner.dtype, device=reasoner.halt_bias.device)
        self.start = self.stop = self._next = self._step = 0
        self._halted: Tensor | None = None

    def move(self, start: int, stop: int) -> None:
        """Go on with the positions ``start`` to ``stop``, at their first step."""
        self.start, self.stop, self._step = start, stop, -1

    def step(self, halted: Tensor) -> None:
        """Begin the positions' next supervision step; examples ``halted`` [B] take no part in
        it."""
        self._step, self._next = self._step + 1, 0
        self._halted = halted.view(-1, 1, 1, 1) if halted.any() else None

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`trm_model.model.blocks.KeysAndValues`."""
        place = self._next % self.per_step + (0 if self.final else self._step * self.per_step)
        self._next += 1
        new, here = torch.stack((key, value)), slice(self.start, self.stop)
        if self._halted is not None:
            before = self.entries[place if self.final else place - self.per_step, ..., here, :]
            new = torch.where(self._halted, before, new)
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
    reasoner: Reasoner,
    batch: Batch,
    steps: int,
    noise: Noise,
    *,
    halting: bool = False,
    final: bool = False,
) -> list[Output]:
    """Answer the labelled cells from the first to the last; of labels only *where* they are is
    used. Greedy.

    All before the first labelled cell is one part: its positions are refined together. Then each
    position takes its supervision steps (n x T calls each) against the kept keys and values of
    those before it, its answer is what the next one reads, and its own keys and values are kept.

    :param steps: supervision steps of each position.
    :param halting: a cell stops at its first step with a positive halting logit.
    :param final: see :class:`Cache`.
    :returns: the outputs after each step: of every cell what it answered after that many steps of
        its own, halted cells after their last, reading what earlier cells answered in the end.
    """
    labelled = batch.labels != IGNORE
    rows, start = reasoner.puzzle_rows[batch.puzzle_ids], reasoner.start(noise)
    cache = Cache(reasoner, len(labelled), steps, final=final)
    answers, prefix = torch.zeros_like(batch.inputs), reasoner.size.prefix
    first = prefix + int(labelled.any(0).int().argmax())
    ends = range(max(first, 1), prefix + reasoner.length + 1)
    parts: list[list[State]] = [[] for _ in range(steps)]
    for begin, end in zip((0, *ends), ends, strict=False):
        question = reasoner.embed(batch.inputs, rows, answers)[:, begin:end]
        state = start.part(begin, end)
        halted = torch.zeros(len(labelled), dtype=torch.bool, device=labelled.device)
        cache.move(begin, end)
        for step in range(steps):
            if halted.all():
                parts[step].append(state)
                continue
            cache.step(halted)
            state = state.where(
                halted, reasoner.recurse(question, state, reasoner.variant, noise, cache)
            )
            parts[step].append(state)
            if halting and begin >= first:
                halted |= labelled[:, begin - prefix] & (
                    reasoner.read(state, 0).halt_logits[:, 0] > 0
                )
        if halted.all():
            cache.finish()
        if begin >= first:
            answer = reasoner.read(state, 0).logits[:, 0].argmax(-1)
            answers[:, begin - prefix] = answer.masked_fill(~labelled[:, begin - prefix], 0)
    return [reasoner.read(State.joined(states)) for states in parts]
