"""What a materialization of each stage may be told. A benchmark's entry says the rest."""

import dagster as dg
from pydantic import Field

from assets.benchmarks import ArcFiles, ArcTasks, PuzzleFile, PuzzleSource


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
    :param without_files: train without such files, where the benchmark expects some.
    """

    train: list[str] = Field(default_factory=list[str])
    without_files: bool = False


class ArcFilesConfig(dg.Config):
    """The user's own ARC tasks: local paths or URLs of JSON with whole tasks, or of Kaggle's
    challenges (:func:`assets.families.arc_files.read_arc`).

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
"""What a materialization of puzzles may be told, by where they come from. Generated puzzles need
nothing beside the benchmark's entry."""


class ShardsConfig(dg.Config):
    """Where webdataset shards go.

    :param url: a place beside the store that they are copied to, anything fsspec opens
        (``s3://bucket/folder``); None: they stay in the store alone.
    """

    url: str | None = None


class TrainingConfig(dg.Config):
    """Changes to the benchmark's recipe for one materialization, and how to run.

    :param steps, batch_size: in place of the recipe's; None: the recipe's.
    :param fresh: train again although the same training (configuration, data, code) is finished; a
        retry continues it.
    :param continue_other_code: go on with a training that was interrupted under another version of
        the code; both versions are recorded in its ``run.json``.
    :param device: ``cpu``, ``cuda:0``, …; ``auto``: the first GPU, else the CPU.
    :param checkpoint_seconds: time between checkpoints.
    :param log_steps: optimizer steps between rows of the training table.
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
