"""Mazes as a family of puzzles."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from storage.examples import Codec
from trm_model.puzzles.family import (
    NO_SOLUTION,
    Bools,
    Family,
    Grid,
    PlannedExamples,
    Question,
    Tokens,
    Verdict,
)
from trm_model.puzzles.maze.checks import check_examples
from trm_model.puzzles.maze.drawing import to_drawing, to_picture
from trm_model.puzzles.maze.examples import MazeExamples
from trm_model.puzzles.maze.solving import shortest_length
from trm_model.puzzles.maze.text import from_text, to_text
from trm_model.puzzles.maze.tokens import GOAL, MAX_SIDE, PATH, SPACE, START, VOCABULARY
from trm_model.puzzles.picture import Picture


@dataclass(frozen=True, slots=True)
class Maze(Family):
    """Mazes of ``side`` x ``side`` cells.

    Text: rows of ``# SG`` (their trailing spaces may be missing), or all of them as one line.
    """

    name: ClassVar[str] = "maze"
    codec: ClassVar[Codec] = "bitshuffle"
    examples: ClassVar[type[PlannedExamples]] = MazeExamples
    checks: ClassVar[Mapping[str, str]] = {
        "well_formed": "Every maze has one start and one goal among walls and spaces.",
        "input_kept": "Every answer is its maze with a path marked on spaces.",
        "shortest_path": "Every marked path leads from start to goal, and none is shorter.",
    }
    verifies: ClassVar[bool] = True
    command: ClassVar[str | None] = "trm_model.puzzles.maze.command:maze"

    side: int

    @classmethod
    def at(cls, grid: Grid) -> Self | None:
        return cls(grid[0]) if grid[0] == grid[1] and 2 <= grid[0] <= MAX_SIDE else None

    @property
    def grid(self) -> Grid:
        return self.side, self.side

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return VOCABULARY

    def read(self, text: str) -> list[Question]:
        lines = text.splitlines()
        while len(lines) > self.side and not lines[-1]:
            lines.pop()
        if len(lines) == self.side:
            lines = [line.ljust(self.side) for line in lines]
            for number, line in enumerate(lines, 1):
                if len(line) != self.side:
                    raise ValueError(
                        f"row {number} has {len(line)} cells: expected {self.side}, as the "
                        "model's mazes have"
                    )
        cells = "".join(lines)
        if len(cells) != self.cells:
            raise self.wrong_size(len(cells))
        tokens = from_text(cells, self.side)
        for token, character in ((START, "S"), (GOAL, "G")):
            if (count := int((tokens == token).sum())) != 1:
                raise ValueError(f"{count} {character} in the maze: expected one")
        if (tokens == PATH).any():
            raise ValueError("the maze has o, the mark of a path: expected # SG and spaces alone")
        return [Question(tokens)]

    def draw(self, tokens: Tokens) -> str:
        return to_drawing(self.known(tokens), self.side)

    def plain(self, tokens: Tokens) -> str:
        return to_text(self.known(tokens))

    def judge(self, question: Question, answer: Tokens) -> Verdict:
        length = int(shortest_length(question.cells[None], self.side)[0])
        if length < 0:
            return Verdict(False, f"{NO_SOLUTION}: there is no way from S to G")
        checked = check_examples(question.cells[None], answer[None], self.side)
        if checked.shortest[0]:
            return Verdict(True, f"a shortest path from S to G, {length} moves")
        marked = int((answer == PATH).sum())
        if checked.path[0]:
            return Verdict(False, f"a path from S to G, {marked + 1} moves: one has {length}")
        marked_space = (answer == PATH) & (question.cells == SPACE)
        changed = int(((answer != question.cells) & ~marked_space).sum())
        reasons = [f"{marked} marks are no shortest path from S to G, which has {length} moves"]
        if changed:
            reasons.insert(0, f"cells of the maze changed: {changed}")
        return Verdict(False, "; ".join(reasons))

    def check(self, inputs: Tokens, labels: Tokens) -> dict[str, Bools]:
        checked = check_examples(inputs, labels, self.side)
        return {
            "well_formed": checked.well_formed,
            "input_kept": checked.keeps_input,
            "shortest_path": checked.shortest,
        }

    def trivial(self, inputs: Tokens) -> dict[str, Tokens]:
        return {"no path": inputs}

    def metrics(self, inputs: Tokens, labels: Tokens, answers: Tokens) -> dict[str, Bools]:
        """``optimal_path_accuracy``: the answer is the maze with a shortest path marked, whichever
        one (other papers call it lenient); ``valid_path``: with a path marked, however long."""
        del labels
        checked = check_examples(inputs, answers, self.side)
        return {"optimal_path_accuracy": checked.shortest, "valid_path": checked.path}

    def picture(self, question: Tokens, shown: Tokens, label: Tokens | None = None) -> Picture:
        return to_picture(self.side, question, self.known(shown), label)

    def valid(self, questions: Tokens, answers: Tokens) -> Bools:
        return check_examples(questions, answers, self.side).shortest
