"""What every family of puzzles can do; the rest of the library asks nothing else of it.

A family (Sudoku, mazes, ARC, sequences) is one class in one folder. The families that there are
stand in :mod:`trm_model.puzzles.registry`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt

from storage.examples import Codec, ExampleSet, Header
from trm_model.puzzles.picture import Picture

Tokens = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Grid = tuple[int, int]
"""Rows and columns."""
PlainForm = str | list[list[int]]
"""A question or an answer as a JSON value."""


NO_SOLUTION = "the puzzle has no solution, so that no answer is right"
"""The reason of a :class:`Verdict` on whatever answers such a puzzle."""


class Question(NamedTuple):
    """``cells``: tokens uint8 [L]; ``expected``: the right answer where it was given beside the
    question, in whatever form the family's :meth:`Family.judge` compares with (ARC: a grid)."""

    cells: Tokens
    expected: Any = None


class Verdict(NamedTuple):
    """Whether an answer is right (None: nothing to compare with) and why."""

    right: bool | None
    reason: str

    def __str__(self) -> str:
        word = {None: "unknown", True: "right", False: "wrong"}[self.right]
        return f"{word}: {self.reason}"


class PlannedExamples(ExampleSet, Protocol):
    """Examples computed from base puzzles: a data set is written from them, and online augmentation
    reads them."""

    def plan(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON values and arrays from which :meth:`from_plan` makes equal examples."""
        ...

    @classmethod
    def from_plan(
        cls, header: Header, parameters: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]
    ) -> Self:
        """The examples that had this header and returned these from :meth:`plan`.

        :raises ValueError: values that no examples have.
        """
        ...


class Family(ABC):
    """One family of puzzles at one size.

    Tokens are uint8; a grid of R x C cells is flattened row by row to L = R C tokens. What a model
    writes may hold tokens past the vocabulary (DRM's mask): they stand for no cell's content.
    """

    __slots__ = ()

    name: ClassVar[str]
    """By which the family is found; stored in data sets."""
    codec: ClassVar[Codec]
    """How cells are compressed on disk, chosen by trial."""
    examples: ClassVar[type[PlannedExamples]]
    """What makes the family's examples from base puzzles."""
    checks: ClassVar[Mapping[str, str]]
    """What :meth:`check` checks of every example: name -> the rule as a sentence."""
    verifies: ClassVar[bool] = False
    """Whether :meth:`valid` tells right answers without knowing them."""
    votes: ClassVar[bool] = False
    """Whether answers are voted on over the augmentations of a puzzle, as ARC's are."""
    command: ClassVar[str | None] = None
    """``package.module:name`` of a :class:`click.Group` with the family's actions; it is imported
    when somebody calls it, since training needs no command line."""

    @classmethod
    @abstractmethod
    def at(cls, grid: Grid) -> Self | None:
        """The family at this size; None if its puzzles never have it."""

    @property
    @abstractmethod
    def grid(self) -> Grid:
        """Rows and columns of its examples."""

    @property
    @abstractmethod
    def vocabulary(self) -> tuple[str, ...]:
        """Names of the tokens 0..V - 1."""

    @property
    def end(self) -> int | None:
        """The token that ends an answer: the cells after its first one are no part of it. None:
        answers have all their cells."""
        return None

    def answered(self, inputs: Tokens) -> Bools:
        """Which cells of questions [N, L] are to be answered, as far as the questions tell, bool
        [N, L]: all of them, unless the family knows better."""
        return np.ones(inputs.shape, np.bool_)

    @abstractmethod
    def read(self, text: str) -> list[Question]:
        """The questions in a text, at least one.

        :raises ValueError: what is wrong with it, in one line.
        """

    @abstractmethod
    def draw(self, tokens: Tokens) -> str:
        """A question or an answer, tokens [L], as lines of text for people."""

    @abstractmethod
    def plain(self, tokens: Tokens) -> PlainForm:
        """A question or an answer, tokens [L], in the form that :meth:`read` reads."""

    @abstractmethod
    def judge(self, question: Question, answer: Tokens) -> Verdict:
        """Whether an answer, tokens [L], is right."""

    @abstractmethod
    def check(self, inputs: Tokens, labels: Tokens) -> dict[str, Bools]:
        """Which examples [N, L] pass each of :attr:`checks`: name -> [N]."""

    def valid(self, questions: Tokens, answers: Tokens) -> Bools:
        """Which answers [N, L] solve their questions [N, L] by the rules of the puzzle, [N]; asked
        where :attr:`verifies`.
        """
        raise NotImplementedError(f"answers to {self.name} cannot be verified without a label")

    @abstractmethod
    def picture(self, question: Tokens, shown: Tokens, label: Tokens | None = None) -> Picture:
        """The grid ``shown`` [L], a question or an answer, as a picture; cells look as given by
        ``question`` [L], or as right or wrong beside ``label`` [L] (None: nothing to compare with).
        """

    def trivial(self, inputs: Tokens) -> dict[str, Tokens]:
        """Answers to questions [N, L] that need no thought, by name, tokens [N, L] each; the most
        frequent token is another, which needs nothing of the family
        (:func:`trm_model.puzzles.trivial.trivial_answers`)."""
        return {"copy the question": inputs}

    def metrics(self, inputs: Tokens, labels: Tokens, answers: Tokens) -> dict[str, Bools]:
        """What else may be said of answers than whether they are the labels, tokens [N, L] each:
        the metric's name -> of which answers it holds, [N]."""
        del inputs, labels, answers
        return {}

    def groups(self, inputs: Tokens, labels: Tokens) -> dict[str, Ints]:
        """Numbers from 0 by which accuracy is told apart, such as that of a puzzle's blanks, of
        questions and labels [N, L]: their name -> [N]. Each puzzle's difficulty is told apart
        without that."""
        del inputs, labels
        return {}

    @property
    def cells(self) -> int:
        """Cells of an example, L."""
        rows, columns = self.grid
        return rows * columns

    def known(self, tokens: Tokens) -> Tokens:
        """The tokens with pad (0) in place of those past the vocabulary."""
        return np.where(tokens < len(self.vocabulary), tokens, 0).astype(np.uint8)

    def wrong_size(self, found: int) -> ValueError:
        """The error for a text with ``found`` cells."""
        rows, columns = self.grid
        return ValueError(
            f"{found} cells: expected {self.cells}, the model's {rows} x {columns}; give a puzzle "
            "of that size"
        )
