"""Sequences, for models that answer token by token: sums of two numbers."""

from trm_model.puzzles.sequence.checks import check_examples
from trm_model.puzzles.sequence.examples import AdditionExamples
from trm_model.puzzles.sequence.family import Addition
from trm_model.puzzles.sequence.generation import carries, generate, generate_lengths
from trm_model.puzzles.sequence.text import from_text, to_text
from trm_model.puzzles.sequence.tokens import BLANK, END, MAX_DIGITS, PAD, to_tokens

__all__ = [
    "BLANK",
    "END",
    "MAX_DIGITS",
    "PAD",
    "Addition",
    "AdditionExamples",
    "carries",
    "check_examples",
    "from_text",
    "generate",
    "generate_lengths",
    "to_text",
    "to_tokens",
]
