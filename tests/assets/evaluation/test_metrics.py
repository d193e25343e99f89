"""Metrics and their intervals."""

import math

import numpy as np
import polars as pl
import pytest

from assets.evaluation.metrics import Z_95, Metric, mean, mean_interval, score_rows, share, wilson


def test_wilson_interval() -> None:
    """Newcombe 1998, Table I: 81 of 263 gives 0.2553 to 0.3662, 0 of 20 gives 0 to 0.1611."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    # The ends are the shares at which the observed one is 1.96 standard errors away.
    for successes, trials in ((7, 10), (1, 3), (263 - 81, 263)):
        observed, (low, high) = successes / trials, wilson(successes, trials)
        assert low < observed < high
        for end in (low, high):
            error = math.sqrt(end * (1 - end) / trials)
            assert abs(observed - end) == pytest.approx(Z_95 * error)
        mirrored = wilson(trials - successes, trials)
        assert mirrored == pytest.approx((1 - high, 1 - low))


def test_wilson_interval_stays_within_0_and_1() -> None:
    assert wilson(20, 20) == pytest.approx((1 - 0.1611, 1.0), abs=1e-4)
    for trials in range(1, 200):
        low, high = wilson(trials, trials)
        assert 0 < low < 1
        assert high <= 1
        assert wilson(0, trials)[0] >= 0


def test_interval_of_a_mean() -> None:
    values = np.tile([0.0, 1.0, 2.0, 3.0], 25)
    error = values.std(ddof=1) / 10
    assert mean_interval(values) == pytest.approx((1.5 - 1.96 * error, 1.5 + 1.96 * error), 1e-4)
    assert mean_interval(values[:1]) == (0.0, 0.0)


def test_a_mean_of_many_has_its_interval_cut_to_what_can_be() -> None:
    values = np.array([1.0] * 39 + [0.5])
    found = mean("cell_accuracy", None, values)
    low, high = mean_interval(values)
    assert high > 1
    assert found == Metric("cell_accuracy", None, values.mean(), low, 1.0, 40)
    found = mean("cell_accuracy", None, 1 - values)
    assert (found.low, found.high) == (0.0, pytest.approx(1 - low))
    steps = np.array([1.0] * 39 + [4.0])
    found = mean("mean_steps", None, steps, 1.0, math.inf)
    assert (found.low, found.high) == (1.0, pytest.approx(mean_interval(steps)[1]))


@pytest.mark.parametrize(
    ("values", "few"),
    [
        (np.linspace(0.4, 0.6, 29), True),
        (np.linspace(0.4, 0.6, 30), False),
        (np.full(100, 0.5), True),
        (np.full(100, 1.0), True),
    ],
)
def test_few_or_equal_numbers_get_the_wider_interval_of_a_share(
    values: np.ndarray, few: bool
) -> None:
    found = mean("cell_accuracy", None, values)
    expected = wilson(float(values.sum()), len(values)) if few else mean_interval(values)
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.low < found.high


def test_share() -> None:
    low, high = wilson(3, 10)
    assert share("pass_at_k", 2, 3, 10) == Metric("pass_at_k", 2, 0.3, low, high, 10)


def test_score_rows() -> None:
    predictions = pl.DataFrame(
        {
            "solved": [True, False],
            "cell_accuracy": [1.0, 0.5],
            "steps": [1, 3],
            "solved_after": [[False, True], [False, False]],
        }
    )
    found = score_rows(predictions)
    rows = {(row.metric, row.k): row.value for row in found}
    assert rows == {
        ("exact_accuracy", None): 0.5,
        ("cell_accuracy", None): 0.75,
        ("mean_steps", None): 2.0,
        ("exact_accuracy_after_step", 1): 0.0,
        ("exact_accuracy_after_step", 2): 0.5,
    }
    intervals = {(row.metric, row.k): (row.low, row.high) for row in found}
    assert intervals["exact_accuracy", None] == wilson(1, 2)
    assert intervals["cell_accuracy", None] == wilson(1.5, 2)
    assert intervals["exact_accuracy_after_step", 1] == wilson(0, 2)
    # Steps are at least 1 and have no upper bound.
    half = Z_95 * math.sqrt(2) / math.sqrt(2)
    assert intervals["mean_steps", None] == pytest.approx((1.0, 2.0 + half))
    assert all(row.n == 2 for row in found)
