"""Sequences as a family of puzzles: sums of two numbers, answered digit by digit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from storage.examples import Codec
from trm_model.puzzles.family import (
    Bools,
    Family,
    Grid,
    Ints,
    PlannedExamples,
    Question,
    Tokens,
    Verdict,
)
from trm_model.puzzles.picture import Picture
from trm_model.puzzles.sequence.checks import check_examples
from trm_model.puzzles.sequence.drawing import to_picture
from trm_model.puzzles.sequence.examples import AdditionExamples
from trm_model.puzzles.sequence.text import from_text, to_text
from trm_model.puzzles.sequence.tokens import (
    BLANK,
    END,
    MAX_DIGITS,
    PAD,
    ZERO,
    kind_of,
    length,
    to_tokens,
    vocabulary,
)


@dataclass(frozen=True, slots=True)
class Addition(Family):
    """Sums of two numbers on one row: of ``digits`` digits each, or, with ``ended``, of any number
    of digits up to that, answered by digits and an end.

    Text: ``12+34=``; leading zeros may be missing. An answer has its least significant digit
    first; cells of the question count for nothing in it.
    """

    name: ClassVar[str] = "sequence"
    codec: ClassVar[Codec] = "bitshuffle"
    examples: ClassVar[type[PlannedExamples]] = AdditionExamples
    checks: ClassVar[Mapping[str, str]] = {
        "label_solves_input": "Every answer is the sum of its question's numbers."
    }
    command: ClassVar[str | None] = "trm_model.puzzles.sequence.command:sequence"

    digits: int
    ended: bool = False

    @classmethod
    def at(cls, grid: Grid) -> Self | None:
        rows, columns = grid
        digits, ended = kind_of(columns)
        fits = rows == 1 and 1 <= digits <= MAX_DIGITS and columns == length(digits, ended=ended)
        return cls(digits, ended) if fits else None

    @property
    def grid(self) -> Grid:
        return 1, length(self.digits, ended=self.ended)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return vocabulary(ended=self.ended)

    @property
    def end(self) -> int | None:
        return END if self.ended else None

    @property
    def asked(self) -> int:
        """Cells of the question; those of the answer follow."""
        return 2 * self.digits + 2

    def read(self, text: str) -> list[Question]:
        numbers = from_text(text.strip())
        if max(numbers) >= 10**self.digits:
            raise ValueError(
                f"{text.strip()!r}: expected numbers of at most {self.digits} digits, as the "
                "model's sums have"
            )
        return [Question(self.sums(np.array([numbers], np.int64))[0][0])]

    def sums(self, pairs: Ints) -> tuple[Tokens, Tokens]:
        """Questions and labels, tokens [N, L] each, of pairs of numbers [N, 2]."""
        return to_tokens(pairs, self.digits, ended=self.ended)

    def draw(self, tokens: Tokens) -> str:
        return self.plain(tokens)

    def plain(self, tokens: Tokens) -> str:
        known = self.known(tokens)
        # Where lengths vary, a pad is where nothing is written.
        return to_text(known[known != PAD] if self.ended else known)

    def judge(self, question: Question, answer: Tokens) -> Verdict:
        first, second = from_text(self.plain(question.cells[: self.asked]))
        label = self.sums(np.array([(first, second)], np.int64))[1][0]
        counted = label != PAD
        found, expected = answer[counted], label[counted]
        wrong = int((found != expected).sum())
        if not wrong:
            return Verdict(True, f"{first} + {second} = {first + second}")
        return Verdict(
            False,
            f"{wrong} of {len(expected)} digits{' and end' if self.ended else ''} differ from "
            f"those of {first + second}, the least significant first",
        )

    def check(self, inputs: Tokens, labels: Tokens) -> dict[str, Bools]:
        return {"label_solves_input": check_examples(inputs, labels)}

    def trivial(self, inputs: Tokens) -> dict[str, Tokens]:
        digits = np.clip(inputs[:, : self.digits].astype(np.int64) - ZERO, 0, 9)
        number = digits @ 10 ** np.arange(self.digits)[::-1]
        return {"copy the first number": self.sums(np.stack((number, 0 * number), 1))[1]}

    def answered(self, inputs: Tokens) -> Bools:
        return inputs == BLANK

    def groups(self, inputs: Tokens, labels: Tokens) -> dict[str, Ints]:
        """``length``: digits of the longer number, without its leading zeros; 0 has one."""
        del labels
        numbers = inputs[:, : self.digits], inputs[:, self.digits + 1 : self.asked - 1]
        written = np.logical_or(*((number != ZERO) & (number != PAD) for number in numbers))
        written[:, -1] = True
        return {"length": self.digits - written.argmax(axis=1)}

    def picture(self, question: Tokens, shown: Tokens, label: Tokens | None = None) -> Picture:
        return to_picture(question, self.known(shown), label)
