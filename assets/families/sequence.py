"""Sequences (sums) in the graph: their table, where they come from, their checks."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

from assets.families.origin import (
    NO_LEAKAGE,
    Augmented,
    Imported,
    Origin,
    declared_checks,
    more_than,
    number_splits,
    silent,
    split_rows,
)
from assets.outcomes import Check, CheckOutcome, all_pass, leaks
from assets.tables import Puzzles
from trm_model.choices import check_fields
from trm_model.puzzles import sequence
from trm_model.puzzles.sequence import Addition, AdditionExamples
from trm_model.seeding import derive


class SequencePuzzles(Puzzles):
    """``12+34=`` and its sum, the least significant digit first; ``difficulty``: digits that hand a
    carry on. Where the answers end, the end is not written."""

    form: Series[str] = pa.Field(unique=True)


def _pairs(frame: pl.DataFrame) -> npt.NDArray[np.int64]:
    """The numbers of the questions, [N, 2]."""
    return np.array(
        [sequence.from_text(question) for question in frame["question"]], np.int64
    ).reshape(-1, 2)


class _Sums(Origin):
    """This class holds what all sums have in common."""

    __slots__ = ()

    schema: ClassVar[type[Puzzles]] = SequencePuzzles
    checks: ClassVar[Mapping[str, Check]] = {**declared_checks(Addition), **NO_LEAKAGE}
    distributions: ClassVar[Mapping[str, str]] = {"difficulty": "digits that hand a carry on"}

    @property
    @abstractmethod
    def family(self) -> Addition:
        """See :class:`Origin`."""

    def _described(self, pairs: npt.NDArray[np.int64], train: int, name: str) -> Imported:
        """The sums of the pairs [N, 2], of which the first ``train`` are for training."""
        question, answer = (
            [
                sequence.to_text(row[~np.isin(row, (sequence.PAD, sequence.BLANK, sequence.END))])
                for row in cells
            ]
            for cells in self.family.sums(pairs)
        )
        described = pl.DataFrame(
            {
                "question": question,
                "answer": answer,
                "difficulty": sequence.carries(pairs),
                "form": [f"{max(pair)}+{min(pair)}" for pair in pairs.tolist()],
                "source": [f"generated, seed {self.seed}"] * len(pairs),
            }
        )
        frame = number_splits(described, train, name)
        return Imported(frame, further=partial(self.further, frame))

    @abstractmethod
    def further(self, frame: pl.DataFrame, count: int) -> pl.DataFrame:
        """See :attr:`Imported.further`."""

    def check_puzzles(self, frame: pl.DataFrame) -> dict[str, CheckOutcome]:
        pairs = _pairs(frame)
        return {
            "label_solves_input": all_pass(
                np.array([int(answer[::-1]) for answer in frame["answer"]], np.int64)
                == pairs.sum(axis=1),
                "puzzle",
            ),
            # Computed again, not read from the table: the check must not trust what it checks.
            "no_leakage": leaks(
                frame["split"], [tuple(pair) for pair in np.sort(pairs, axis=1).tolist()]
            ),
        }

    def augmented(
        self,
        frame: pl.DataFrame,
        split: str,
        augmentations: int,
        seed: int,
        sources: dict[str, str],
    ) -> Augmented:
        part, copies = split_rows(frame, split, augmentations)
        digits, ended = self.family.digits, self.family.ended
        examples = AdditionExamples(_pairs(part), digits, copies, seed, sources, ended=ended)
        return Augmented(examples, part)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedAddition(_Sums):
    """Sums made by :func:`trm_model.puzzles.sequence.generation.generate`.

    :param digits: of each number.
    """

    digits: int
    train: int
    test: int
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, digits=1, train=1, test=1)

    @property
    def family(self) -> Addition:
        return Addition(self.digits)

    def puzzles(self, config: Any = None, log: Callable[[str], None] = silent) -> Imported:
        """Generate the sums; no question is in both splits, its numbers exchanged or not."""
        del config, log
        pairs = sequence.generate(self.train + self.test, self.digits, self.seed)
        return self._described(pairs, self.train, f"sum{self.digits}")

    def further(self, frame: pl.DataFrame, count: int) -> pl.DataFrame:
        """See :attr:`Imported.further`: puzzles of another seed."""
        seed = derive(self.seed, "validation")
        others = replace(self, seed=seed, train=more_than(count), test=1)
        return self.unlike(others.puzzles().frame, frame, count)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedLengths(_Sums):
    """Sums of any length whose answers end, made by
    :func:`trm_model.puzzles.sequence.generation.generate_lengths`.

    :param digits: of the longest numbers, which only the test has where they are more than
        ``trained_digits``.
    :param trained_digits: of the longest numbers to train on.
    """

    digits: int
    trained_digits: int
    train: int
    test: int
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, digits=1, trained_digits=1, train=1, test=1)

    @property
    def family(self) -> Addition:
        return Addition(self.digits, ended=True)

    def puzzles(self, config: Any = None, log: Callable[[str], None] = silent) -> Imported:
        """Generate the sums; no question is in both splits, its numbers exchanged or not."""
        del config, log
        splits = sequence.generate_lengths(
            self.train, self.test, self.trained_digits, self.digits, self.seed
        )
        return self._described(np.concatenate(splits), self.train, f"sums{self.digits}")

    def further(self, frame: pl.DataFrame, count: int) -> pl.DataFrame:
        """See :attr:`Imported.further`: puzzles of another seed, of lengths that are trained."""
        seed = derive(self.seed, "validation")
        others = replace(self, seed=seed, train=self.train + more_than(count), test=1)
        return self.unlike(others.puzzles().frame.filter(split="train"), frame, count)
