"""Sequences for models that answer token by token: sums of two numbers, by length the smallest task
with a carry.

A question is ``123+456=`` with numbers of n digits, leading zeros written; its answer has n + 1
digits, *the least significant first* (``9750``), so that each carry is known before it is needed.
Cells: the 2 n + 2 of the question, then those of the answer, which are blank in the input and alone
counted in the label. Tokens: 0 pad (as a label: not counted), 1 blank, 2..11 the digits, then ``+``
and ``=``.
"""

import numpy as np
import numpy.typing as npt

PAD, BLANK, ZERO, PLUS, EQUALS = 0, 1, 2, 12, 13
CHARACTERS = "?_0123456789+="
"""By token; pad, which only a model writes, as ``?``."""
VOCABULARY = ("pad", "blank", *"0123456789", "+", "=")
MAX_DIGITS = 6
Tokens = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


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
