"""The checks of each stage: what is declared beside its asset, and how outcomes become Dagster's
results.

The checks themselves stand beside what they check: ``check_STAGE`` of the stage's module
(:data:`assets.stages.STAGE_MODULES`) makes them on what is stored.
"""

from collections.abc import Mapping, Sequence

import dagster as dg

from assets.benchmarks import Benchmark
from assets.families.origin import declared_checks
from assets.outcomes import Check, CheckOutcome
from assets.previews import previews

_HASH = {"hash_matches_content": Check("Every stored file has the checksum it was written with.")}
# Of reports none blocks: another run may have changed what they tell of in the meantime.
_OF_RESULTS: dict[str, dict[str, Check]] = {
    "shards": {
        "same_examples": Check(
            "The shards hold the examples of the data set, each once and in its order, with the "
            "checksums they were written with."
        )
    },
    "checkpoint": {"finite_loss": Check("Every logged loss is a finite number.")},
    "predictions": {
        "every_example_once": Check(
            "Every example of the evaluated puzzles is answered once, and no other is."
        ),
        "tokens_in_vocabulary": Check(
            "Every answer has a token of the vocabulary for each of its cells."
        ),
        "counted_right": Check(
            "What is counted as right is what the stored answers and the labels agree on."
        ),
    },
    "votes": {
        "every_prediction_votes": Check(
            "Each test input of the evaluated tasks has as many votes as it has predictions."
        ),
        "ranked": Check("The candidates of a test input are ranked by votes, from 1, each once."),
        "judged_right": Check("A candidate is called correct where it is the task's answer."),
    },
    "scores": {
        "above_chance": Check(
            "The cell accuracy, clues included, is above that of the best trivial answer, such as "
            "a copy of the question.",
            blocking=False,
        )
    },
    "inspection": {
        "every_call": Check(
            "Each inspected puzzle has a residual for each network call of each step.",
            blocking=False,
        )
    },
    "ablation": {
        "numbers_of_scores": Check(
            "Each variant's figures are those of its latest scores.", blocking=False
        )
    },
    "points": {"scored": Check("The point has been trained and scored.")},
    "report": {
        "every_point": Check(
            "Every point of the study has a score by the same data and code.", blocking=False
        )
    },
    "leaderboard": {
        "numbers_of_ablations": Check(
            "The page shows the figures of the ablation tables.", blocking=False
        )
    },
    "leakage": {
        "every_pair": Check(
            "Each two benchmarks of one family are compared, in both directions, with all test "
            "puzzles that are stored.",
            blocking=False,
        ),
        "no_leaks": Check(
            "No test puzzle of a benchmark is a training puzzle of one, up to symmetry.",
            blocking=False,
        ),
    },
}


def checks_of(stage: str, benchmark: Benchmark | None = None) -> dict[str, Check]:
    """The checks of a stage by name; those of the data depend on the benchmark's family."""
    if benchmark is None:
        return _OF_RESULTS[stage]
    of_data = {
        "puzzles": dict(benchmark.origin.checks),
        "examples": {**_HASH, **declared_checks(type(benchmark.origin.family))},
    }
    return {**of_data, **_OF_RESULTS}[stage]


NOT_MADE = CheckOutcome(False, {"error": "not made: an earlier check failed"})
"""The outcome of a check that could not be made."""


def check_specs(
    key: Sequence[str],
    declared: Mapping[str, Check],
    partitions: dg.PartitionsDefinition | None = None,
) -> list[dg.AssetCheckSpec]:
    """The declared checks of the asset ``key``, each with the asset's partitions."""
    with previews():
        return [
            dg.AssetCheckSpec(
                name,
                asset=dg.AssetKey(key),
                blocking=check.blocking,
                description=check.description,
                partitions_def=partitions,
            )
            for name, check in declared.items()
        ]


def check_results(
    key: Sequence[str], declared: Mapping[str, Check], outcomes: Mapping[str, CheckOutcome]
) -> list[dg.AssetCheckResult]:
    """The outcomes as results of the declared checks of the asset ``key``. A check without an
    outcome could not be made, and counts as failed."""
    results: list[dg.AssetCheckResult] = []
    for name, check in declared.items():
        outcome = outcomes.get(name, NOT_MADE)
        severity = dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN
        results.append(
            dg.AssetCheckResult(
                asset_key=dg.AssetKey(key),
                check_name=name,
                passed=outcome.passed,
                metadata=outcome.figures,
                severity=severity,
            )
        )
    return results


def blocks(declared: Mapping[str, Check], outcomes: Mapping[str, CheckOutcome]) -> bool:
    """Whether a blocking check has failed: then the stage must not hand on what it made."""
    return any(declared[name].blocking and not outcome.passed for name, outcome in outcomes.items())
