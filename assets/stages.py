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
