"""From predictions to metrics with their 95 % intervals."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

Z_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""
FEW = 30
"""Values below which the normal approximation is not used for shares."""


class Metric(NamedTuple):
    """A row of :class:`assets.tables.Scores` without the columns that say what it came from.

    ``low`` and ``high`` are the ends of the 95 % interval; ``n`` is the number of examples, of
    pass@k that of tasks.
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


def mean_interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
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
    values: npt.NDArray[np.float64],
    least: float = 0.0,
    most: float = 1.0,
) -> Metric:
    """The mean of values [N] that lie between ``least`` and ``most``.

    Where the values are shares and are few or all equal, the normal approximation does not hold;
    they get the wider interval of a share, which holds for any numbers between 0 and 1.
    """
    few = most == 1.0 and (len(values) < FEW or not values.std())
    low, high = wilson(float(values.sum()), len(values)) if few else mean_interval(values)
    return Metric(metric, k, float(values.mean()), max(least, low), min(most, high), len(values))


def score_rows(predictions: pl.DataFrame) -> list[Metric]:
    """The metrics of one split's predictions, rows of :class:`assets.tables.Predictions`."""
    n = len(predictions)
    steps = predictions["steps"].to_numpy().astype(np.float64)
    solved_after = np.array(predictions["solved_after"].to_list()).sum(axis=0)
    return [
        share("exact_accuracy", None, int(predictions["solved"].sum()), n),
        mean("cell_accuracy", None, predictions["cell_accuracy"].to_numpy()),
        mean("mean_steps", None, steps, 1.0, float("inf")),
        *(
            share("exact_accuracy_after_step", step, int(right), n)
            for step, right in enumerate(solved_after, 1)
        ),
    ]
