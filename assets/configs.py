"""What a materialization of each stage may be told; of puzzles, the family's file says it. A
benchmark's entry says the rest."""

import dagster as dg
from pydantic import Field


class ExamplesConfig(dg.Config):
    """Changes to the benchmark's data for one materialization.

    :param augmentations: versions of each training puzzle besides itself; None: as the entry says.
    """

    augmentations: int | None = Field(default=None, ge=0)


class ShardsConfig(dg.Config):
    """How many webdataset shards are written, and where they go.

    :param count: at least so many for each split, since every worker that reads them needs one;
        None: eight, or one for each puzzle where there are fewer.
    :param url: a place beside the store that they are copied to, anything fsspec opens
        (``s3://bucket/folder``); None: they stay in the store alone.
    """

    count: int | None = Field(default=None, ge=1)
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

    :param batch_size: rollouts evaluated together; most variants have one for each example.
    :param limit: evaluate only the first so many test puzzles, of ARC tasks with all their
        augmentations (a fair sample: their order is random); None: as the entry says.
    :param all: evaluate all, whatever the entry says.
    :param device: as in :class:`TrainingConfig`; need not be the one that trained.
    """

    batch_size: int = Field(default=256, ge=1)
    limit: int | None = Field(default=None, ge=1)
    all: bool = False
    device: str = "auto"
