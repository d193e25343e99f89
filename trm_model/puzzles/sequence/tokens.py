"""Sequences for models that answer token by token: sums of two numbers, by length the smallest task
with a carry. They come in two kinds; in both the answer has *the least significant digit first*, so
that each carry is known before it is needed.

Of one length: a question is ``012+456=`` with numbers of n digits, leading zeros written; its
answer has n + 1 digits (``8640``), so that the question tells how many are to be answered. Cells:
the 2 n + 2 of the question, then those of the answer, which are blank in the input and alone
counted in the label.

Of any length up to n (``ended``): leading zeros are pads, so that equal places of the numbers stand
in equal cells. The answer has as many digits as the sum and then an *end*, where whoever answers
stops; the cells after it count for nothing. It has n + 2 cells, all of them blank in the input.

Tokens: 0 pad (as a label: not counted), 1 blank, 2..11 the digits, then ``+`` and ``=``, and the
end where there is one.
"""

import numpy as np
import numpy.typing as npt

PAD, BLANK, ZERO, PLUS, EQUALS, END = 0, 1, 2, 12, 13, 14
CHARACTERS = "?_0123456789+=."
"""By token; pad as ``?``, the end as ``.``."""
VOCABULARY = ("pad", "blank", *"0123456789", "+", "=")
MAX_DIGITS = 6
Tokens = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def vocabulary(*, ended: bool) -> tuple[str, ...]:
    """Names of the tokens."""
    return (*VOCABULARY, "end") if ended else VOCABULARY


def length(digits: int, *, ended: bool) -> int:
    """Cells of a sum of numbers of up to ``digits`` digits."""
    return 3 * digits + (4 if ended else 3)


def kind_of(cells: int) -> tuple[int, bool]:
    """The digits of the sums that have so many cells, and whether their answers end."""
    return cells // 3 - 1, cells % 3 == 1


def _digits(numbers: Ints, count: int) -> Tokens:
    """Tokens [N, count] of the digits of ``numbers`` [N], the least significant first."""
    return (numbers[:, None] // 10 ** np.arange(count) % 10 + ZERO).astype(np.uint8)


def digits_of(numbers: Ints) -> Ints:
    """How many digits numbers [N] have; 0 has one."""
    return (numbers[:, None] >= 10 ** np.arange(1, MAX_DIGITS + 1)).sum(axis=1) + 1


def to_tokens(pairs: Ints, digits: int, *, ended: bool = False) -> tuple[Tokens, Tokens]:
    """Inputs and labels, tokens [N, L] each, of pairs [N, 2]."""
    inputs = np.full((len(pairs), length(digits, ended=ended)), BLANK, np.uint8)
    for side, first in enumerate((0, digits + 1)):
        number = _digits(pairs[:, side], digits)
        if ended:
            number[np.arange(digits) >= digits_of(pairs[:, side])[:, None]] = PAD
        inputs[:, first : first + digits] = number[:, ::-1]
    inputs[:, digits], inputs[:, 2 * digits + 1] = PLUS, EQUALS
    labels = np.full_like(inputs, PAD)
    sums, answer = pairs.sum(axis=1), labels[:, 2 * digits + 2 :]
    answer[:, : digits + 1] = _digits(sums, digits + 1)
    if ended:
        cell, end = np.arange(digits + 2), digits_of(sums)[:, None]
        answer[cell > end] = PAD
        answer[cell == end] = END
    return inputs, labels
