"""The stages of a benchmark, from its puzzles to its report."""

from assets.benchmarks import Benchmark

STAGES = (
    "puzzles",
    "examples",
    "shards",
    "checkpoint",
    "predictions",
    "votes",
    "scores",
    "ablation",
)
"""All stages in order. Only benchmarks whose answers are voted on have ``votes``."""


def stages_of(benchmark: Benchmark) -> tuple[str, ...]:
    """The stages that a benchmark has, in order."""
    return tuple(stage for stage in STAGES if stage != "votes" or benchmark.votes)


STAGE_MODULES = {
    "puzzles": "assets.data.datasets",
    "examples": "assets.data.datasets",
    "shards": "assets.data.datasets",
    "checkpoint": "assets.training.checkpoint",
    "predictions": "assets.evaluation.predictions",
    "votes": "assets.evaluation.votes",
    "scores": "assets.evaluation.scores",
    "ablation": "assets.reports.ablation",
    "leakage": "assets.reports.leakage",
    "leaderboard": "assets.reports.leaderboard",
}
"""The module that does a stage's work, or that of a report over all benchmarks: what it imports is
the code of the assets."""
