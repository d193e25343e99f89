"""By how much one is more accurate than the other, of two that answer the same puzzles, with the
95 % interval.

What makes a puzzle hard for both does not widen the interval of the difference, which is narrower
than the two intervals side by side suggest.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

from assets.evaluation.metrics import Z_95, Floats
from trm_model.seeding import numpy_generator

DRAWS = 4_000
"""How often the bootstrap draws puzzles again."""


class Paired(NamedTuple):
    """The accuracies of two that answered the same puzzles, the ``difference`` of the first and the
    second with the ends of its 95 % interval, and the numbers of ``puzzles`` and of ``seeds`` of
    each; ``method`` says in words how the interval was found and, of two runs, the probability of
    so great a difference where there is none."""

    first: float
    second: float
    difference: float
    low: float
    high: float
    puzzles: int
    seeds: tuple[int, int]
    method: str

    def __str__(self) -> str:
        puzzles = f"{self.puzzles:,} puzzles answered by both"
        return (
            f"difference {self.difference:+.4f}, 95 % interval {self.low:+.4f} to "
            f"{self.high:+.4f}, on {puzzles}; {self.method}"
        )


def compare(first: Floats, second: Floats) -> Paired:
    """Compare shares of right answers, 0..1, of seeds x the same N puzzles, [S, N] and [S', N]."""
    found = (float(first.mean()), float(second.mean()))
    seeds, puzzles = (len(first), len(second)), first.shape[1]
    whole = all(bool(np.isin(values, (0, 1)).all()) for values in (first, second))
    interval = mcnemar if seeds == (1, 1) and whole else bootstrap
    low, high, method = interval(first, second)
    return Paired(*found, found[0] - found[1], low, high, puzzles, seeds, method)


def mcnemar(first: Floats, second: Floats) -> tuple[float, float, str]:
    """The interval of the difference of two runs that solve puzzles or do not, [1, N] each, by
    Bonett and Price (2012), and McNemar's test, exact: only puzzles that one of them alone solves
    tell them apart."""
    alone, other = (int((one > two).sum()) for one, two in ((first, second), (second, first)))
    total = first.size + 2
    share, other_share = (alone + 1) / total, (other + 1) / total
    middle = share - other_share
    half = Z_95 * ((share + other_share - middle**2) / total) ** 0.5
    p_value = float(binomtest(alone, alone + other).pvalue) if alone + other else 1.0
    method = (
        f"{alone:,} solved by the first alone, {other:,} by the second alone: McNemar's exact test "
        f"p = {p_value:.2g}"
    )
    return max(-1.0, middle - half), min(1.0, middle + half), method


def bootstrap(first: Floats, second: Floats) -> tuple[float, float, str]:
    """The interval of the difference of means, [S, N] and [S', N], by a bootstrap that draws the
    puzzles anew, the same for both, and the seeds of each, with all their answers."""
    draw = numpy_generator(0, "paired bootstrap")

    def weights(count: int) -> Floats:
        return np.bincount(draw.integers(count, size=count), minlength=count) / count

    differences = np.empty(DRAWS)
    for number in range(DRAWS):
        puzzles = weights(first.shape[1])
        means = [weights(len(values)) @ (values @ puzzles) for values in (first, second)]
        differences[number] = means[0] - means[1]
    low, high = np.quantile(differences, [0.025, 0.975]).tolist()
    seeds = f"{len(first)} and {len(second)} seeds" if len(first) + len(second) > 2 else ""
    drawn = f"puzzles and of {seeds}" if seeds else "puzzles"
    return low, high, f"bootstrap of {drawn}, {DRAWS:,} draws"
