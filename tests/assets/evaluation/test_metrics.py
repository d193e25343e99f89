"""Metrics and their intervals."""

import math

import numpy as np
import polars as pl
import pytest

from assets.evaluation.metrics import (
    MOST_BANDS,
    Z_95,
    Metric,
    bands,
    family_rows,
    mean,
    mean_interval,
    score_rows,
    share,
    trivial_rows,
    wilson,
)
from trm_model.puzzles.maze.family import Maze
from trm_model.puzzles.sudoku.family import Sudoku


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
            "puzzle": ["a", "b"],
            "solved": [True, False],
            "cell_accuracy": [1.0, 0.5],
            "steps": [1, 3],
            "solved_at_halting": [False, True],
            "computed_steps": [1.0, 1.5],
            "solved_after": [[False, True], [False, False]],
        }
    )
    found = score_rows(predictions, (1, 2))
    rows = {(row.metric, row.k): row.value for row in found}
    assert rows == {
        ("exact_accuracy", None): 0.5,
        ("exact_accuracy_at_halting", None): 0.5,
        ("mean_computed_steps", None): 1.25,
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


def tasks(sizes: list[int], seed: int) -> pl.DataFrame:
    """Predictions for tasks with so many augmentations each, which are nearly all right or all
    wrong together."""
    draw = np.random.default_rng(seed)
    puzzles = np.repeat(np.arange(len(sizes)), sizes)
    solved = draw.random(len(puzzles)) < np.repeat(draw.choice([0.02, 0.9], len(sizes)), sizes)
    return pl.DataFrame(
        {
            "puzzle": puzzles.astype(str),
            "solved": solved,
            "cell_accuracy": np.where(solved, 1.0, 0.5),
            "steps": np.where(solved, 2, 16).astype(np.int32),
            "solved_at_halting": solved,
            "computed_steps": np.full(len(solved), 2.0),
            "solved_after": [[False, bool(right)] for right in solved],
        }
    )


@pytest.mark.parametrize("sizes", [[50] * 60, [20, 40, 60, 80] * 15])
def test_augmentations_of_a_task_are_one_draw(sizes: list[int]) -> None:
    """The intervals are those of a bootstrap that resamples tasks with all their answers."""
    rows = tasks(sizes, seed=len(set(sizes)))
    found = {(row.metric, row.k): row for row in score_rows(rows, (1, 2))}
    by_task = rows.group_by("puzzle").agg(
        pl.col("solved", "cell_accuracy", "steps").sum(), pl.len()
    )
    draws = np.random.default_rng(0).integers(len(sizes), size=(4_000, len(sizes)))
    columns = {"solved": "exact_accuracy", "cell_accuracy": "cell_accuracy", "steps": "mean_steps"}
    for name, metric in columns.items():
        sums, counts = by_task[name].to_numpy()[draws], by_task["len"].to_numpy()[draws]
        low, high = np.quantile(sums.sum(1) / counts.sum(1), [0.025, 0.975])
        row = found[metric, None]
        assert row.value == pytest.approx(rows[name].mean())
        assert row.n == len(sizes)
        assert (row.low, row.high) == pytest.approx((low, high), abs=0.2 * (high - low))
        naive = mean_interval(rows[name].cast(pl.Float64).to_numpy())
        assert row.high - row.low > 4 * (naive[1] - naive[0])
    last = found["exact_accuracy_after_step", 2]
    assert last[2:] == found["exact_accuracy", None][2:]


def test_few_tasks_get_the_interval_of_as_many_shares() -> None:
    """8 tasks with 1,000 augmentations each tell as much as 8 numbers."""
    [exact, *_] = score_rows(tasks([1_000] * 8, seed=3), (1, 2))
    assert (exact.low, exact.high) == pytest.approx(wilson(8 * exact.value, 8))
    none = tasks([100] * 40, seed=1).with_columns(solved=False)
    assert score_rows(none, (1, 2))[0][2:] == (0.0, *wilson(0, 40), 40, None)


def test_equal_numbers_are_equal_whatever_their_last_bits() -> None:
    """The standard deviation of a hundred times 0.1 is not 0 in floating point."""
    found = mean("cell_accuracy", None, np.full(100, 0.1))
    assert (found.low, found.high) == pytest.approx(wilson(10, 100))


def test_bands_divide_numbers_and_leave_0_and_1_alone() -> None:
    values = np.array([0, 55, 1, 2, 54, 51, 56, 5])
    found = {name: values[members].tolist() for name, members in bands(values).items()}
    assert found == {str(value): [value] for value in sorted(values.tolist())}
    assert list(found) == ["0", "1", "2", "5", "51", "54", "55", "56"]
    many = np.arange(65)
    found = {name: many[members].tolist() for name, members in bands(many).items()}
    assert list(found) == [
        "0", "1", "2-10", "11-20", "21-30", "31-40", "41-50", "51-60", "61-70"
    ]  # fmt: skip
    assert found["2-10"] == list(range(2, 11))
    assert found["61-70"] == [61, 62, 63, 64]
    assert list(bands(np.arange(31, 91)))[:2] == ["31-35", "36-40"]
    assert bands(np.array([], np.int64)) == {}


@pytest.mark.parametrize("most", [1, 13, 14, 40, 1_000, 10**12])
def test_bands_are_few_and_each_number_is_in_one(most: int) -> None:
    values = np.random.default_rng(most).integers(0, most, 500, endpoint=True)
    found = bands(values)
    assert len(found) <= MOST_BANDS + 2
    assert (np.sum(list(found.values()), axis=0) == 1).all()
    for name, members in found.items():
        low, _, high = name.partition("-")
        assert members.any()
        assert values[members].min() >= int(low)
        assert values[members].max() <= int(high or low)


SOLUTION = "1234341221434321"


def sudoku(*texts: str) -> np.ndarray:
    return np.stack([Sudoku(4).read(text)[0].cells for text in texts])


def test_families_measure_and_group_answers() -> None:
    """One puzzle without a blank, one with one, two with two; the last answers are wrong."""
    inputs = sudoku(SOLUTION, "." + SOLUTION[1:], "." * 2 + SOLUTION[2:], SOLUTION[:-2] + "..")
    labels = sudoku(*[SOLUTION] * 4)
    answers = labels.copy()
    answers[1, 0] = answers[3, 0] = 5
    predictions = pl.DataFrame(
        {
            "puzzle": list("abcd"),
            "solved": (answers == labels).all(axis=1),
            "difficulty": [0, 0, 0, 3],
            "prediction": [answer.tobytes() for answer in answers],
        }
    )
    rows = family_rows(predictions, Sudoku(4), inputs, labels)
    assert [(row.metric, row.group, row.value, row.n) for row in rows] == [
        ("valid", None, 0.5, 4),
        ("exact_accuracy_of_group", "blanks=0", 1.0, 1),
        ("exact_accuracy_of_group", "blanks=1", 0.0, 1),
        ("exact_accuracy_of_group", "blanks=2", 0.5, 2),
        ("exact_accuracy_of_group", "difficulty=0", 2 / 3, 3),
        ("exact_accuracy_of_group", "difficulty=3", 0.0, 1),
    ]
    assert rows[3][3:5] == wilson(1, 2)


def test_versions_of_a_task_in_a_group_are_one_draw() -> None:
    labels = np.full((4, 4), 2, np.uint8)
    predictions = pl.DataFrame(
        {
            "puzzle": ["a", "a", "b", "b"],
            "solved": [True, False, True, True],
            "difficulty": [1, 1, 2, 2],
            "prediction": [label.tobytes() for label in labels],
        }
    )
    rows = [row for row in family_rows(predictions, Maze(2), labels, labels) if row.group]
    assert [(row.group, row.value, row.n) for row in rows] == [
        ("difficulty=1", 0.5, 1),
        ("difficulty=2", 1.0, 1),
    ]


def test_trivial_answers_are_scored_as_answers_are() -> None:
    labels = np.array([[2, 2, 0], [2, 3, 3]], np.uint8)
    answers = {"twos": np.full_like(labels, 2), "threes": np.full_like(labels, 3)}
    rows = trivial_rows(answers, labels, 0, pl.Series(["a", "b"]))
    assert [(row.metric, row.group, row.value, row.n) for row in rows] == [
        ("trivial_exact_accuracy", "twos", 0.5, 2),
        ("trivial_cell_accuracy", "twos", pytest.approx(2 / 3), 2),
        ("trivial_exact_accuracy", "threes", 0.0, 2),
        ("trivial_cell_accuracy", "threes", pytest.approx(1 / 3), 2),
    ]
    assert rows[0][3:5] == wilson(1, 2)
