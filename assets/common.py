"""What the assets' bodies share. Imports nothing heavy: the definitions load it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import dagster as dg
from pydantic import Field

from storage.layout import Layout

STAGES = ("puzzles", "examples", "shards", "checkpoint", "predictions", "scores", "ablation")


class Check(NamedTuple):
    """A check of a stage; a failure of a ``blocking`` one keeps what is downstream from running."""

    description: str
    blocking: bool = True


_SOLVED = Check("Every answer holds each digit once in every row, column and box.")
_KEPT = Check("Every answer has its puzzle's digit wherever the puzzle has one.")

CHECKS: dict[str, dict[str, Check]] = {
    "puzzles": {
        "unique_solution": Check("Every puzzle has exactly one solution."),
        "label_solves_input": _SOLVED,
        "clues_kept": _KEPT,
        "no_leakage": Check("No training puzzle is a test puzzle, up to symmetry."),
    },
    "examples": {
        "hash_matches_content": Check("Every stored file has the checksum it was written with."),
        "label_solves_input": _SOLVED,
        "clues_kept": _KEPT,
        "class_balance": Check("Digits are about equally frequent among the answers.", blocking=False),
    },
    "checkpoint": {"finite_loss": Check("Every logged loss is a finite number.")},
    "scores": {"above_chance": Check("The cell accuracy, clues included, is above that of a constant digit.", blocking=False)},
}


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
    """Which file ``sudoku_csv`` reads and how it is split.

    :param path: local path or URL of the puzzles.
    :param test_path: file with the test puzzles; None: a share of ``path``.
    :param test_share: share of ``path`` kept for testing when there is no ``test_path``.
    :param train_puzzles, test_puzzles: draw at most so many for each split; None: all.
    :param seed: of the split and the draw.
    """

    path: str
    test_path: str | None = None
    test_share: float = 0.1
    train_puzzles: int | None = None
    test_puzzles: int | None = None
    seed: int = 0


class TrainingConfig(dg.Config):
    """Changes to the benchmark's recipe for one materialization, and how to run.

    :param steps, batch_size: in place of the recipe's.
    :param fresh: train again although the same training (configuration, data, code) is finished; a retry continues it.
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
    :param limit: evaluate only the first so many test examples; None: all.
    :param device: as in :class:`TrainingConfig`; need not be the one that trained.
    """

    batch_size: int = Field(default=256, ge=1)
    limit: int | None = Field(default=None, ge=1)
    device: str = "auto"


def user_error(message: object) -> dg.Failure:
    """A failure that a retry would not mend, shown as one line."""
    return dg.Failure(description=" ".join(str(message).split()), allow_retries=False)


def check_specs(benchmark: str, stage: str) -> list[dg.AssetCheckSpec]:
    """The stage's checks, declared beside its asset."""
    return [
        dg.AssetCheckSpec(name, asset=dg.AssetKey([benchmark, stage]), blocking=check.blocking, description=check.description)
        for name, check in CHECKS.get(stage, {}).items()
    ]


def check_results(benchmark: str, stage: str, verdicts: Mapping[str, Verdict]) -> list[dg.AssetCheckResult]:
    """Verdicts as results of the checks that :func:`check_specs` declares."""
    return [
        dg.AssetCheckResult(
            asset_key=dg.AssetKey([benchmark, stage]),
            check_name=name,
            passed=verdict.passed,
            metadata=verdict.figures,
            severity=dg.AssetCheckSeverity.ERROR if CHECKS[stage][name].blocking else dg.AssetCheckSeverity.WARN,
        )
        for name, verdict in verdicts.items()
    ]


def blocks(stage: str, verdicts: Mapping[str, Verdict]) -> bool:
    """Whether a blocking check has failed: then the stage must not hand on what it made."""
    return any(CHECKS[stage][name].blocking and not verdict.passed for name, verdict in verdicts.items())


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
        raise user_error(f"{link}: nothing trained yet; materialize {name}/checkpoint, partition {variant}|{seed}, first")
    return link.resolve()
