"""Random sums, and how hard they are."""

import numpy as np

from trm_model.errors import require
from trm_model.puzzles.sequence.tokens import MAX_DIGITS, Ints
from trm_model.seeding import numpy_generator


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
