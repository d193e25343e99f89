"""Sums' actions on the command line."""

from pathlib import Path

import click
import numpy as np

from trm_model.puzzles.actions import Row, TextPuzzles, generate_options
from trm_model.puzzles.sequence.generation import carries, generate_lengths
from trm_model.puzzles.sequence.generation import generate as generate_pairs
from trm_model.puzzles.sequence.text import from_text, to_text
from trm_model.puzzles.sequence.tokens import MAX_DIGITS, to_tokens


def _of_any_length(pair: tuple[int, int]) -> tuple[str, str, str]:
    """Question, answer and rating (digits that hand a carry on), without leading zeros."""
    first, second = pair
    rating = carries(np.array([pair], np.int64))[0]
    return f"{first}+{second}=", str(first + second)[::-1], str(rating)


def _of_one_length(pair: tuple[int, int], digits: int) -> tuple[str, str, str]:
    """The same with leading zeros, of the answer too."""
    pairs = np.array([pair], np.int64)
    inputs, labels = to_tokens(pairs, digits)
    end = 2 * digits + 2
    return to_text(inputs[0, :end]), to_text(labels[0, end:]), str(carries(pairs)[0])


def _solve(question: str) -> tuple[str, str]:
    pair = from_text(question)
    first, second = (len(number) for number in question[:-1].split("+"))
    if max(first, second) > MAX_DIGITS:
        raise ValueError(
            f"{question!r}: numbers of {first} and {second} digits, expected at most {MAX_DIGITS}"
        )
    if first == second:
        _, answer, rating = _of_one_length(pair, first)
        return answer, rating
    written, answer, rating = _of_any_length(pair)
    if written != question:
        raise ValueError(
            f"{question!r}: numbers of {first} and {second} digits with leading zeros, expected "
            "as many digits in both, or no leading zeros"
        )
    return answer, rating


def _check(question: str, answer: str) -> None:
    solution, _ = _solve(question)
    if answer and answer not in (solution, _of_any_length(from_text(question))[1]):
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
@click.option(
    "--lengths",
    is_flag=True,
    help="Of 1 to so many digits, without leading zeros; about as many sums of each length.",
)
def generate(
    count: int, seed: int, form: str, out: Path | None, digits: int, lengths: bool
) -> None:
    """Make new sums with their answers, the least significant digit first."""

    def rows() -> list[Row]:
        if lengths:
            made, _ = generate_lengths(count, 0, digits, digits, seed)
            sums = map(_of_any_length, made.tolist())
        else:
            made = generate_pairs(count, digits, seed)
            sums = (_of_one_length(pair, digits) for pair in made.tolist())
        return [Row(f"generated (seed {seed})", *each) for each in sums]

    PUZZLES.write_generated(rows, seed, form, out)
