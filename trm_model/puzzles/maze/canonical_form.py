"""The canonical form of a maze, which its eight symmetric images share."""

from trm_model.puzzles.maze.tokens import Tokens
from trm_model.puzzles.symmetry import smallest_images


def canonical(inputs: Tokens, side: int) -> Tokens:
    """A form that is equal exactly for mazes of one symmetry class: the smallest of the eight
    images. [N, side * side] -> the same."""
    return smallest_images(inputs, side)
