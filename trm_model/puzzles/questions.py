"""Puzzles as people write them and as a model sees them: text to tokens, answers to drawings, and
whether an answer is right."""

import json
import re
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from trm_model.puzzles.arc import tasks as arc
from trm_model.puzzles.maze import grids as maze
from trm_model.puzzles.sudoku import grids as sudoku
from trm_model.puzzles.sudoku.examples import check_examples

Tokens = npt.NDArray[np.uint8]


class Question(NamedTuple):
    """``cells``: tokens [L]; ``expected``: the answer's grid where it was given beside the question
    (ARC)."""

    cells: Tokens
    expected: arc.Grid | None = None


class Verdict(NamedTuple):
    """Whether an answer is right (None: nothing to compare with) and why."""

    right: bool | None
    reason: str

    def __str__(self) -> str:
        return (
            f"{'unknown' if self.right is None else 'right' if self.right else 'wrong'}: "
            f"{self.reason}"
        )


class Puzzle(Protocol):
    """One kind of puzzle on a square of ``side`` x ``side`` cells."""

    name: ClassVar[str]

    @property
    def side(self) -> int: ...
    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Names of the tokens; a model's answer may hold one more, DRM's mask, which counts as no
        token."""
        ...

    def read(self, text: str) -> list[Question]:
        """The questions in a text.

        :raises ValueError: what is wrong with it, in one line.
        """
        ...

    def draw(self, tokens: Tokens) -> str:
        """A question or an answer as lines of text."""
        ...

    def plain(self, tokens: Tokens) -> str | list[list[int]]:
        """The same in the form that :meth:`read` reads."""
        ...

    def judge(self, question: Question, answer: Tokens) -> Verdict: ...


def _size_error(found: int, side: int) -> ValueError:
    return ValueError(
        f"{found} cells: expected {side * side}, the model's {side} x {side}; give a puzzle of "
        "that size"
    )


@dataclass(frozen=True, slots=True)
class Sudoku:
    """A string of digits, ``.`` or ``0`` for a blank; white space and the rules of a drawing do not
    count."""

    name: ClassVar[str] = "sudoku"
    side: int

    @property
    def shape(self) -> sudoku.Shape:
        return sudoku.SHAPES[self.side]

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self.shape.vocabulary

    def read(self, text: str) -> list[Question]:
        cells = re.sub(r"[\s|+-]", "", text)
        if len(cells) != self.shape.cells:
            raise _size_error(len(cells), self.side)
        return [Question(sudoku.to_tokens(sudoku.from_text(cells, self.shape)))]

    def _grid(self, tokens: Tokens) -> Tokens:
        return sudoku.from_tokens(
            np.where(tokens < len(self.vocabulary), tokens, sudoku.PAD).astype(np.uint8)
        )

    def draw(self, tokens: Tokens) -> str:
        return sudoku.to_drawing(self._grid(tokens), self.shape)

    def plain(self, tokens: Tokens) -> str:
        return sudoku.to_text(self._grid(tokens))

    def judge(self, question: Question, answer: Tokens) -> Verdict:
        solved, kept = check_examples(question.cells[None], answer[None], self.shape)
        if solved[0] and kept[0]:
            return Verdict(
                True, "every row, column and box has every digit once, and the clues are kept"
            )
        changed = int(((question.cells != sudoku.BLANK) & (question.cells != answer)).sum())
        reasons = ["not every row, column and box has every digit once"] * (not solved[0]) + [
            f"clues changed: {changed}"
        ] * (not kept[0])
        return Verdict(False, "; ".join(reasons))


@dataclass(frozen=True, slots=True)
class Maze:
    """Rows of ``# SG`` (their trailing spaces may be missing), or all of them as one line."""

    name: ClassVar[str] = "maze"
    side: int

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return maze.VOCABULARY

    def read(self, text: str) -> list[Question]:
        lines = text.splitlines()
        if len(lines) == self.side:
            lines = [line.ljust(self.side) for line in lines]
            for number, line in enumerate(lines, 1):
                if len(line) != self.side:
                    raise ValueError(
                        f"row {number} has {len(line)} cells: expected {self.side}, as the "
                        "model's mazes have"
                    )
        cells = "".join(lines)
        if len(cells) != self.side * self.side:
            raise _size_error(len(cells), self.side)
        tokens = maze.from_text(cells, self.side)
        for token, character in ((maze.START, "S"), (maze.GOAL, "G")):
            if (count := int((tokens == token).sum())) != 1:
                raise ValueError(f"{count} {character} in the maze: expected one")
        if (tokens == maze.PATH).any():
            raise ValueError("the maze has o, the mark of a path: expected # SG and spaces alone")
        return [Question(tokens)]

    def _known(self, tokens: Tokens) -> Tokens:
        return np.where(tokens < len(self.vocabulary), tokens, maze.PAD).astype(np.uint8)

    def draw(self, tokens: Tokens) -> str:
        return maze.to_drawing(self._known(tokens), self.side)

    def plain(self, tokens: Tokens) -> str:
        return maze.to_text(self._known(tokens))

    def judge(self, question: Question, answer: Tokens) -> Verdict:
        length = int(maze.shortest_length(question.cells[None], self.side)[0])
        if length < 0:
            return Verdict(False, "there is no way from S to G")
        if maze.check_examples(question.cells[None], answer[None], self.side).shortest[0]:
            return Verdict(True, f"a shortest path from S to G, {length} moves")
        changed = int(
            (
                (answer != question.cells)
                & ~((answer == maze.PATH) & (question.cells == maze.SPACE))
            ).sum()
        )
        reasons = [f"cells of the maze changed: {changed}"] if changed else []
        marked = int((answer == maze.PATH).sum())
        return Verdict(
            False,
            "; ".join(
                [
                    *reasons,
                    f"{marked} marks are no shortest path from S to G, which has {length} moves",
                ]
            ),
        )


