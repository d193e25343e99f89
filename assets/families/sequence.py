"""Sequences (sums) in the graph."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

from assets.benchmarks import GeneratedAddition
from assets.checks import Verdict
from assets.data.checks import all_pass, leaks, overlap_of_forms
from assets.data.splits import number_splits
from assets.families.family import Augmented, Imported, Overlap
from assets.tables import Puzzles
from storage.examples import Bytes2d, Codec
from trm_model.puzzles import sequence


class SequencePuzzles(Puzzles):
    """``12+34=`` and its sum, the least significant digit first; ``difficulty``: digits that hand a
    carry on."""

    form: Series[str] = pa.Field(unique=True)


def generated_sums(source: GeneratedAddition) -> pl.DataFrame:
    """Rows of :class:`assets.families.sequence.SequencePuzzles`; no question is in both splits, its
    numbers exchanged or not."""
    count = source.train + source.test
    pairs = sequence.generate(count, source.digits, source.seed)
    inputs, labels = sequence.to_tokens(pairs, source.digits)
    end = 2 * source.digits + 2
    described = pl.DataFrame(
        {
            "question": [sequence.to_text(row) for row in inputs[:, :end]],
            "answer": [sequence.to_text(row) for row in labels[:, end:]],
            "difficulty": sequence.carries(pairs),
            "form": [f"{max(pair)}+{min(pair)}" for pair in pairs.tolist()],
            "source": [f"generated, seed {source.seed}"] * count,
        }
    )
    return number_splits(described, source.train, f"sum{source.digits}")


class SequenceKind:
    """Sums of numbers of one length."""

    schema: ClassVar[type[Puzzles]] = SequencePuzzles
    codec: ClassVar[Codec] = "bitshuffle"
    distributions: ClassVar[Mapping[str, str]] = {"difficulty": "digits that hand a carry on"}

    def __init__(self, digits: int) -> None:
        self.digits = digits
        # The last digit, a carry, is 0 or 1; the others are any digit.
        self.chance = (0.5 + digits / 10) / (digits + 1)

    def _pairs(self, frame: pl.DataFrame) -> npt.NDArray[np.int64]:
        return np.array(
            [sequence.from_text(question) for question in frame["question"]], np.int64
        ).reshape(-1, 2)

    def puzzles(
        self, source: GeneratedAddition, config: object, log: Callable[[str], None]
    ) -> Imported:
        del config, log
        return Imported(generated_sums(source))

    def puzzle_checks(self, frame: pl.DataFrame, source: object) -> dict[str, Verdict]:
        del source
        pairs = self._pairs(frame)
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

    def overlap(self, one: pl.DataFrame, other: pl.DataFrame) -> Overlap:
        return overlap_of_forms(one, other)

    def augmented(
        self,
        frame: pl.DataFrame,
        split: str,
        augmentations: int,
        seed: int,
        sources: dict[str, str],
    ) -> Augmented:
        part = frame.filter(pl.col("split") == split)
        copies = augmentations if split == "train" else 0
        return Augmented(
            sequence.AdditionExamples(self._pairs(part), self.digits, copies, seed, sources), part
        )

    def example_checks(self, inputs: Bytes2d, labels: Bytes2d) -> dict[str, npt.NDArray[np.bool_]]:
        return {"label_solves_input": sequence.check_examples(inputs, labels)}

    def draw(self, axes: Any, question: Bytes2d, shown: Bytes2d, label: Bytes2d) -> None:
        count = len(question)
        axes.set_xlim(0, count)
        axes.set_ylim(0, 1)
        for cell, (asked, token, right) in enumerate(zip(question, shown, label, strict=True)):
            given = right == sequence.PAD
            color = (
                "black"
                if given or token == sequence.BLANK
                else "#1a7f37"
                if token == right
                else "#cf222e"
            )
            text = sequence.to_text(np.array([asked if given else token], np.uint8))
            axes.text(
                cell + 0.5,
                0.5,
                text,
                ha="center",
                va="center",
                color=color,
                fontsize=110 / count,
                family="monospace",
            )
