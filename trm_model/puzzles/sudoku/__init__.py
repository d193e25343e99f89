"""Sudoku: grids of digits."""

from trm_model.puzzles.sudoku.canonical_form import canonical
from trm_model.puzzles.sudoku.checks import is_solution, keeps_clues
from trm_model.puzzles.sudoku.drawing import to_drawing
from trm_model.puzzles.sudoku.examples import SudokuExamples
from trm_model.puzzles.sudoku.family import Sudoku
from trm_model.puzzles.sudoku.generation import Generated, generate
from trm_model.puzzles.sudoku.solving import difficulty, solve
from trm_model.puzzles.sudoku.symmetry import shuffle
from trm_model.puzzles.sudoku.text import from_characters, from_text, to_text
from trm_model.puzzles.sudoku.tokens import (
    BLANK,
    SHAPES,
    Grids,
    Ints,
    Shape,
    from_tokens,
    to_tokens,
)

__all__ = [
    "BLANK",
    "SHAPES",
    "Generated",
    "Grids",
    "Ints",
    "Shape",
    "Sudoku",
    "SudokuExamples",
    "canonical",
    "difficulty",
    "from_characters",
    "from_text",
    "from_tokens",
    "generate",
    "is_solution",
    "keeps_clues",
    "shuffle",
    "solve",
    "to_drawing",
    "to_text",
    "to_tokens",
]
