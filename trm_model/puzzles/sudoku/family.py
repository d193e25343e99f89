"""Sudoku as a family of puzzles."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from storage.examples import Codec
from trm_model.puzzles.family import (
    NO_SOLUTION,
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
from trm_model.puzzles.sudoku.checks import check_examples
from trm_model.puzzles.sudoku.drawing import to_drawing, to_picture
from trm_model.puzzles.sudoku.examples import SudokuExamples
from trm_model.puzzles.sudoku.solving import solve
from trm_model.puzzles.sudoku.text import from_text, to_text
from trm_model.puzzles.sudoku.tokens import BLANK, SHAPES, Shape, from_tokens, to_tokens


@dataclass(frozen=True, slots=True)
class Sudoku(Family):
    """Sudoku on ``side`` x ``side`` cells, 4, 6 or 9.

    Text: a string of digits, ``.`` or ``0`` for a blank; white space and the rules of a drawing do
    not count.
    """

    name: ClassVar[str] = "sudoku"
    codec: ClassVar[Codec] = "bitshuffle"
    examples: ClassVar[type[PlannedExamples]] = SudokuExamples
    checks: ClassVar[Mapping[str, str]] = {
        "label_solves_input": ("Every answer holds each digit once in every row, column and box."),
        "clues_kept": "Every answer has its puzzle's digit wherever the puzzle has one.",
    }
    verifies: ClassVar[bool] = True
    command: ClassVar[str | None] = "trm_model.puzzles.sudoku.command:sudoku"

    side: int

    @classmethod
    def at(cls, grid: Grid) -> Self | None:
        return cls(grid[0]) if grid[0] == grid[1] and grid[0] in SHAPES else None

    @property
    def grid(self) -> Grid:
        return self.side, self.side

    @property
    def shape(self) -> Shape:
        """Of the boxes."""
        return SHAPES[self.side]

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self.shape.vocabulary

    def read(self, text: str) -> list[Question]:
        cells = re.sub(r"[\s|+-]", "", text)
        if len(cells) != self.cells:
            raise self.wrong_size(len(cells))
        return [Question(to_tokens(from_text(cells, self.shape)))]

    def draw(self, tokens: Tokens) -> str:
        return to_drawing(from_tokens(self.known(tokens)), self.shape)

    def plain(self, tokens: Tokens) -> str:
        return to_text(from_tokens(self.known(tokens)))

    def judge(self, question: Question, answer: Tokens) -> Verdict:
        solved, kept = check_examples(question.cells[None], answer[None], self.shape)
        if solved[0] and kept[0]:
            return Verdict(
                True, "every row, column and box has every digit once, and the clues are kept"
            )
        if not solve(from_tokens(question.cells)[None], self.shape, limit=1).counts[0]:
            return Verdict(False, NO_SOLUTION)
        reasons: list[str] = []
        if not solved[0]:
            reasons.append("not every row, column and box has every digit once")
        if not kept[0]:
            changed = (question.cells != BLANK) & (question.cells != answer)
            reasons.append(f"clues changed: {int(changed.sum())}")
        return Verdict(False, "; ".join(reasons))

    def check(self, inputs: Tokens, labels: Tokens) -> dict[str, Bools]:
        solved, kept = check_examples(inputs, labels, self.shape)
        return {"label_solves_input": solved, "clues_kept": kept}

    def metrics(self, inputs: Tokens, labels: Tokens, answers: Tokens) -> dict[str, Bools]:
        """``valid``: the answer obeys the rules and keeps the clues, which is the label where the
        solution is the only one."""
        del labels
        solved, kept = check_examples(inputs, answers, self.shape)
        return {"valid": solved & kept}

    def groups(self, inputs: Tokens, labels: Tokens) -> dict[str, Ints]:
        """``blanks``: cells to be filled in."""
        del labels
        return {"blanks": (inputs == BLANK).sum(axis=1)}

    def picture(self, question: Tokens, shown: Tokens, label: Tokens | None = None) -> Picture:
        puzzle, grid = (from_tokens(self.known(tokens)) for tokens in (question, shown))
        answer = None if label is None else from_tokens(label)
        return to_picture(self.shape, puzzle, grid, answer)

    def valid(self, questions: Tokens, answers: Tokens) -> Bools:
        solved, kept = check_examples(questions, answers, self.shape)
        return solved & kept
