"""The checks of each stage: what is declared beside its asset, and how outcomes become Dagster's
results.

The checks themselves stand beside what they check.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import dagster as dg

from assets.benchmarks import Benchmark, KindName


class Check(NamedTuple):
    """A check of a stage; a failure of a ``blocking`` one keeps what is downstream from running."""

    description: str
    blocking: bool = True


_HASH = {"hash_matches_content": Check("Every stored file has the checksum it was written with.")}
_LEAKAGE = {"no_leakage": Check("No training puzzle is a test puzzle, up to symmetry.")}
_SUDOKU = {
    "label_solves_input": Check("Every answer holds each digit once in every row, column and box."),
    "clues_kept": Check("Every answer has its puzzle's digit wherever the puzzle has one."),
}
_MAZE = {
    "well_formed": Check("Every maze has one start and one goal among walls and spaces."),
    "input_kept": Check("Every answer is its maze with a path marked on spaces."),
    "shortest_path": Check("Every marked path leads from start to goal, and none is shorter."),
}
_SEQUENCE = {"label_solves_input": Check("Every answer is the sum of its question's numbers.")}
_ARC = {
    "grid_bounds": Check(
        "Every grid is a rectangle of colours with its end marks, and padding around it."
    )
}

CHECKS: dict[KindName, dict[str, dict[str, Check]]] = {
    "sudoku": {
        "puzzles": {
            "unique_solution": Check("Every puzzle has exactly one solution."),
            **_SUDOKU,
            **_LEAKAGE,
            "class_balance": Check(
                "Digits are about equally frequent among the clues.", blocking=False
            ),
        },
        "examples": {**_HASH, **_SUDOKU},
    },
    "maze": {"puzzles": {**_MAZE, **_LEAKAGE}, "examples": {**_HASH, **_MAZE}},
    "sequence": {"puzzles": {**_SEQUENCE, **_LEAKAGE}, "examples": {**_HASH, **_SEQUENCE}},
    "arc": {
        "puzzles": {
            "grid_bounds": Check("Every grid has 1 to 30 rows and columns of colours 0 to 9."),
            "no_leakage": Check(
                "No test pair or task is among the training tasks, up to symmetry, but for those "
                "known of the published benchmark."
            ),
        },
        "examples": {**_HASH, **_ARC},
    },
}
_ALL_KINDS: dict[str, dict[str, Check]] = {
    "checkpoint": {"finite_loss": Check("Every logged loss is a finite number.")},
    "scores": {
        "above_chance": Check(
            "The cell accuracy, clues included, is above that of a trivial answer.", blocking=False
        )
    },
}


def checks_of(benchmark: Benchmark, stage: str) -> dict[str, Check]:
    """The checks of a stage, by name."""
    return _ALL_KINDS.get(stage) or CHECKS[benchmark.source.kind].get(stage, {})


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one check and the figures behind it."""

    passed: bool
    figures: dict[str, int | float | str] = field(default_factory=dict[str, int | float | str])


NOT_MADE = Verdict(False, {"error": "not made: an earlier check failed"})
"""Of a check that could not be made."""


def check_specs(name: str, benchmark: Benchmark, stage: str) -> list[dg.AssetCheckSpec]:
    """The stage's checks, declared beside its asset."""
    return [
        dg.AssetCheckSpec(
            check_name,
            asset=dg.AssetKey([name, stage]),
            blocking=check.blocking,
            description=check.description,
        )
        for check_name, check in checks_of(benchmark, stage).items()
    ]


def check_results(
    name: str, benchmark: Benchmark, stage: str, verdicts: Mapping[str, Verdict]
) -> list[dg.AssetCheckResult]:
    """Verdicts as results of the checks that :func:`check_specs` declares; a check without a
    verdict could not be made, and counts as failed."""
    results: list[dg.AssetCheckResult] = []
    for check_name, check in checks_of(benchmark, stage).items():
        verdict = verdicts.get(check_name, NOT_MADE)
        severity = dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN
        results.append(
            dg.AssetCheckResult(
                asset_key=dg.AssetKey([name, stage]),
                check_name=check_name,
                passed=verdict.passed,
                metadata=verdict.figures,
                severity=severity,
            )
        )
    return results


def blocks(benchmark: Benchmark, stage: str, verdicts: Mapping[str, Verdict]) -> bool:
    """Whether a blocking check has failed: then the stage must not hand on what it made."""
    declared = checks_of(benchmark, stage)
    return any(declared[name].blocking and not verdict.passed for name, verdict in verdicts.items())
