"""From stored groups to batches on a device, in an order that depends on the seed and the position
alone."""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from storage.examples import ExampleSet
from trm_model.errors import require
from trm_model.seeding import numpy_generator


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the stream of examples the next batch starts: an epoch and an offset into its
    examples."""

    epoch: int = 0
    offset: int = 0


class Sampler:
    """The papers' scheme: an epoch visits each group once, in random order, and draws one of its
    puzzles; the puzzle's examples, in random order, are packed into batches, which run on across
    epochs.

    :param batch_size: examples per optimizer step, of all processes.
    :param seed: with the epoch, all that the order depends on.
    :param puzzles: an epoch visits the first so many groups alone; None: all.
    :param share: which examples of every batch are this process's; None: all.
    """

    def __init__(
        self,
        examples: ExampleSet,
        batch_size: int,
        seed: int,
        *,
        puzzles: int | None = None,
        share: slice | None = None,
    ) -> None:
        groups = len(examples.group_offsets) - 1
        require(
            puzzles is None or puzzles <= groups,
            f"puzzles={puzzles}: expected at most the {groups} training puzzles of the data set; "
            "ask for fewer, or leave it out for all",
        )
        self.example_offsets = examples.example_offsets
        self.group_offsets = examples.group_offsets[: (puzzles or groups) + 1]
        self.batch_size = batch_size
        self.seed = seed
        self._share = share or slice(None)
        self._cached: tuple[int, npt.NDArray[np.int64]] | None = None

    def reseeded(self, seed: int) -> "Sampler":
        """The same but for the order."""
        other = copy(self)
        other.seed, other._cached = seed, None
        return other

    def epoch(self, number: int) -> npt.NDArray[np.int64]:
        """Indices of the examples that epoch ``number`` visits, in order."""
        if self._cached is None or self._cached[0] != number:
            self._cached = (number, self._draw(number))
        return self._cached[1]

    def _draw(self, number: int) -> npt.NDArray[np.int64]:
        generator = numpy_generator(self.seed, "epoch", number)
        groups = generator.permutation(len(self.group_offsets) - 1)
        puzzles = generator.integers(self.group_offsets[groups], self.group_offsets[groups + 1])
        starts, sizes = (
            self.example_offsets[puzzles],
            self.example_offsets[puzzles + 1] - self.example_offsets[puzzles],
        )
        if (sizes == 1).all():
            return starts
        # Sort by (place of the puzzle, random number): the examples of each puzzle, shuffled among
        # themselves.
        place = np.repeat(np.arange(len(puzzles)), sizes)
        index = (
            np.arange(sizes.sum())
            - np.repeat(sizes.cumsum() - sizes, sizes)
            + np.repeat(starts, sizes)
        )
        return index[np.lexsort((generator.random(len(index)), place))]

    def batches(self, position: Position) -> Iterator[tuple[npt.NDArray[np.int64], Position]]:
        """Endless batches of this process's example indices from ``position`` on, each with the
        position after it.

        The position, in a checkpoint, is all that is needed to go on exactly; it is the same in
        every process.
        """
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
            yield np.concatenate(parts)[self._share], Position(epoch, offset)
