"""What becomes of a training whose loss or gradient is not finite.

Whether one was is noted on the device at each step, and read where the host waits for the device
anyhow: with a row of figures, and before a checkpoint. So no checkpoint holds what follows from
one, and no step waits.
"""

import contextlib
import json
import math
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from trm_model.model.state import State
from trm_model.training.figures import read_rows
from trm_model.training.group import Group
from trm_model.training.supervision import Carry, Learned

EVENTS = "nonfinite.jsonl"
"""The file of a run that keeps what was not finite: a row of JSON each, whose ``step`` is the one
after which the training went on otherwise."""
MOST_REWINDS = 3
"""How often a training goes back to the same checkpoint before it gives up."""


class Found(NamedTuple):
    """Steps whose loss or gradient was not finite.

    :param step: the first one.
    :param steps: of them since they were last asked for.
    :param examples: of the first one, those whose own loss was not finite, or all where none was,
        by their indices in the data set; an example that was under way when the process started is
        left out.
    :param puzzle_ids: of the same examples, in order and without repetitions.
    """

    step: int
    steps: int = 1
    examples: tuple[int, ...] = ()
    puzzle_ids: tuple[int, ...] = ()

    def __str__(self) -> str:
        """In words."""
        examples = f"{_some(self.examples)} (puzzle ids {_some(self.puzzle_ids)})"
        more = f"; later steps like it: {self.steps - 1}" if self.steps > 1 else ""
        return f"a loss or gradient that is not finite, of the examples {examples}{more}"


def _some(numbers: tuple[int, ...], most: int = 8) -> str:
    shown = ", ".join(map(str, numbers[:most])) or "unknown"
    return shown + f" and {len(numbers) - most} more" * (len(numbers) > most)


class Watch:
    """Notes on the device which steps were not finite, and of the first one the examples."""

    def __init__(self, device: torch.device) -> None:
        self._under_way = torch.empty(0, dtype=torch.int64, device=device)
        self._count = torch.zeros(1, dtype=torch.int64, device=device)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)
        self._first: Tensor | None = None

    def take(self, index: Tensor, halted: Tensor | None) -> None:
        """Examples at ``index``, int64 [B], take the places of those that have ``halted``, bool
        [B]; None: nothing was under way."""
        before = self._under_way if len(self._under_way) else torch.full_like(index, -1)
        self._under_way = index if halted is None else torch.where(halted, index, before)

    def note(
        self, step: int, learned: Learned, spoiled: Tensor, gradients: Sequence[Tensor]
    ) -> Tensor:
        """Note a step after its backward pass.

        :param learned: of this process's examples.
        :param spoiled: how many examples of all processes have a loss that is not finite, [1].
        :param gradients: those that all processes share.
        :returns: whether all losses and gradients are finite, bool scalar on the device; every
            process finds the same.
        """
        ids, none = learned.carry.batch.puzzle_ids, spoiled == 0
        finite = none.all() & get_total_norm(gradients, math.inf).isfinite()
        named = learned.spoiled | none
        now = torch.stack((self._under_way, ids.to(torch.int64)), 1).where(named[:, None], -1)
        is_first = ~finite & (self._count == 0)
        self._step = torch.where(is_first, step, self._step)
        self._first = now if self._first is None else torch.where(is_first, now, self._first)
        self._count = self._count + ~finite
        return finite

    def read(self, group: Group) -> Found | None:
        """What was found since it was last asked for; waits for the device. All processes of the
        group must ask."""
        count = int(self._count)
        if count == 0 or self._first is None:
            return None
        self._count = torch.zeros_like(self._count)
        named = [row for row in group.everyones(self._first).tolist() if row != [-1, -1]]
        return Found(
            int(self._step),
            count,
            tuple(example for example, _ in named if example >= 0),
            tuple(sorted({puzzle for _, puzzle in named})),
        )


@contextlib.contextmanager
def unchanged_unless(
    finite: Tensor, tensors: Callable[[], Mapping[str, Tensor]]
) -> Generator[None]:
    """Undo what is done inside to tensors by name unless ``finite``, bool scalar on the device;
    tensors that come up inside are set to 0 then.

    It takes a copy of them all for the time. What an optimizer keeps on another device, such as a
    count of its steps, is not undone: that would wait for the device.
    """
    before = {name: tensor.detach().clone() for name, tensor in tensors().items()}
    yield
    for name, tensor in tensors().items():
        if tensor.device == finite.device:
            old = before.get(name)
            now = tensor.detach()
            now.copy_(torch.where(finite, now, torch.zeros_like(now) if old is None else old))


def dropped_unless(finite: Tensor, carry: Carry) -> Carry:
    """The carry, all of whose examples give way to fresh ones unless ``finite``."""
    state = carry.state
    nothing = State(
        torch.zeros_like(state.answer), tuple(torch.zeros_like(z) for z in state.latents)
    )
    return replace(
        carry,
        state=state.where(finite.expand(len(carry.halted)), nothing),
        halted=carry.halted | ~finite,
    )


def record(run: Path, found: Found, action: str, step: int) -> None:
    """Add to a run's :data:`EVENTS`.

    :param step: after which the training goes on otherwise.
    """
    row = {"action": action, **found._asdict(), "at": found.step, "step": step}
    with (run / EVENTS).open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(row) + "\n")
        lines.flush()
        os.fsync(lines.fileno())


def passed_over(run: Path) -> int:
    """How many steps of a run have been passed over."""
    return sum(row["steps"] for row in read_rows(run / EVENTS) if row.get("action") == "skip")


def rewinds(run: Path) -> list[int]:
    """The steps that a run has gone back to, in order."""
    return [row["step"] for row in read_rows(run / EVENTS) if row.get("action") == "rewind"]
