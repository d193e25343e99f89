"""What a row of each table is: pandera schemas. Each family of puzzles has one of its own beside
them."""

import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

from storage.tables import Table


class OfBenchmark(Table):
    """A table with a partition per benchmark."""

    @classmethod
    def levels(cls) -> pl.Schema:
        """See :meth:`storage.tables.Table.levels`."""
        return pl.Schema({"benchmark": pl.String})


class OfRun(Table):
    """A table with a partition per benchmark, variant and seed."""

    @classmethod
    def levels(cls) -> pl.Schema:
        """See :meth:`storage.tables.Table.levels`."""
        return pl.Schema({"benchmark": pl.String, "variant": pl.String, "seed": pl.Int64})


class Puzzles(Table):
    """Base puzzles, a row each. ``question`` and ``answer`` as text; ``form``: hash of the
    canonical form, equal for puzzles that are equal up to symmetry."""

    split: Series[str] = pa.Field(isin=["train", "test"])
    puzzle: Series[pl.Int64] = pa.Field(ge=0)
    name: Series[str] = pa.Field(unique=True)
    question: Series[str]
    answer: Series[str]
    difficulty: Series[pl.Int64] = pa.Field(ge=0)
    form: Series[str]
    source: Series[str]


class AugmentedPuzzles(Table):
    """Puzzles as trained on, augmentations included, in the order of the examples.

    ``example`` is the index of the puzzle's first example and ``examples`` their number; ``base``
    names the puzzle that it is an augmentation of; ``augmentation`` 0 is that puzzle itself.
    """

    split: Series[str] = pa.Field(isin=["train", "test"])
    example: Series[pl.Int64] = pa.Field(ge=0)  # pyright: ignore[reportIncompatibleMethodOverride]
    examples: Series[pl.Int32] = pa.Field(ge=1)
    group: Series[pl.Int64] = pa.Field(ge=0)
    puzzle_id: Series[pl.Int32] = pa.Field(ge=0)
    name: Series[str]
    base: Series[str]
    augmentation: Series[pl.Int32] = pa.Field(ge=0)
    difficulty: Series[pl.Int64] = pa.Field(ge=0)
    source: Series[str]


class Leakage(OfBenchmark):
    """How many test puzzles of a benchmark another benchmark (or itself) holds, up to symmetry.

    ``trained_on`` is that other benchmark; ``leaks`` of the ``test_puzzles`` are in its training
    data, ``first`` is the name of one of them, and ``shared`` are in either of its splits.
    """

    trained_on: Series[str]
    test_puzzles: Series[pl.Int64] = pa.Field(ge=0)
    leaks: Series[pl.Int64] = pa.Field(ge=0)
    first: Series[str] = pa.Field(nullable=True)
    shared: Series[pl.Int64] = pa.Field(ge=0)


class Training(OfRun):
    """Progress of a training, one row per logging interval; losses and accuracies are means over
    the interval. ``examples`` and ``wall_seconds`` count from the start of the training."""

    step: Series[pl.Int64] = pa.Field(ge=1)
    examples: Series[pl.Int64] = pa.Field(ge=1)
    loss: Series[float]
    answer_loss: Series[float]
    halt_loss: Series[float]
    cell_accuracy: Series[float] = pa.Field(ge=0, le=1)
    exact_accuracy: Series[float] = pa.Field(ge=0, le=1)
    mean_steps: Series[float] = pa.Field(ge=1)
    learning_rate: Series[float] = pa.Field(ge=0)
    examples_per_second: Series[float] = pa.Field(gt=0)
    wall_seconds: Series[float] = pa.Field(gt=0)


class Predictions(OfRun):
    """Answers of the averaged weights after the last supervision step, one row per example.

    ``puzzle``, ``name``: base and augmented puzzle; ``steps``: the supervision step at which the
    halting head would first have stopped; ``solved_after``: whether the example is solved after
    each step; ``prediction``: tokens after the last step; ``checkpoint``: key of the weights'
    folder in the store; ``evaluation_code``: version of the code that evaluated.
    """

    split: Series[str] = pa.Field(isin=["train", "test"])
    example: Series[pl.Int64] = pa.Field(ge=0)  # pyright: ignore[reportIncompatibleMethodOverride]
    puzzle: Series[str]
    name: Series[str]
    solved: Series[bool]
    cell_accuracy: Series[float] = pa.Field(ge=0, le=1)
    halt_logit: Series[float]
    steps: Series[pl.Int32] = pa.Field(ge=1)
    solved_after: Series[pl.List] = pa.Field(dtype_kwargs={"inner": pl.Boolean})
    prediction: Series[pl.Binary]
    difficulty: Series[pl.Int64] = pa.Field(ge=0)
    checkpoint: Series[str]
    evaluation_code: Series[str]


class Votes(OfRun):
    """ARC: candidate answers to each test input by rank (most votes first), over all augmentations
    of its task.

    ``test_input`` from 0; ``grid``: rows of digits joined by ``/``; ``checkpoint`` as in
    :class:`Predictions`.
    """

    task: Series[str]
    test_input: Series[pl.Int32] = pa.Field(ge=0)
    rank: Series[pl.Int32] = pa.Field(ge=1)
    votes: Series[pl.Int64] = pa.Field(ge=1)
    mean_halt: Series[float] = pa.Field(ge=0, le=1)
    correct: Series[bool]
    grid: Series[str]
    checkpoint: Series[str]


class Scores(OfRun):
    """Metrics with their 95 % intervals, and what they came from.

    ``k`` is that of pass@k, or the supervision step of a depth curve; ``n`` the number of examples
    (of pass@k: of tasks); ``code_version`` is the version of the code that trained,
    ``evaluation_code`` of the code that evaluated.
    """

    split: Series[str] = pa.Field(isin=["train", "test"])
    metric: Series[str] = pa.Field(
        isin=[
            "exact_accuracy",
            "cell_accuracy",
            "exact_accuracy_after_step",
            "mean_steps",
            "pass_at_k",
        ]
    )
    k: Series[pl.Int32] = pa.Field(nullable=True)
    value: Series[float]
    low: Series[float]
    high: Series[float]
    n: Series[pl.Int64] = pa.Field(ge=1)
    step: Series[pl.Int64] = pa.Field(ge=1)
    checkpoint: Series[str]
    data_version: Series[str]
    code_version: Series[str]
    evaluation_code: Series[str]
    config_hash: Series[str]
    run_id: Series[str]
    created_at: Series[str]


class Ablation(OfBenchmark):
    """One row per variant of a benchmark: ours over seeds beside the published figure."""

    name: Series[str] = pa.Field(unique=True)
    published: Series[float] = pa.Field(nullable=True)
    published_source: Series[str] = pa.Field(nullable=True)
    ours: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    low: Series[float] = pa.Field(nullable=True)
    high: Series[float] = pa.Field(nullable=True)
    seeds: Series[pl.Int64] = pa.Field(ge=0)
    difference: Series[float] = pa.Field(nullable=True)
    parameters: Series[pl.Int64] = pa.Field(nullable=True)
    depth: Series[pl.Int64] = pa.Field(nullable=True)
    forward_passes: Series[pl.Int64] = pa.Field(nullable=True)
    train_seconds: Series[float] = pa.Field(nullable=True)
    examples_seen: Series[float] = pa.Field(nullable=True)
