"""How outcomes of checks become Dagster's results."""

import dagster as dg

from assets.benchmarks import BENCHMARKS
from assets.checks import blocks, check_results, check_specs, checks_of
from assets.outcomes import CheckOutcome, together
from assets.progress import spaced

SUDOKU = BENCHMARKS["sudoku_4x4"]
GOOD = CheckOutcome(True, {"checked": 3})


def test_a_check_without_a_verdict_counts_as_failed() -> None:
    declared = checks_of("puzzles", SUDOKU)
    results = check_results(["b", "puzzles"], declared, {"unique_solution": GOOD})
    specs = check_specs(["b", "puzzles"], declared)
    assert [result.check_name for result in results] == [spec.name for spec in specs]
    by_name = {result.check_name: result for result in results}
    assert by_name["unique_solution"].passed
    assert by_name["unique_solution"].metadata["checked"].value == 3
    assert not by_name["no_leakage"].passed
    assert "not made" in str(by_name["no_leakage"].metadata["error"].value)
    assert by_name["no_leakage"].severity == dg.AssetCheckSeverity.ERROR
    assert by_name["class_balance"].severity == dg.AssetCheckSeverity.WARN
    assert [spec.blocking for spec in specs] == [check.blocking for check in declared.values()]


def test_only_blocking_checks_block() -> None:
    bad = CheckOutcome(False)
    declared = checks_of("puzzles", SUDOKU)
    assert not blocks(declared, {"unique_solution": GOOD, "class_balance": bad})
    assert blocks(declared, {"unique_solution": bad, "class_balance": GOOD})


def test_messages_are_spaced() -> None:
    often, seldom = list[str](), list[str]()
    for seconds, told in ((-1.0, often), (60.0, seldom)):
        say = spaced(told.append, seconds)
        say("one")
        say("two")
    assert often == ["one", "two"]
    assert seldom == ["one"]


def test_checks_of_several_partitions_are_one_outcome() -> None:
    bad = CheckOutcome(False)
    found = together({"a|0": {"x": GOOD, "y": GOOD, "z": GOOD}, "b|0": {"x": GOOD, "y": bad}})
    assert found["x"] == CheckOutcome(True, {"partitions": 2, "failed": 0})
    for name in ("y", "z"):
        assert not found[name].passed
        assert found[name].figures == {"partitions": 2, "failed": 1, "first_failed": "b|0"}
