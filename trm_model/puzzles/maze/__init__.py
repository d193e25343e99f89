"""Mazes and their shortest paths."""

from trm_model.puzzles.maze.canonical_form import canonical
from trm_model.puzzles.maze.checks import check_examples
from trm_model.puzzles.maze.drawing import to_drawing
from trm_model.puzzles.maze.examples import MazeExamples
from trm_model.puzzles.maze.family import Maze
from trm_model.puzzles.maze.sampling import generate
from trm_model.puzzles.maze.solving import (
    num_shortest_paths,
    shortest_length,
    solve,
)
from trm_model.puzzles.maze.text import from_characters, from_text, to_text
from trm_model.puzzles.maze.tokens import (
    CHARACTERS,
    GOAL,
    MAX_SIDE,
    PATH,
    SPACE,
    START,
    WALL,
    Ints,
    Tokens,
    without_ends,
)

__all__ = [
    "CHARACTERS",
    "GOAL",
    "MAX_SIDE",
    "PATH",
    "SPACE",
    "START",
    "WALL",
    "Ints",
    "Maze",
    "MazeExamples",
    "Tokens",
    "canonical",
    "check_examples",
    "from_characters",
    "from_text",
    "generate",
    "num_shortest_paths",
    "shortest_length",
    "solve",
    "to_drawing",
    "to_text",
    "without_ends",
]
