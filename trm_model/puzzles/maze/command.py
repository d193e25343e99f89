"""Mazes' actions on the command line."""

from math import isqrt
from pathlib import Path
from typing import get_args

import click

from trm_model.puzzles.actions import Row, TextPuzzles, generate_options
from trm_model.puzzles.maze.checks import check_examples
from trm_model.puzzles.maze.drawing import to_drawing
from trm_model.puzzles.maze.sampling import generate as generate_mazes
from trm_model.puzzles.maze.solving import Tie, solve
from trm_model.puzzles.maze.text import from_text, to_text
from trm_model.puzzles.maze.tokens import GOAL, MAX_SIDE, PATH, START, Tokens


def _read(text: str) -> tuple[Tokens, int]:
    side = isqrt(len(text))
    if side * side != len(text) or not 2 <= side <= MAX_SIDE:
        raise ValueError(
            f"{len(text)} characters: expected a square of 2 to {MAX_SIDE} cells a side"
        )
    return from_text(text, side)[None], side


def _solve(question: str) -> tuple[str, str]:
    tokens, side = _read(question)
    if (tokens == PATH).any():
        raise ValueError("the question has o, expected # SG and spaces alone")
    for token, name in ((START, "S"), (GOAL, "G")):
        if (tokens == token).sum() != 1:
            raise ValueError(f"{(tokens == token).sum()} {name} in the question, expected one")
    solved = solve(tokens, side)
    if solved.path_length[0] < 0:
        raise ValueError("there is no way from S to G, expected one")
    return to_text(solved.labels[0]), str(solved.path_length[0])


def _check(question: str, answer: str) -> None:
    _solve(question)
    if not answer:
        return
    tokens, side = _read(question)
    if len(answer) != len(question):
        raise ValueError(
            f"the answer has {len(answer)} characters, expected {len(question)} as the question"
        )
    checked = check_examples(tokens, from_text(answer, side)[None], side)
    if not checked.keeps_input[0]:
        raise ValueError(
            "the answer differs from the question, expected the same cells but for o on free cells"
        )
    if not checked.shortest[0]:
        raise ValueError("the answer's o are not the inner cells of a shortest path from S to G")


def _draw(text: str) -> str:
    tokens, side = _read(text)
    return to_drawing(tokens[0], side)


@click.group()
def maze() -> None:
    """Mazes: generate, solve, check."""


PUZZLES = TextPuzzles(_solve, _check, _draw)
PUZZLES.add_to(maze)


@maze.command()
@generate_options
@click.option("--side", type=int, default=30, show_default=True)
@click.option(
    "--longer-than",
    type=int,
    default=110,
    show_default=True,
    help="Moves that a shortest path exceeds.",
)
@click.option(
    "--walls",
    type=float,
    nargs=2,
    default=(0.3, 0.5),
    show_default=True,
    metavar="LOW HIGH",
    help="Share of cells.",
)
@click.option(
    "--tie",
    type=click.Choice(get_args(Tie)),
    default="first",
    show_default=True,
    help="Which shortest path is the answer.",
)
@click.option("--unique", is_flag=True, help="Only mazes with one shortest path.")
def generate(
    count: int,
    seed: int,
    form: str,
    out: Path | None,
    side: int,
    longer_than: int,
    walls: tuple[float, float],
    tie: Tie,
    unique: bool,
) -> None:
    """Make new mazes with their answers."""

    def rows() -> list[Row]:
        made = generate_mazes(
            count, side, seed, longer_than=longer_than, walls=walls, tie=tie, unique=unique
        )
        return [
            Row(f"generated (seed {seed})", to_text(question), to_text(label), str(length))
            for question, label, length in zip(
                made.inputs, made.labels, made.path_length, strict=True
            )
        ]

    PUZZLES.write_generated(rows, seed, form, out)
