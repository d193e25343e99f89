"""From predictions to metrics with their 95 % intervals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]

Z_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""
FEW = 30
"""Values below which the normal approximation is not used for shares."""


class Metric(NamedTuple):
    """A row of :class:`assets.tables.Scores` without the columns that say what it came from.

    ``low`` and ``high`` are the ends of the 95 % interval; ``n`` is the number of puzzles (of ARC:
    of tasks).
    """

    metric: str
    k: int | None
    value: float
    low: float
    high: float
    n: int


def wilson(successes: float, trials: int) -> tuple[float, float]:
    """95 % interval of the share ``successes / trials``: Wilson's score interval (1927; Newcombe
    1998, method 3). The successes may be a sum of shares."""
    share, z2 = successes / trials, Z_95**2
    center = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * (share * (1 - share) / trials + z2 / (4 * trials**2)) ** 0.5
    return max(0.0, center - half), min(1.0, center + half)


def mean_interval(values: Floats) -> tuple[float, float]:
    """95 % interval of the mean of values [N], by the normal approximation, which holds for many;
    a single value has no width."""
    half = Z_95 * float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return float(values.mean()) - half, float(values.mean()) + half


def share(metric: str, k: int | None, successes: int, trials: int) -> Metric:
    """A share of independent trials."""
    return Metric(metric, k, successes / trials, *wilson(successes, trials), trials)


def mean(
    metric: str,
    k: int | None,
    values: Floats,
    least: float = 0.0,
    most: float = 1.0,
) -> Metric:
    """The mean of values [N] that lie between ``least`` and ``most``.

    Where the values are shares and are few or all equal, the normal approximation does not hold;
    they get the wider interval of a share, which holds for any numbers between 0 and 1.
    """
    few = most == 1.0 and (len(values) < FEW or bool(np.allclose(values, values[0])))
    low, high = wilson(float(values.sum()), len(values)) if few else mean_interval(values)
    return Metric(metric, k, float(values.mean()), max(least, low), min(most, high), len(values))


def by_puzzle(values: Floats, puzzles: pl.Series) -> Floats:
    """A number for each of the puzzles that values [N] are of: their mean is that of the values,
    and their spread says how it varies where puzzles are drawn anew, with all their values.

    The answers to the augmentations of an ARC task are right or wrong together: they count as one
    draw, not as a thousand. Where puzzles have equally many values, the number is their mean; else
    the ratio of sums is linearized (Cochran, Sampling Techniques, 1977, §6.3).
    """
    mean = values.mean()
    sums = (
        pl.DataFrame({"puzzle": puzzles, "value": values})
        .group_by("puzzle", maintain_order=True)
        .agg(pl.col("value").sum(), pl.len())
    )
    usual = len(values) / len(sums)
    return (sums["value"] / usual + mean * (1 - sums["len"] / usual)).to_numpy()


def accuracy(
    metric: str, k: int | None, right: npt.NDArray[np.bool_], puzzles: pl.Series
) -> Metric:
    """The share of right answers [N] to examples of these puzzles."""
    if puzzles.n_unique() == len(puzzles):
        return share(metric, k, int(right.sum()), len(right))
    return mean(metric, k, by_puzzle(right.astype(np.float64), puzzles))


def score_rows(predictions: pl.DataFrame, counted: Sequence[int]) -> list[Metric]:
    """The metrics of one split's predictions, rows of :class:`assets.tables.Predictions`.

    :param counted: the supervision steps that ``solved_after`` is of.
    """
    puzzles = predictions["puzzle"]
    cells, steps, computed = (
        by_puzzle(predictions[name].cast(pl.Float64).to_numpy(), puzzles)
        for name in ("cell_accuracy", "steps", "computed_steps")
    )
    solved_after = np.array(predictions["solved_after"].to_list())
    return [
        accuracy("exact_accuracy", None, predictions["solved"].to_numpy(), puzzles),
        accuracy(
            "exact_accuracy_at_halting",
            None,
            predictions["solved_at_halting"].to_numpy(),
            puzzles,
        ),
        mean("cell_accuracy", None, cells),
        mean("mean_steps", None, steps, 1.0, float("inf")),
        mean("mean_computed_steps", None, computed, 1.0, float("inf")),
        *(
            accuracy("exact_accuracy_after_step", step, right, puzzles)
            for step, right in zip(counted, solved_after.T, strict=True)
        ),
    ]