@dataclass(frozen=True, slots=True)
class Arc:
    """JSON, ``{"train": [...], "test": [{"input": rows, "output": rows}, ...]}``: a question per
    test pair, whose output may be missing."""

    name: ClassVar[str] = "arc"
    side: int

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return arc.VOCABULARY

    def read(self, text: str) -> list[Question]:
        return self.read_task(text, "task")[1]

    def read_task(self, text: str, name: str) -> tuple[arc.Task, list[Question]]:
        """The task itself too; a missing output is one black cell in it.

        :raises ValueError: what is wrong with it, in one line.
        """
        try:
            value: Any = json.loads(text)
        except ValueError as error:
            raise ValueError(
                f"no JSON ({error}): expected an ARC task with 'train' and 'test'"
            ) from error
        pairs: Any = value.get("test") if isinstance(value, dict) else None
        given: list[bool] = []
        if isinstance(pairs, list) and all(isinstance(pair, dict) for pair in pairs):
            given = ["output" in pair for pair in pairs]
            value = {**value, "test": [{"output": [[0]], **pair} for pair in pairs]}
        task = arc.to_task(name, value)
        for number, pair in enumerate(task.test, 1):
            if max(pair.input.shape) > self.side:
                rows, columns = pair.input.shape
                raise ValueError(
                    f"test input {number} is {rows} x {columns}: expected at most the model's "
                    f"{self.side} x {self.side}"
                )
        return task, [
            Question(arc.to_tokens(pair.input, self.side), pair.output if known else None)
            for pair, known in zip(task.test, given, strict=True)
        ]

    def draw(self, tokens: Tokens) -> str:
        return arc.to_drawing(arc.crop(tokens)) or "(no grid)"

    def plain(self, tokens: Tokens) -> list[list[int]]:
        return arc.crop(tokens).tolist()

    def judge(self, question: Question, answer: Tokens) -> Verdict:
        return self.compare(question, arc.crop(answer))

    def compare(self, question: Question, grid: arc.Grid) -> Verdict:
        """:meth:`judge` for an answer that is a grid."""
        expected = question.expected
        if expected is None:
            return Verdict(None, "the task gives no output for this input")
        if grid.shape != expected.shape:
            return Verdict(
                False, "a grid of {} x {}, expected {} x {}".format(*grid.shape, *expected.shape)
            )
        wrong = int((grid != expected).sum())
        return Verdict(
            not wrong,
            f"{wrong} of {grid.size} cells differ from the output given"
            if wrong
            else "the output given",
        )


KINDS = (Sudoku.name, Maze.name, Arc.name)


def puzzles_of(side: int) -> list[Puzzle]:
    """Every kind that there is at this size."""
    kinds: list[Puzzle] = [Sudoku(side)] if side in sudoku.SHAPES else []
    if 2 <= side <= maze.MAX_SIDE:
        kinds.append(Maze(side))
    if 1 <= side <= arc.SIDE:
        kinds.append(Arc(side))
    return kinds
