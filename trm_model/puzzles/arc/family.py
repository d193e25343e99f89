"""ARC as a family of puzzles."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from storage.examples import Codec
from trm_model.puzzles.arc.augmentation import crop
from trm_model.puzzles.arc.checks import check_examples
from trm_model.puzzles.arc.drawing import COLOURS, to_drawing
from trm_model.puzzles.arc.examples import ArcExamples
from trm_model.puzzles.arc.parsing import to_task
from trm_model.puzzles.arc.tasks import Task
from trm_model.puzzles.arc.tokens import SIDE, VOCABULARY, to_tokens
from trm_model.puzzles.arc.tokens import Grid as Colours
from trm_model.puzzles.family import Bools, Family, Grid, PlannedExamples, Question, Tokens, Verdict
from trm_model.puzzles.picture import Picture


@dataclass(frozen=True, slots=True)
class Arc(Family):
    """ARC tasks on frames of ``side`` x ``side`` cells.

    Text: JSON, ``{"train": [...], "test": [{"input": rows, "output": rows}, ...]}``, which is a
    question per test pair, whose output may be missing.
    """

    name: ClassVar[str] = "arc"
    codec: ClassVar[Codec] = "plain"
    examples: ClassVar[type[PlannedExamples]] = ArcExamples
    checks: ClassVar[Mapping[str, str]] = {
        "grid_bounds": (
            "Every grid is a rectangle of colours with its end marks, and padding around it."
        )
    }
    votes: ClassVar[bool] = True
    command: ClassVar[str | None] = "trm_model.puzzles.arc.command:arc"

    side: int

    @classmethod
    def at(cls, grid: Grid) -> Self | None:
        return cls(grid[0]) if grid[0] == grid[1] and 1 <= grid[0] <= SIDE else None

    @property
    def grid(self) -> Grid:
        return self.side, self.side

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return VOCABULARY

    def read(self, text: str) -> list[Question]:
        return self.read_task(text, "task")[1]

    def read_task(self, text: str, name: str) -> tuple[Task, list[Question]]:
        """The task itself, under this name, and its questions; a missing output is one black cell
        in the task.

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
        task = to_task(name, value)
        for number, pair in enumerate(task.test, 1):
            if max(pair.input.shape) > self.side:
                rows, columns = pair.input.shape
                raise ValueError(
                    f"test input {number} is {rows} x {columns}: expected at most the model's "
                    f"{self.side} x {self.side}"
                )
        return task, [
            Question(to_tokens(pair.input, self.side), pair.output if known else None)
            for pair, known in zip(task.test, given, strict=True)
        ]

    def draw(self, tokens: Tokens) -> str:
        return to_drawing(crop(tokens)) or "(no grid)"

    def plain(self, tokens: Tokens) -> list[list[int]]:
        return crop(tokens).tolist()

    def judge(self, question: Question, answer: Tokens) -> Verdict:
        return self.compare(question, crop(answer))

    def compare(self, question: Question, grid: Colours) -> Verdict:
        """:meth:`judge` for an answer that is a grid of colours."""
        expected: Colours | None = question.expected
        if expected is None:
            return Verdict(None, "the task gives no output for this input")
        if grid.shape != expected.shape:
            return Verdict(
                False, "a grid of {} x {}, expected {} x {}".format(*grid.shape, *expected.shape)
            )
        wrong = int((grid != expected).sum())
        if wrong:
            return Verdict(False, f"{wrong} of {grid.size} cells differ from the output given")
        return Verdict(True, "the output given")

    def check(self, inputs: Tokens, labels: Tokens) -> dict[str, Bools]:
        return {"grid_bounds": check_examples(inputs, labels)}

    def picture(self, question: Tokens, shown: Tokens, label: Tokens | None = None) -> Picture:
        del question, label
        return Picture(
            grid=self.grid, fills=[COLOURS[token] for token in self.known(shown).tolist()]
        )
