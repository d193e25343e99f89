"""Random sums, and how hard they are."""

from itertools import pairwise, zip_longest

import numpy as np

from trm_model.errors import require
from trm_model.puzzles.sequence.tokens import MAX_DIGITS, Ints
from trm_model.seeding import numpy_generator


def _pairs_below(number: int) -> int:
    """How many pairs of numbers from 0 there are up to order."""
    return number * (number + 1) // 2


def generate(count: int, digits: int, seed: int, longer_than: int = 0) -> Ints:
    """Pairs of numbers [count, 2] below ``10 ** digits``, no two alike up to order, drawn
    uniformly, each in an order drawn too.

    :param longer_than: the larger number has more digits than that.
    :raises ConfigurationError: digits out of range, or more pairs than there are.
    """
    require(1 <= digits <= MAX_DIGITS, f"digits={digits}: expected 1..{MAX_DIGITS}")
    shorter = _pairs_below(10**longer_than) if longer_than else 0
    total = _pairs_below(10**digits) - shorter
    require(
        1 <= count <= total,
        f"count={count} with digits={digits}: expected 1..{total}, the pairs that there are",
    )
    generator = numpy_generator(seed, "addition", digits)
    number = generator.choice(total, count, replace=False) + shorter
    # Pair (larger, smaller) has number larger * (larger + 1) / 2 + smaller; the root is right but
    # for rounding.
    larger = ((np.sqrt(8.0 * number + 1.0) - 1.0) / 2.0).astype(np.int64)
    larger -= larger * (larger + 1) // 2 > number
    larger += (larger + 1) * (larger + 2) // 2 <= number
    pairs = np.stack((larger, number - larger * (larger + 1) // 2), axis=1)
    return np.where(generator.random((count, 1)) < 0.5, pairs, pairs[:, ::-1])


def _shares(count: int, available: list[int]) -> list[int]:
    """``count`` split evenly; where fewer are available, those, and more of the ones after."""
    shares: list[int] = []
    for place, most in enumerate(available):
        left = count - sum(shares)
        shares.append(min(most, left // (len(available) - place)))
    return shares


def generate_lengths(
    train: int, test: int, trained_digits: int, digits: int, seed: int
) -> tuple[Ints, Ints]:
    """Pairs [train, 2] whose larger number has 1 to ``trained_digits`` digits, and others [test, 2]
    with 1 to ``digits``, no two of all alike up to order: of each length about as many, but of
    no length more than a third of all its pairs for the test. Both are in an order drawn too.

    :raises ConfigurationError: digits out of range, or more pairs than there are.
    """
    require(
        1 <= trained_digits <= digits <= MAX_DIGITS,
        f"trained_digits={trained_digits}, digits={digits}: expected 1 <= trained_digits <= digits "
        f"<= {MAX_DIGITS}",
    )
    below = [0, *(_pairs_below(10**length) for length in range(1, digits + 1))]
    there = [after - before for before, after in pairwise(below)]
    tested = _shares(test, [pairs // 3 for pairs in there])
    trained = _shares(
        train,
        [pairs - taken for pairs, taken in zip(there, tested, strict=True)][:trained_digits],
    )
    require(
        sum(tested) == test and sum(trained) == train,
        f"train={train}, test={test} with numbers of up to {trained_digits} and {digits} digits: "
        f"expected at most {sum(trained)} and {sum(tested)}, of which there are so many",
    )
    parts: tuple[list[Ints], list[Ints]] = [], []
    for length, (for_test, for_training) in enumerate(zip_longest(tested, trained, fillvalue=0), 1):
        shorter = length - 1
        if for_test + for_training:
            pairs = generate(for_test + for_training, length, seed, shorter)
            parts[0].append(pairs[for_test:])
            parts[1].append(pairs[:for_test])
    generator = numpy_generator(seed, "addition", "order")
    training, testing = (generator.permutation(np.concatenate(each)) for each in parts)
    return training, testing


def carries(pairs: Ints) -> Ints:
    """How many digits of each sum hand a carry on, [N]: what makes it hard."""
    powers = 10 ** np.arange(1, MAX_DIGITS + 1)
    return ((pairs[:, :1] % powers + pairs[:, 1:] % powers) >= powers).sum(axis=1)
