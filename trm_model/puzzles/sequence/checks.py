"""Whether sums are right."""

import numpy as np

from trm_model.puzzles.sequence.tokens import (
    BLANK,
    END,
    EQUALS,
    PAD,
    PLUS,
    ZERO,
    Bools,
    Tokens,
    kind_of,
)


def _without_pads(number: Tokens) -> tuple[Tokens, Bools]:
    """Numbers [N, digits] with leading zeros in place of their leading pads, and which have one
    way to be written: no other pads, and no zeros in front."""
    pads, digits = number == PAD, number.shape[1]
    first = np.where(pads.all(axis=1), digits - 1, pads.argmin(axis=1))
    leading = np.take_along_axis(number, first[:, None], axis=1)[:, 0]
    good = pads.sum(axis=1) == first
    return np.where(pads, ZERO, number).astype(np.uint8), good & (
        (leading != ZERO) | (first == digits - 1)
    )


def _without_end(inputs: Tokens, labels: Tokens, digits: int) -> tuple[Tokens, Tokens, Bools]:
    """Sums that end as sums of one length, and which of them end where they should."""
    asked = 2 * digits + 2
    first, good = _without_pads(inputs[:, :digits])
    second, also = _without_pads(inputs[:, digits + 1 : asked - 1])
    signs = inputs[:, digits : digits + 1], inputs[:, asked - 1 : asked]
    inputs = np.concatenate((first, signs[0], second, signs[1], inputs[:, asked:-1]), axis=1)
    answer = labels[:, asked:]
    end, cell = (answer == END).argmax(axis=1)[:, None], np.arange(answer.shape[1])
    highest = np.take_along_axis(answer, np.maximum(end - 1, 0), axis=1)[:, 0]
    good &= also & ((answer == END).sum(axis=1) == 1) & (end[:, 0] > 0)
    good &= ((answer == PAD) == (cell > end)).all(axis=1)
    good &= (highest != ZERO) | (end[:, 0] == 1)
    answer = np.where(cell >= end, ZERO, answer)[:, :-1]
    return inputs, np.concatenate((labels[:, :asked], answer), axis=1), good


def check_examples(inputs: Tokens, labels: Tokens) -> Bools:
    """Which examples [N] are a question and its sum: added here digit by digit, and nothing else is
    counted."""
    digits, ended = kind_of(inputs.shape[1])
    ends = (inputs[:, -1] == BLANK) if ended else np.ones(len(inputs), np.bool_)
    if ended:
        inputs, labels, right_end = _without_end(inputs, labels, digits)
        ends = ends & right_end
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
    return ends & good & (answer[:, digits] == carry + ZERO)
