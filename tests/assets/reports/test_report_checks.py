"""The checks of reports find what they are there for."""

import polars as pl
import pytest

from assets.reports.checks import every_pair, no_leaks, numbers_of_scores, page_shows

SCORES = pl.DataFrame({"variant": ["a", "a", "b"], "value": [0.4, 0.6, 0.9]})
TABLE = pl.DataFrame(
    {
        "variant": ["b", "a", "published_only"],
        "ours": [0.9, 0.5, None],
        "low": [0.8, 0.3, None],
        "high": [0.95, 0.7, None],
        "seeds": [1, 2, 0],
    }
)


def test_an_ablation_has_the_numbers_of_its_scores() -> None:
    assert numbers_of_scores(TABLE, SCORES).passed


@pytest.mark.parametrize(
    ("table", "scores"),
    [
        (TABLE.with_columns(ours=pl.Series([0.9, 0.51, None])), SCORES),
        (TABLE.with_columns(seeds=pl.Series([1, 1, 0])), SCORES),
        (TABLE.with_columns(low=pl.Series([0.91, 0.3, None])), SCORES),
        (TABLE[1:], SCORES),
        (TABLE, SCORES[:2]),
        (TABLE, pl.concat([SCORES, pl.DataFrame({"variant": ["published_only"], "value": [0.1]})])),
        (TABLE, SCORES.with_columns(value=pl.Series([0.4, 0.6, 0.8]))),
    ],
)
def test_other_numbers_are_found(table: pl.DataFrame, scores: pl.DataFrame) -> None:
    assert not numbers_of_scores(table, scores).passed


def test_a_page_is_compared_line_by_line() -> None:
    assert page_shows("a\nb\n", "a\nb\n").passed
    other = page_shows("a\nc\n", "a\nb\n")
    assert not other.passed
    assert other.figures["first_failed"] == "line 2: expected 'b'"
    assert not page_shows("a\n", "a\nb\n").passed


PUZZLES = {
    name: pl.DataFrame({"split": ["train", "test", "test"], "name": ["x", f"{name}1", f"{name}2"]})
    for name in ("one", "two", "maze")
}
PAIRS = [("one", "one"), ("one", "two"), ("two", "one"), ("two", "two"), ("maze", "maze")]
LEAKAGE = pl.DataFrame(
    [(tested, trained, 2, 0, None, 1) for tested, trained in PAIRS],
    schema={
        "benchmark": pl.String,
        "trained_on": pl.String,
        "test_puzzles": pl.Int64,
        "leaks": pl.Int64,
        "first": pl.String,
        "shared": pl.Int64,
    },
    orient="row",
)


def same(one: str, other: str) -> bool:
    return (one == "maze") == (other == "maze")


def change(**values: object) -> pl.DataFrame:
    """The second row with other values."""
    row = {**LEAKAGE.row(1, named=True), **values}
    return pl.concat([LEAKAGE[:1], pl.DataFrame([row], schema=LEAKAGE.schema), LEAKAGE[2:]])


def test_all_pairs_are_compared() -> None:
    assert every_pair(LEAKAGE, PUZZLES, same).passed
    assert every_pair(change(leaks=1, first="one2"), PUZZLES, same).passed


@pytest.mark.parametrize(
    "rows",
    [
        LEAKAGE[1:],
        LEAKAGE[:-1],
        change(test_puzzles=3),
        change(leaks=2, first="one1"),
        change(leaks=1),
        change(first="one1"),
        change(leaks=1, first="two1"),
    ],
)
def test_pairs_that_are_missing_or_wrong_are_found(rows: pl.DataFrame) -> None:
    assert not every_pair(rows, PUZZLES, same).passed


def test_leaks_are_named() -> None:
    assert no_leaks(LEAKAGE).passed
    found = no_leaks(change(leaks=1, first="one2"))
    assert not found.passed
    assert found.figures["first_failed"] == (
        "one: 1 test puzzles are trained on in two, such as one2"
    )
