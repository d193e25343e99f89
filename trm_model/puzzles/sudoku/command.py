"""Sudoku's actions on the command line."""

from pathlib import Path

import click

from trm_model.puzzles.actions import Row, TextPuzzles, generate_options
from trm_model.puzzles.sudoku.drawing import to_drawing
from trm_model.puzzles.sudoku.generation import generate as generate_puzzles
from trm_model.puzzles.sudoku.solving import solve
from trm_model.puzzles.sudoku.text import from_text, to_text
from trm_model.puzzles.sudoku.tokens import SHAPES, Grids, Shape


def _read(text: str) -> tuple[Grids, Shape]:
    shapes = {shape.cells: shape for shape in SHAPES.values()}
    if len(text) not in shapes:
        raise ValueError(f"{len(text)} characters: expected {', '.join(map(str, shapes))}")
    shape = shapes[len(text)]
    return from_text(text, shape)[None], shape


def _solve(question: str) -> tuple[str, str]:
    puzzle, shape = _read(question)
    solved = solve(puzzle, shape)
    if solved.counts[0] != 1:
        raise ValueError(
            f"the question has {'no' if solved.counts[0] == 0 else 'more than one'} solution, "
            "expected exactly one"
        )
    return to_text(solved.answers[0]), str(solved.guesses[0])


def _check(question: str, answer: str) -> None:
    solution, _ = _solve(question)
    if answer and to_text(_read(answer)[0][0]) != solution:
        raise ValueError(f"the answer is not the question's solution, expected {solution}")


def _draw(text: str) -> str:
    grids, shape = _read(text)
    return to_drawing(grids[0], shape)


@click.group()
def sudoku() -> None:
    """Sudoku: generate, solve, check."""


PUZZLES = TextPuzzles(_solve, _check, _draw)
PUZZLES.add_to(sudoku)


@sudoku.command()
@generate_options
@click.option(
    "--digits", type=click.Choice([str(n) for n in SHAPES]), default="9", show_default=True
)
@click.option(
    "--extra-clues",
    type=int,
    nargs=2,
    default=(0, 0),
    metavar="LOW HIGH",
    help="Clues beyond a minimal puzzle.",
)
def generate(
    count: int, seed: int, form: str, out: Path | None, digits: str, extra_clues: tuple[int, int]
) -> None:
    """Make new puzzles with their answers."""

    def rows() -> list[Row]:
        made = generate_puzzles(count, SHAPES[int(digits)], seed, extra_clues)
        return [
            Row(f"generated (seed {seed})", to_text(puzzle), to_text(answer), str(guesses))
            for puzzle, answer, guesses in zip(
                made.puzzles, made.answers, made.difficulty, strict=True
            )
        ]

    PUZZLES.write_generated(rows, seed, form, out)
