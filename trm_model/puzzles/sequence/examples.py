"""Sums as a function of their index, made when they are asked for."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from storage.examples import Header
from trm_model.errors import require
from trm_model.puzzles.sequence.tokens import (
    PAD,
    Ints,
    Tokens,
    kind_of,
    length,
    to_tokens,
    vocabulary,
)


class AdditionExamples:
    """Sums as examples: each question, then (``copies`` = 1) the same with its numbers
    exchanged.

    :param pairs: int64 [N, 2].
    :param digits: of each number; at most where the answers end.
    :param copies: 0 or 1.
    :param seed: recorded in the header; nothing here is drawn.
    :param sources: name -> hash of what the questions were made from.
    :param ended: numbers without leading zeros, and answers that end.
    :raises ConfigurationError: numbers or copies that cannot be.
    """

    def __init__(
        self,
        pairs: Ints,
        digits: int,
        copies: int,
        seed: int,
        sources: dict[str, str] | None = None,
        *,
        ended: bool = False,
    ) -> None:
        require(
            copies in (0, 1),
            f"copies={copies}: expected 0 or 1, since a sum can be exchanged in one way",
        )
        require(
            pairs.shape == (len(pairs), 2) and bool(((pairs >= 0) & (pairs < 10**digits)).all()),
            f"pairs {pairs.shape}: expected [N, 2] numbers of {digits} digits",
        )
        self.header = Header(
            vocabulary=vocabulary(ended=ended),
            grid=(1, length(digits, ended=ended)),
            seed=seed,
            augmentations=copies,
            sources=dict(sources or {}),
            ignore_id=PAD,
        )
        self.pairs, self.digits, self.ended = pairs, digits, ended
        self.puzzle_ids = np.zeros(len(pairs) * (copies + 1), np.int32)
        self.example_offsets = np.arange(len(self.puzzle_ids) + 1, dtype=np.int64)
        self.group_offsets = np.arange(len(pairs) + 1, dtype=np.int64) * (copies + 1)

    def rows(self, index: Ints) -> tuple[Tokens, Tokens]:
        """Inputs and labels, tokens [K, L] each, of the examples ``index`` [K], in that order."""
        which, exchanged = np.divmod(np.asarray(index, np.int64), self.header.augmentations + 1)
        pairs = self.pairs[which]
        pairs = np.where(exchanged[:, None] == 1, pairs[:, ::-1], pairs)
        return to_tokens(pairs, self.digits, ended=self.ended)

    def plan(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What :meth:`from_plan` needs beside the header: parameters (none) and arrays."""
        return {}, {"pairs": self.pairs}

    @classmethod
    def from_plan(
        cls, header: Header, parameters: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]
    ) -> Self:
        """The examples that had this header and :meth:`plan`."""
        require(not parameters, f"parameters {sorted(parameters)}: expected none for sums")
        digits, ended = kind_of(header.length)
        return cls(
            arrays["pairs"],
            digits,
            header.augmentations,
            header.seed,
            header.sources,
            ended=ended,
        )
