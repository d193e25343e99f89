"""Sums' actions on the command line."""

from pathlib import Path

import click
import numpy as np

from trm_model.puzzles.actions import Row, TextPuzzles, generate_options
from trm_model.puzzles.sequence.generation import carries
from trm_model.puzzles.sequence.generation import generate as generate_pairs
from trm_model.puzzles.sequence.text import from_text, to_text
from trm_model.puzzles.sequence.tokens import to_tokens


def _answered(pair: tuple[int, int], digits: int) -> tuple[str, str, str]:
    """Question, answer and rating (digits that hand a carry on)."""
    pairs = np.array([pair], np.int64)
    inputs, labels = to_tokens(pairs, digits)
    end = 2 * digits + 2
    return to_text(inputs[0, :end]), to_text(labels[0, end:]), str(carries(pairs)[0])


def _solve(question: str) -> tuple[str, str]:
    pair = from_text(question)
    digits = question.index("+")
    if len(question) != 2 * digits + 2:
        raise ValueError(
            f"{question!r}: numbers of {digits} and {len(question) - digits - 2} digits, expected "
            "as many in both; write leading zeros"
        )
    _, answer, rating = _answered(pair, digits)
    return answer, rating


def _check(question: str, answer: str) -> None:
    solution, _ = _solve(question)
    if answer and answer != solution:
        raise ValueError(
            f"the answer {answer} is not the sum, expected {solution}, the least significant digit "
            "first"
        )


def _draw(text: str) -> str:
    return text


@click.group()
def sequence() -> None:
    """Sums of two numbers: generate, solve, check."""


PUZZLES = TextPuzzles(_solve, _check, _draw)
PUZZLES.add_to(sequence)


@sequence.command()
@generate_options
@click.option("--digits", type=int, default=2, show_default=True, help="Of each number.")
def generate(count: int, seed: int, form: str, out: Path | None, digits: int) -> None:
    """Make new sums with their answers, the least significant digit first."""

    def rows() -> list[Row]:
        pairs: list[tuple[int, int]] = generate_pairs(count, digits, seed).tolist()
        return [Row(f"generated (seed {seed})", *_answered(pair, digits)) for pair in pairs]

    PUZZLES.write_generated(rows, seed, form, out)
