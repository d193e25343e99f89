"""What the assets' bodies share. Imports nothing heavy: the definitions load it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import dagster as dg
from pydantic import Field

from assets.benchmarks import ArcFiles, ArcTasks, Benchmark, KindName, PuzzleFile, PuzzleSource
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


STAGE_MODULES = {
    "puzzles": "assets.data.datasets",
    "examples": "assets.data.datasets",
    "shards": "assets.data.datasets",
    "checkpoint": "assets.training.checkpoint",
    "predictions": "assets.evaluation.predictions",
    "votes": "assets.evaluation.votes",
    "scores": "assets.evaluation.predictions",
    "ablation": "assets.reports.ablation",
    "leakage": "assets.reports.leakage",
    "leaderboard": "assets.reports.ablation",
}
"""The module that does a stage's work: what it imports is the code of the stage's assets."""


def stages_of(benchmark: Benchmark) -> tuple[str, ...]:
    """The stages that a benchmark has."""
    return tuple(stage for stage in STAGES if stage != "votes" or benchmark.votes)


def checks_of(benchmark: Benchmark, stage: str) -> dict[str, Check]:
    """The checks of a stage, by name."""
    return _ALL_KINDS.get(stage) or CHECKS[benchmark.source.kind].get(stage, {})


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one check and the figures behind it."""

    passed: bool
    figures: dict[str, int | float | str] = field(default_factory=dict[str, int | float | str])


class Store(dg.ConfigurableResource):
    """Where data, runs, tables and reports lie.

    :param root: a folder; relative to where Dagster was started.
    """

    root: str = "data"

    @property
    def layout(self) -> Layout:
        return Layout(Path(self.root).resolve())


class FileConfig(dg.Config):
    """Which files the puzzles come from and how they are split.

    :param path: local path or URL of the puzzles; None: the repository that the benchmark's entry
        names.
    :param test_path: file with the test puzzles; None: a share of ``path``.
    :param test_share: share of ``path`` kept for testing when there is no ``test_path``.
    :param train_puzzles, test_puzzles: draw at most so many for each split; None: as the entry
        says, or all.
    :param seed: of the split and the draw.
    """

    path: str | None = None
    test_path: str | None = None
    test_share: float = 0.1
    train_puzzles: int | None = Field(default=None, ge=1)
    test_puzzles: int | None = Field(default=None, ge=1)
    seed: int = 0


class ArcConfig(dg.Config):
    """Files with ARC tasks.

    :param train: files (local paths or URLs) with further tasks to train on, such as ConceptARC's.
    :param without_files: do without, where the benchmark wants some.
    """

    train: list[str] = Field(default_factory=list[str])
    without_files: bool = False


class ArcFilesConfig(dg.Config):
    """One's own ARC tasks (:func:`assets.families.arc_files.read_arc`): local paths or URLs of JSON
    with whole tasks, or of Kaggle's challenges.

    :param train: files with tasks to train on whole.
    :param test: file with the tasks that are evaluated; their demonstrations are trained on.
    """

    train: list[str] = Field(default_factory=list[str])
    test: str


CONFIGS: dict[type[PuzzleSource], type[dg.Config]] = {
    PuzzleFile: FileConfig,
    ArcTasks: ArcConfig,
    ArcFiles: ArcFilesConfig,
}
"""What a materialization of puzzles may be told; generated ones need nothing beside the benchmark's
entry."""


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
    :param continue_other_code: go on with a training that was interrupted under another version of
        the code; both versions are recorded in its ``run.json``.
    :param device: ``auto``: the first GPU, else the CPU.
    """

    steps: int | None = None
    batch_size: int | None = None
    fresh: bool = False
    continue_other_code: bool = False
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
    name: str, benchmark: Benchmark, stage: str, verdicts: Mapping[str, Verdict]
) -> list[dg.AssetCheckResult]:
    """Verdicts as results of the checks that :func:`check_specs` declares; a check without a
    verdict could not be made."""
    return [
        dg.AssetCheckResult(
            asset_key=dg.AssetKey([name, stage]),
            check_name=check_name,
            passed=verdict.passed,
            metadata=verdict.figures,
            severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
        )
        for check_name, check in checks_of(benchmark, stage).items()
        for verdict in (
            verdicts.get(
                check_name, Verdict(False, {"error": "not made: an earlier check failed"})
            ),
        )
    ]


def blocks(benchmark: Benchmark, stage: str, verdicts: Mapping[str, Verdict]) -> bool:
    """Whether a blocking check has failed: then the stage must not hand on what it made."""
    return any(
        checks_of(benchmark, stage)[name].blocking and not verdict.passed
        for name, verdict in verdicts.items()
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
