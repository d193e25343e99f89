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
from trm_model.puzzles.sequence.tokens import MAX_DIGITS, VOCABULARY, ZERO, to_tokens


@dataclass(frozen=True, slots=True)
class Addition(Family):
    """Sums of two numbers of ``digits`` digits, on one row of 3 ``digits`` + 3 cells.

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

    @classmethod
    def at(cls, grid: Grid) -> Self | None:
        rows, columns = grid
        digits = columns // 3 - 1
        fits = rows == 1 and columns % 3 == 0 and 1 <= digits <= MAX_DIGITS
        return cls(digits) if fits else None

    @property
    def grid(self) -> Grid:
        return 1, 3 * self.digits + 3

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return VOCABULARY

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
        return [Question(to_tokens(np.array([numbers], np.int64), self.digits)[0][0])]

    def draw(self, tokens: Tokens) -> str:
        return to_text(self.known(tokens))

    def plain(self, tokens: Tokens) -> str:
        return to_text(self.known(tokens))

    def judge(self, question: Question, answer: Tokens) -> Verdict:
        first, second = from_text(to_text(question.cells[: self.asked]))
        label = to_tokens(np.array([(first, second)], np.int64), self.digits)[1][0]
        found, expected = answer[self.asked :], label[self.asked :]
        wrong = int((found != expected).sum())
        if not wrong:
            return Verdict(True, f"{first} + {second} = {first + second}")
        return Verdict(
            False,
            f"{wrong} of {len(expected)} digits differ from those of {first + second}, the least "
            "significant first",
        )

    def check(self, inputs: Tokens, labels: Tokens) -> dict[str, Bools]:
        return {"label_solves_input": check_examples(inputs, labels)}

    def trivial(self, inputs: Tokens) -> dict[str, Tokens]:
        answers = np.full_like(inputs, ZERO)
        answers[:, self.asked : -1] = inputs[:, self.digits - 1 :: -1]
        return {"copy the first number": answers}

    def groups(self, inputs: Tokens, labels: Tokens) -> dict[str, Ints]:
        """``length``: digits of the longer number, without its leading zeros; 0 has one."""
        del labels
        numbers = inputs[:, : self.digits], inputs[:, self.digits + 1 : self.asked - 1]
        written = (numbers[0] != ZERO) | (numbers[1] != ZERO)
        written[:, -1] = True
        return {"length": self.digits - written.argmax(axis=1)}

    def picture(self, question: Tokens, shown: Tokens, label: Tokens | None = None) -> Picture:
        return to_picture(question, self.known(shown), label)
