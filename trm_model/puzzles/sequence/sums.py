"""Sequences for models that answer token by token: sums of two numbers, by length the smallest task
with a carry.

A question is ``123+456=`` with numbers of n digits, leading zeros written; its answer has n + 1
digits, *the least significant first* (``9750``), so that each carry is known before it is needed.
Cells: the 2 n + 2 of the question, then those of the answer, which are blank in the input and alone
counted in the label. Tokens: 0 pad (as a label: not counted), 1 blank, 2..11 the digits, then ``+``
and ``=``.
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from storage.examples import Header
from trm_model.errors import require
from trm_model.seeding import numpy_generator

PAD, BLANK, ZERO, PLUS, EQUALS = 0, 1, 2, 12, 13
CHARACTERS = "?_0123456789+="
"""By token; pad, which only a model writes, as ``?``."""
VOCABULARY = ("pad", "blank", *"0123456789", "+", "=")
MAX_DIGITS = 6

Tokens = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def generate(count: int, digits: int, seed: int) -> Ints:
    """Pairs of numbers [count, 2] below ``10 ** digits``, no two alike up to order, drawn
    uniformly, each in an order drawn too.

    :raises ConfigurationError: digits out of range, or more pairs than there are.
    """
    require(1 <= digits <= MAX_DIGITS, f"digits={digits}: expected 1..{MAX_DIGITS}")
    total = 10**digits * (10**digits + 1) // 2
    require(
        1 <= count <= total,
        f"count={count} with digits={digits}: expected 1..{total}, the pairs that there are",
    )
    generator = numpy_generator(seed, "addition", digits)
    number = generator.choice(total, count, replace=False)
    # Pair (larger, smaller) has number larger * (larger + 1) / 2 + smaller; the root is right but
    # for rounding.
    larger = ((np.sqrt(8.0 * number + 1.0) - 1.0) / 2.0).astype(np.int64)
    larger -= larger * (larger + 1) // 2 > number
    larger += (larger + 1) * (larger + 2) // 2 <= number
    pairs = np.stack((larger, number - larger * (larger + 1) // 2), axis=1)
    return np.where(generator.random((count, 1)) < 0.5, pairs, pairs[:, ::-1])


def carries(pairs: Ints) -> Ints:
    """How many digits of each sum hand a carry on, [N]: what makes it hard."""
    powers = 10 ** np.arange(1, MAX_DIGITS + 1)
    return ((pairs[:, :1] % powers + pairs[:, 1:] % powers) >= powers).sum(axis=1)


def _digits(numbers: Ints, count: int) -> Tokens:
    """Tokens [N, count] of the digits of ``numbers`` [N], the least significant first."""
    return (numbers[:, None] // 10 ** np.arange(count) % 10 + ZERO).astype(np.uint8)


def to_tokens(pairs: Ints, digits: int) -> tuple[Tokens, Tokens]:
    """Inputs and labels, tokens [N, 3 * digits + 3] each, of pairs [N, 2]."""
    inputs = np.full((len(pairs), 3 * digits + 3), BLANK, np.uint8)
    inputs[:, :digits], inputs[:, digits + 1 : 2 * digits + 1] = (
        _digits(pairs[:, side], digits)[:, ::-1] for side in (0, 1)
    )
    inputs[:, digits], inputs[:, 2 * digits + 1] = PLUS, EQUALS
    labels = np.full_like(inputs, PAD)
    labels[:, 2 * digits + 2 :] = _digits(pairs.sum(axis=1), digits + 1)
    return inputs, labels


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


def check_examples(inputs: Tokens, labels: Tokens) -> Bools:
    """Which examples [N] are a question and its sum: added here digit by digit, and nothing else is
    counted."""
    digits = inputs.shape[1] // 3 - 1
    end = 2 * digits + 2
    a, b, answer = inputs[:, :digits], inputs[:, digits + 1 : end - 1], labels[:, end:]
    good = (inputs[:, digits] == PLUS) & (inputs[:, end - 1] == EQUALS)
    good &= (inputs[:, end:] == BLANK).all(axis=1) & (labels[:, :end] == PAD).all(axis=1)
    for cells in (a, b, answer):
        good &= ((cells >= ZERO) & (cells < ZERO + 10)).all(axis=1)
    carry = np.zeros(len(inputs), np.int64)
    for place in range(digits):
        carry += a[:, digits - 1 - place].astype(np.int64) + b[:, digits - 1 - place] - 2 * ZERO
        good &= answer[:, place] == carry % 10 + ZERO
        carry //= 10
    return good & (answer[:, digits] == carry + ZERO)


class AdditionExamples:
    """Sums as a source of examples: each question, then (``copies`` = 1) the same with its numbers
    exchanged.

    :param pairs: int64 [N, 2].
    :param digits: of each number.
    :param copies: 0 or 1.
    :param seed: recorded in the header; nothing here is drawn.
    :param sources: name -> hash of what the questions were made from.
    :raises ConfigurationError: numbers or copies that cannot be.
    """

    def __init__(
        self,
        pairs: Ints,
        digits: int,
        copies: int,
        seed: int,
        sources: dict[str, str] | None = None,
    ) -> None:
        require(
            copies in (0, 1),
            f"copies={copies}: expected 0 or 1, since a sum can be exchanged in one way",
        )
        require(
            pairs.shape == (len(pairs), 2) and bool(((pairs >= 0) & (pairs < 10**digits)).all()),
            f"pairs {pairs.shape}: expected [N, 2] numbers of {digits} digits",
        )
        self.header = Header(
            vocabulary=VOCABULARY,
            grid=(1, 3 * digits + 3),
            seed=seed,
            augmentations=copies,
            sources=dict(sources or {}),
            ignore_id=PAD,
        )
        self.pairs, self.digits = pairs, digits
        self.puzzle_ids = np.zeros(len(pairs) * (copies + 1), np.int32)
        self.example_offsets = np.arange(len(self.puzzle_ids) + 1, dtype=np.int64)
        self.group_offsets = np.arange(len(pairs) + 1, dtype=np.int64) * (copies + 1)

    def rows(self, index: Ints) -> tuple[Tokens, Tokens]:
        """Inputs and labels, tokens [K, 3 * digits + 3] each, of the examples ``index`` [K], in
        that order."""
        which, exchanged = np.divmod(np.asarray(index, np.int64), self.header.augmentations + 1)
        pairs = self.pairs[which]
        return to_tokens(np.where(exchanged[:, None] == 1, pairs[:, ::-1], pairs), self.digits)

    def plan(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What :meth:`from_plan` needs beside the header: parameters (none) and arrays."""
        return {}, {"pairs": self.pairs}

    @classmethod
    def from_plan(
        cls, header: Header, parameters: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]
    ) -> Self:
        """The source that wrote this header and :meth:`plan`."""
        require(not parameters, f"parameters {sorted(parameters)}: expected none for sums")
        return cls(
            arrays["pairs"],
            header.length // 3 - 1,
            header.augmentations,
            header.seed,
            header.sources,
        )
