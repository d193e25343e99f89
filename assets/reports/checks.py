"""What reports must satisfy. Each check is a plain function of what is stored; assets/checks.py
declares it."""

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from assets.outcomes import CheckOutcome


def _outcome(checked: int, wrong: list[str]) -> CheckOutcome:
    figures: dict[str, int | float | str] = {"checked": checked, "failed": len(wrong)}
    return CheckOutcome(not wrong, figures | ({"first_failed": wrong[0]} if wrong else {}))


def numbers_of_scores(table: pl.DataFrame, compared: pl.DataFrame) -> CheckOutcome:
    """Whether each variant of an ablation table has the mean and the number of the seeds that are
    compared, inside its interval, and none is left out.

    :param table: rows of :class:`assets.tables.Ablation`.
    :param compared: rows of :class:`assets.tables.Scores`.
    """
    values: dict[str, list[float]] = {}
    for variant, value in compared.select("variant", "value").iter_rows():
        values.setdefault(variant, []).append(value)
    wrong: list[str] = []
    for name, ours, low, high, seeds in table.select(
        "variant", "ours", "low", "high", "seeds"
    ).iter_rows():
        found = values.pop(name, [])
        if len(found) != seeds or (
            seeds and not (np.isclose(ours, np.mean(found)) and low <= ours <= high)
        ):
            mean = f"{np.mean(found):.4f}" if found else "no figure"
            wrong.append(f"{name}: expected {mean} of {len(found)} seeds")
    wrong += [f"{name}: missing" for name in values]
    return _outcome(len(table), wrong)


def page_shows(shown: str, expected: str) -> CheckOutcome:
    """Whether a page is the one that the tables give now; line by line."""
    lines, wanted = shown.splitlines(), expected.splitlines()
    wrong = [
        f"line {number}: expected {want!r}"
        for number, (line, want) in enumerate(zip(lines, wanted, strict=False), 1)
        if line != want
    ]
    if len(lines) != len(wanted):
        wrong.append(f"{len(lines)} lines, expected {len(wanted)}")
    return _outcome(len(wanted), wrong)


def every_pair(
    rows: pl.DataFrame,
    puzzles: Mapping[str, pl.DataFrame],
    same_family: Callable[[str, str], bool],
) -> CheckOutcome:
    """Whether each two benchmarks of one family are compared, with all test puzzles of the one.

    :param rows: of :class:`assets.tables.Leakage`, with the benchmark.
    :param puzzles: the tables of puzzles, by benchmark.
    :param same_family: whether two benchmarks are of one family.
    """
    found = {
        (tested, trained): row
        for tested, trained, *row in rows.select(
            "benchmark", "trained_on", "test_puzzles", "leaks", "first", "shared"
        ).iter_rows()
    }
    tests = {
        name: frame.filter(pl.col("split") == "test")["name"] for name, frame in puzzles.items()
    }
    wrong: list[str] = []
    for tested, names in tests.items():
        known = set(names)
        for trained in puzzles:
            if not same_family(tested, trained):
                continue
            count, leaks, first, shared = found.pop((tested, trained), (0, 0, None, -1))
            agrees = count == len(names) and leaks <= shared <= count
            if not agrees or (first is None) != (leaks == 0) or (leaks and first not in known):
                wrong.append(f"{tested}, trained on {trained}: expected {len(names)} test puzzles")
    return _outcome(len(rows), wrong)


def no_leaks(rows: pl.DataFrame) -> CheckOutcome:
    """Whether no test puzzle is a training puzzle; ``rows`` as in :func:`every_pair`."""
    leaking = rows.filter(pl.col("leaks") > 0)
    return _outcome(
        len(rows),
        [
            f"{tested}: {leaks} test puzzles are trained on in {trained}, such as {first}"
            for tested, trained, leaks, first in leaking.select(
                "benchmark", "trained_on", "leaks", "first"
            ).iter_rows()
        ],
    )
