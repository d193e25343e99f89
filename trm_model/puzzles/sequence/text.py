"""Sums as text: ``12+34=``."""

from trm_model.puzzles.sequence.tokens import CHARACTERS, Tokens


def to_text(tokens: Tokens) -> str:
    """Tokens [K] as characters."""
    return "".join(CHARACTERS[token] for token in tokens)


def from_text(question: str) -> tuple[int, int]:
    """The numbers of a question.

    :raises ValueError: not two numbers in decimal digits with ``+`` between and ``=`` behind.
    """
    first, plus, rest = question.partition("+")
    if not (
        plus and rest.endswith("=") and (first + rest[:-1]).isdecimal() and first and rest[:-1]
    ):
        raise ValueError(f"{question!r}: expected a question such as 12+34=")
    return int(first), int(rest[:-1])
