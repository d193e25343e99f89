"""What the assets' bodies share."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
from pydantic import Field

from assets.benchmarks import Benchmark
from assets.check import Check, CheckOutcome
from assets.families.origin import declared_checks
from storage.layout import Layout

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
"""All stages in order; ``votes`` is ARC's alone."""


_HASH = {"hash_matches_content": Check("Every stored file has the checksum it was written with.")}

_OF_RESULTS: dict[str, dict[str, Check]] = {
    "checkpoint": {"finite_loss": Check("Every logged loss is a finite number.")},
    "scores": {
        "above_chance": Check(
            "The cell accuracy, clues included, is above that of a trivial answer.", blocking=False
        )
    },
}


CODE = ("assets", "trm_model", "storage")
"""Packages whose sources an asset's code version covers."""


def stages_of(benchmark: Benchmark) -> tuple[str, ...]:
    """The stages that a benchmark has."""
    return tuple(stage for stage in STAGES if stage != "votes" or benchmark.votes)


def checks_of(benchmark: Benchmark, stage: str) -> dict[str, Check]:
    """The checks of a stage, by name."""
    of_data = {
        "puzzles": dict(benchmark.origin.checks),
        "examples": {**_HASH, **declared_checks(type(benchmark.origin.family))},
    }
    return {**of_data, **_OF_RESULTS}.get(stage, {})


class Store(dg.ConfigurableResource):
    """Where data, runs, tables and reports lie.

    :param root: a folder; relative to where Dagster was started.
    """

    root: str = "data"

    @property
    def layout(self) -> Layout:
        return Layout(Path(self.root).resolve())


class ShardsConfig(dg.Config):
    """Where shards go.

    :param url: copy them there too, anything fsspec opens (``s3://bucket/folder``).
    """

    url: str | None = None


class TrainingConfig(dg.Config):
    """Changes to the benchmark's recipe for one materialization, and how to run.

    :param steps, batch_size: in place of the recipe's.
    :param fresh: train again although the same training (configuration, data, code) is finished; a
        retry continues it.
    :param device: ``auto``: the first GPU, else the CPU.
    """

    steps: int | None = None
    batch_size: int | None = None
    fresh: bool = False
    device: str = "auto"
    checkpoint_seconds: float = 60.0
    log_steps: int = 50


class EvaluationConfig(dg.Config):
    """How to evaluate.

    :param batch_size: examples evaluated together.
    :param limit: evaluate only the first so many test puzzles, of ARC tasks with all their
        augmentations (a fair sample: their order is random); None: as the entry says.
    :param all: evaluate all, whatever the entry says.
    :param device: as in :class:`TrainingConfig`; need not be the one that trained.
    """

    batch_size: int = Field(default=256, ge=1)
    limit: int | None = Field(default=None, ge=1)
    all: bool = False
    device: str = "auto"


def user_error(message: object) -> dg.Failure:
    """A failure that a retry would not mend, shown as one line."""
    return dg.Failure(description=" ".join(str(message).split()), allow_retries=False)


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
    """Outcomes as results of the checks that :func:`check_specs` declares; a check without a
    outcome could not be made."""
    return [
        dg.AssetCheckResult(
            asset_key=dg.AssetKey([name, stage]),
            check_name=check_name,
            passed=outcome.passed,
            metadata=outcome.figures,
            severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
        )
        for check_name, check in checks_of(benchmark, stage).items()
        for outcome in (
            outcomes.get(
                check_name, CheckOutcome(False, {"error": "not made: an earlier check failed"})
            ),
        )
    ]


def blocks(benchmark: Benchmark, stage: str, outcomes: Mapping[str, CheckOutcome]) -> bool:
    """Whether a blocking check has failed: then the stage must not hand on what it made."""
    return any(
        checks_of(benchmark, stage)[name].blocking and not outcome.passed
        for name, outcome in outcomes.items()
    )


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def current_examples(layout: Layout, benchmark: str) -> Path:
    """The benchmark's latest data set; a failure that says what to do where there is none."""
    link = layout.current_examples(benchmark)
    if not link.exists():
        raise user_error(f"{link}: no data set yet; materialize {benchmark}/examples first")
    return link.resolve()


def current_run(layout: Layout, name: str, variant: str, seed: int) -> Path:
    """The run trained last; a failure that says what to do where there is none."""
    link = layout.run(name, variant, seed, "current")
    if not link.exists():
        raise user_error(
            f"{link}: nothing trained yet; materialize {name}/checkpoint, partition "
            f"{variant}|{seed}, first"
        )
    return link.resolve()
