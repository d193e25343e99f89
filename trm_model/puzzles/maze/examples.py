"""Maze examples as a function of their index: mazes and their symmetric images, made when they are
asked for."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from storage.examples import Header
from trm_model.errors import require
from trm_model.puzzles.maze.tokens import VOCABULARY, Ints, Tokens
from trm_model.puzzles.symmetry import COUNT, images


class MazeExamples:
    """Mazes and some of their symmetric images as examples, made when they are asked for
    (:class:`storage.examples.ExampleSet`).

    Example ``i * (copies + 1) + k`` is image ``k`` of maze ``i``
    (:mod:`trm_model.puzzles.symmetry`; 0 is the maze itself); each is a puzzle of its own, a maze
    and its images are a group. The label of an image is the image of the label. Where several paths
    are shortest it need not be the one that ``tie="first"`` chooses there, since that rule knows
    directions: such labels contradict one another.

    :param inputs: mazes, tokens uint8 [N, side * side]; ``labels`` likewise.
    :param copies: images besides the maze itself, 0..7.
    :param seed: of the mazes; recorded in the header. Nothing here is drawn.
    :param sources: name -> hash of what the mazes were made from.
    :raises ConfigurationError: shapes or ``copies`` that cannot be.
    """

    def __init__(
        self,
        inputs: Tokens,
        labels: Tokens,
        side: int,
        copies: int,
        seed: int,
        sources: dict[str, str] | None = None,
    ) -> None:
        header = Header(
            vocabulary=VOCABULARY,
            grid=(side, side),
            seed=seed,
            augmentations=copies,
            sources=dict(sources or {}),
        )
        require(
            0 <= copies < COUNT,
            f"copies={copies}: expected 0..{COUNT - 1}, since a square has {COUNT} symmetries",
        )
        require(
            inputs.shape == labels.shape == (len(inputs), header.length)
            and inputs.dtype == labels.dtype == np.uint8,
            f"inputs {inputs.dtype} {inputs.shape} and labels {labels.dtype} {labels.shape}: "
            f"expected uint8 [N, {header.length}] both",
        )
        token = max(inputs.max(initial=0), labels.max(initial=0))
        require(token < len(VOCABULARY), f"token {token}: expected 0..{len(VOCABULARY) - 1}")
        self.header = header
        self.inputs, self.labels = inputs, labels
        self.puzzle_ids = np.zeros(len(inputs) * (copies + 1), np.int32)
        self.example_offsets = np.arange(len(self.puzzle_ids) + 1, dtype=np.int64)
        self.group_offsets = np.arange(len(inputs) + 1, dtype=np.int64) * (copies + 1)

    def rows(self, index: Ints) -> tuple[Tokens, Tokens]:
        """Inputs and labels of the examples at ``index`` [K]: uint8 [K, side * side] x 2."""
        mazes, which = np.divmod(np.asarray(index, np.int64), self.header.augmentations + 1)
        side = self.header.grid[0]
        return images(self.inputs, mazes, which, side), images(self.labels, mazes, which, side)

    def plan(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What :meth:`from_plan` needs besides the header: parameters (none) and arrays."""
        return {}, {"inputs": self.inputs, "labels": self.labels}

    @classmethod
    def from_plan(
        cls, header: Header, parameters: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]
    ) -> Self:
        """The examples that had this header and :meth:`plan`."""
        require(not parameters, f"parameters {sorted(parameters)}: expected none for mazes")
        return cls(
            arrays["inputs"],
            arrays["labels"],
            header.grid[0],
            header.augmentations,
            header.seed,
            header.sources,
        )
