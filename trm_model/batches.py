"""From stored groups to batches on a device, in an order that depends on the seed and the position alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from storage.examples import Examples
from trm_model.losses import IGNORE
from trm_model.seeding import numpy_generator
from trm_model.supervision import Batch


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the stream of examples the next batch starts: an epoch and an offset into its examples."""

    epoch: int = 0
    offset: int = 0


class Sampler:
    """The papers' scheme: an epoch visits each group once, in random order, and draws one of its puzzles; the puzzle's examples, in
    random order, are packed into batches, which run on across epochs.

    :param seed: with the epoch, all that the order depends on.
    """

    def __init__(self, examples: Examples, batch_size: int, seed: int) -> None:
        if len(examples.group_offsets) < 2 or not len(examples.inputs):
            raise ValueError("no examples: expected at least one group; materialize the data set again")
        self.example_offsets = examples.example_offsets
        self.group_offsets = examples.group_offsets
        self.batch_size = batch_size
        self.seed = seed
        self._cached: tuple[int, npt.NDArray[np.int64]] | None = None

    def epoch(self, number: int) -> npt.NDArray[np.int64]:
        """Indices of the examples that epoch ``number`` visits, in order."""
        if self._cached is None or self._cached[0] != number:
            self._cached = (number, self._draw(number))
        return self._cached[1]

    def _draw(self, number: int) -> npt.NDArray[np.int64]:
        generator = numpy_generator(self.seed, "epoch", number)
        groups = generator.permutation(len(self.group_offsets) - 1)
        puzzles = generator.integers(self.group_offsets[groups], self.group_offsets[groups + 1])
        starts, sizes = self.example_offsets[puzzles], self.example_offsets[puzzles + 1] - self.example_offsets[puzzles]
        if (sizes == 1).all():
            return starts
        # Sort by (place of the puzzle, random number): the examples of each puzzle, shuffled among themselves.
        place = np.repeat(np.arange(len(puzzles)), sizes)
        index = np.arange(sizes.sum()) - np.repeat(sizes.cumsum() - sizes, sizes) + np.repeat(starts, sizes)
        return index[np.lexsort((generator.random(len(index)), place))]

    def batches(self, position: Position) -> Iterator[tuple[npt.NDArray[np.int64], Position]]:
        """Endless batches of example indices [batch_size] from ``position`` on, each with the position after it."""
        epoch, offset = position.epoch, position.offset
        while True:
            parts: list[npt.NDArray[np.int64]] = []
            missing = self.batch_size
            while missing:
                part = self.epoch(epoch)[offset : offset + missing]
                parts.append(part)
                missing -= len(part)
                offset += len(part)
                if missing:
                    epoch, offset = epoch + 1, 0
            yield np.concatenate(parts), Position(epoch, offset)


class DeviceExamples:
    """A split decoded once and kept on ``device``; batches are gathered there."""

    def __init__(self, examples: Examples, device: torch.device) -> None:
        self.inputs = torch.from_numpy(examples.inputs).to(device)
        self.labels = torch.from_numpy(examples.labels).to(device)
        puzzle_of_example = np.repeat(examples.puzzle_ids, np.diff(examples.example_offsets))
        self.puzzle_ids = torch.from_numpy(puzzle_of_example).to(device)
        self.ignore_id = examples.header.ignore_id
        self.device = device

    def __len__(self) -> int:
        return len(self.inputs)

    def gather(self, index: npt.NDArray[np.int64] | Tensor) -> Batch:
        """The examples at ``index`` [B] as a batch."""
        where = torch.as_tensor(index, device=self.device)
        labels = self.labels[where].long()
        labels[labels == self.ignore_id] = IGNORE
        return Batch(self.inputs[where].long(), labels, self.puzzle_ids[where].long())
