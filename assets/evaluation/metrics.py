"""From predictions to metrics with their 95 % intervals."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from trm_model.puzzles.family import Bools, Family, Ints, Tokens

Floats = npt.NDArray[np.float64]

Z_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""
FEW = 30
"""Values below which the normal approximation is not used for shares."""
MOST_BANDS = 12
"""Bands that :func:`bands` divides numbers into at most, besides 0 and 1."""


class Metric(NamedTuple):
    """A row of :class:`assets.tables.Scores` without the columns that say what it came from.

    ``low`` and ``high`` are the ends of the 95 % interval; ``n`` is the number of puzzles (of ARC:
    of tasks); ``group`` says which of the puzzles, or whose answers, where it is not the model's to
    all of them.
    """

    metric: str
    k: int | None
    value: float
    low: float
    high: float
    n: int
    group: str | None = None


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


def share_of(metric: str, k: int | None, right: Bools, puzzles: pl.Series) -> Metric:
    """The share of answers [N] to the puzzles that something holds of; a puzzle may have several
    answers."""
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
        share_of("exact_accuracy", None, predictions["solved"].to_numpy(), puzzles),
        share_of(
            "exact_accuracy_at_halting",
            None,
            predictions["solved_at_halting"].to_numpy(),
            puzzles,
        ),
        mean("cell_accuracy", None, cells),
        mean("mean_steps", None, steps, 1.0, float("inf")),
        mean("mean_computed_steps", None, computed, 1.0, float("inf")),
        *(
            share_of("exact_accuracy_after_step", step, right, puzzles)
            for step, right in zip(counted, solved_after.T, strict=True)
        ),
    ]


def family_rows(
    predictions: pl.DataFrame, family: Family, inputs: Tokens, labels: Tokens
) -> list[Metric]:
    """What the family measures of predictions, rows of :class:`assets.tables.Predictions`, of the
    examples [N, L], and their exact accuracy by its groups and by difficulty."""
    puzzles = predictions["puzzle"]
    answers = np.frombuffer(b"".join(predictions["prediction"]), np.uint8).reshape(labels.shape)
    measured = family.metrics(inputs, labels, answers)
    groups = {**family.groups(inputs, labels), "difficulty": predictions["difficulty"].to_numpy()}
    return [
        *(share_of(metric, None, holds, puzzles) for metric, holds in measured.items()),
        *group_rows(predictions["solved"].to_numpy(), puzzles, groups),
    ]


def group_rows(solved: Bools, puzzles: pl.Series, groups: Mapping[str, Ints]) -> Iterator[Metric]:
    """The exact accuracy of the answers [N] to the puzzles, by the numbers [N] of each group."""
    for name, values in groups.items():
        for band, members in bands(values).items():
            row = share_of(
                "exact_accuracy_of_group", None, solved[members], puzzles.filter(members)
            )
            yield row._replace(group=f"{name}={band}")


def bands(values: Ints) -> dict[str, Bools]:
    """Numbers from 0, [N], in bands of equal width, in order: name such as ``51-55`` -> which they
    are, [N]; none is empty. 0 and 1 have bands of their own; the width is the least of 1, 2, 5, 10,
    20, … that leaves :data:`MOST_BANDS` of the others."""
    above = np.unique(values[values > 1]) - 1
    widths = (one * 10**tens for tens in itertools.count() for one in (1, 2, 5))
    width = next(width for width in widths if len(np.unique(above // width)) <= MOST_BANDS)
    first = np.where(values > 1, np.maximum(2, (values - 1) // width * width + 1), values)
    last = np.where(values > 1, ((values - 1) // width + 1) * width, values)
    return {
        str(low) if low == high else f"{low}-{high}": first == low
        for low, high in np.unique(np.stack([first, last], 1), axis=0).tolist()
    }


def trivial_rows(
    answers: Mapping[str, Tokens], labels: Tokens, ignore: int, puzzles: pl.Series
) -> list[Metric]:
    """The exact and the cell accuracy of trivial answers, by name, to the puzzles: tokens [N, L]
    each, of which those count whose label is not ``ignore``."""
    labelled = labels != ignore
    cells = labelled.sum(axis=1)
    rows: list[Metric] = []
    for name, answer in answers.items():
        right = ((answer == labels) & labelled).sum(axis=1)
        exact = share_of("trivial_exact_accuracy", None, right == cells, puzzles)
        of_cells = mean(
            "trivial_cell_accuracy", None, by_puzzle(right / np.maximum(cells, 1), puzzles)
        )
        rows += [row._replace(group=name) for row in (exact, of_cells)]
    return rows
