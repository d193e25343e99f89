"""Sequences, for models that answer token by token: sums of two numbers."""

from trm_model.puzzles.sequence.checks import check_examples
from trm_model.puzzles.sequence.examples import AdditionExamples
from trm_model.puzzles.sequence.family import Addition
from trm_model.puzzles.sequence.generation import carries, generate
from trm_model.puzzles.sequence.text import from_text, to_text
from trm_model.puzzles.sequence.tokens import (
    MAX_DIGITS,
    to_tokens,
)

__all__ = [
    "MAX_DIGITS",
    "Addition",
    "AdditionExamples",
    "carries",
    "check_examples",
    "from_text",
    "generate",
    "to_text",
    "to_tokens",
]
