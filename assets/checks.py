"""The checks of each stage: what is declared beside its asset, and how outcomes become Dagster's
results.

The checks themselves stand beside what they check.
"""

from collections.abc import Mapping

import dagster as dg

from assets.benchmarks import Benchmark
from assets.families.origin import declared_checks
from assets.outcomes import Check, CheckOutcome

_HASH = {"hash_matches_content": Check("Every stored file has the checksum it was written with.")}
_OF_RESULTS: dict[str, dict[str, Check]] = {
    "checkpoint": {"finite_loss": Check("Every logged loss is a finite number.")},
    "scores": {
        "above_chance": Check(
            "The cell accuracy, clues included, is above that of a trivial answer.", blocking=False
        )
    },
}


def checks_of(benchmark: Benchmark, stage: str) -> dict[str, Check]:
    """The checks of a stage, by name."""
    of_data = {
        "puzzles": dict(benchmark.origin.checks),
        "examples": {**_HASH, **declared_checks(type(benchmark.origin.family))},
    }
    return {**of_data, **_OF_RESULTS}.get(stage, {})


NOT_MADE = CheckOutcome(False, {"error": "not made: an earlier check failed"})
"""The outcome of a check that could not be made."""


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
    name: str, benchmark: Benchmark, stage: str, outcomes: Mapping[str, CheckOutcome]
) -> list[dg.AssetCheckResult]:
    """The outcomes as results of the checks that :func:`check_specs` declares. A check without an
    outcome could not be made, and counts as failed."""
    results: list[dg.AssetCheckResult] = []
    for check_name, check in checks_of(benchmark, stage).items():
        outcome = outcomes.get(check_name, NOT_MADE)
        severity = dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN
        results.append(
            dg.AssetCheckResult(
                asset_key=dg.AssetKey([name, stage]),
                check_name=check_name,
                passed=outcome.passed,
                metadata=outcome.figures,
                severity=severity,
            )
        )
    return results


def blocks(benchmark: Benchmark, stage: str, outcomes: Mapping[str, CheckOutcome]) -> bool:
    """Whether a blocking check has failed: then the stage must not hand on what it made."""
    declared = checks_of(benchmark, stage)
    return any(declared[name].blocking and not outcome.passed for name, outcome in outcomes.items())
