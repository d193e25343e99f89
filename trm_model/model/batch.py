"""Examples on a device."""

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from storage.examples import Examples, ExampleSet
from trm_model.devices import placed

IGNORE = -100
"""Label of a cell that is not counted (the authors' value)."""
ROWS = "rows"
"""The name of the threads that compute rows."""


_Place = TypeVar("_Place")


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples on one device: ``inputs`` int64 [B, L], ``labels`` int64 [B, L] (IGNORE: not
    counted), ``puzzle_ids`` int64 [B]."""

    inputs: Tensor
    labels: Tensor
    puzzle_ids: Tensor

    def where(self, mask: Tensor, other: "Batch") -> "Batch":
        """These examples where ``mask`` [B] holds, ``other``'s elsewhere."""
        rows = mask.unsqueeze(-1)
        return Batch(
            torch.where(rows, self.inputs, other.inputs),
            torch.where(rows, self.labels, other.labels),
            torch.where(mask, self.puzzle_ids, other.puzzle_ids),
        )

    def part(self, index: Tensor | slice) -> "Batch":
        """The examples at ``index``, row numbers int64 [K] or a slice."""
        return Batch(self.inputs[index], self.labels[index], self.puzzle_ids[index])

    @staticmethod
    def joined(parts: "Sequence[Batch]") -> "Batch":
        """One batch of several."""
        return Batch(
            torch.cat([part.inputs for part in parts]),
            torch.cat([part.labels for part in parts]),
            torch.cat([part.puzzle_ids for part in parts]),
        )

    def blank(self) -> "Batch":
        """The same examples, of no puzzle that is known: with puzzle id 0."""
        return Batch(self.inputs, self.labels, torch.zeros_like(self.puzzle_ids))

    def repeat(self, count: int) -> "Batch":
        """All examples ``count`` times, one time after the other: [count * B]."""
        return Batch(
            self.inputs.repeat(count, 1),
            self.labels.repeat(count, 1),
            self.puzzle_ids.repeat(count),
        )


class DeviceExamples:
    """Batches of examples on ``device``. Stored examples are kept and gathered there, and not here
    as well; others (online augmentation) are computed for each batch.
    """

    def __init__(self, examples: ExampleSet, device: torch.device) -> None:
        self._cells: tuple[Tensor, Tensor] | None = None
        if isinstance(examples, Examples):
            inputs, labels = torch.from_numpy(examples.inputs), torch.from_numpy(examples.labels)
            self._cells = inputs.to(device), labels.to(device)
        else:
            self._rows = examples.rows
        self._puzzle_ids = examples.puzzle_ids
        self._example_offsets = examples.example_offsets
        self._ignore_id = examples.header.ignore_id
        self.device = device

    def __len__(self) -> int:
        return int(self._example_offsets[-1])

    def gather(self, index: npt.NDArray[np.int64]) -> Batch:
        """The examples at ``index`` [B] as a batch."""
        if self._cells is None:
            return self._batch(index, self._rows(index))
        where = placed(torch.from_numpy(index), self.device)
        inputs, labels = (cells.index_select(0, where) for cells in self._cells)
        return self._on_device(index, inputs, labels)

    def gathered(
        self, order: Iterable[tuple[npt.NDArray[np.int64], _Place]]
    ) -> Generator[tuple[npt.NDArray[np.int64], _Place, Batch]]:
        """The batches at each index of ``order``, with whatever comes with it.

        Rows that are computed are so one batch ahead, in a thread beside whoever uses the batch
        before. Close the generator to end the thread; an error comes with its own batch.
        """
        if self._cells is not None:
            for index, place in order:
                yield index, place, self.gather(index)
            return
        pool = ThreadPoolExecutor(1, thread_name_prefix=ROWS)
        ahead = ((index, place, pool.submit(self._rows, index)) for index, place in order)
        try:
            now = next(ahead, None)
            while now is not None:
                following = next(ahead, None)
                index, place, rows = now
                yield index, place, self._batch(index, rows.result())
                now = following
        finally:
            pool.shutdown(cancel_futures=True)

    def _batch(
        self, index: npt.NDArray[np.int64], rows: tuple[npt.NDArray[np.uint8], ...]
    ) -> Batch:
        return self._on_device(
            index, *(placed(torch.from_numpy(cells), self.device) for cells in rows)
        )

    def _on_device(self, index: npt.NDArray[np.int64], inputs: Tensor, labels: Tensor) -> Batch:
        puzzle = np.searchsorted(self._example_offsets, index, side="right") - 1
        puzzle_ids = placed(torch.from_numpy(self._puzzle_ids[puzzle]), self.device)
        targets = labels.long()
        targets[targets == self._ignore_id] = IGNORE
        return Batch(inputs.long(), targets, puzzle_ids.long())
