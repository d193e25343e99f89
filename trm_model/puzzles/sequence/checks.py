"""Whether sums are right."""

import numpy as np

from trm_model.puzzles.sequence.tokens import BLANK, EQUALS, PAD, PLUS, ZERO, Bools, Tokens


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
