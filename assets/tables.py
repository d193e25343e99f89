"""What a row of each table is: pandera schemas. Each family of puzzles has one of its own beside
them."""

from datetime import UTC, datetime
from typing import Any

import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

from storage.tables import Table
from trm_model.training.run import RunSpec


class OfBenchmark(Table):
    """A table with a partition per benchmark."""

    benchmark: Series[str]

    @classmethod
    def levels(cls) -> tuple[str, ...]:
        """See :meth:`storage.tables.Table.levels`."""
        return ("benchmark",)


class OfRun(OfBenchmark):
    """A table with a partition per run: no run's rows replace another's.

    ``run``: key of the run, the name of its folder; ``config_hash``: of its variant and recipe,
    equal for runs that differ in seed, data or code only; ``created_at``: when the rows were
    written, in UTC as ISO 8601 with microseconds. :func:`assets.latest.latest` picks among runs.
    """

    variant: Series[str]
    seed: Series[pl.Int64]
    run: Series[str]
    config_hash: Series[str]
    created_at: Series[str]

    @classmethod
    def levels(cls) -> tuple[str, ...]:
        """See :meth:`storage.tables.Table.levels`."""
        return ("benchmark", "variant", "seed")

    @classmethod
    def files(cls) -> tuple[str, ...]:
        """See :meth:`storage.tables.Table.files`."""
        return ("run",)


class OfEvaluation(OfRun):
    """A table with a partition per run and evaluation.

    ``evaluation``: key of how the checkpoint was tested
    (:func:`assets.declared.evaluation_key`); ``checkpoint``: key of the weights' folder in the
    store; ``step``: the optimizer step that they are of; ``evaluation_code``: version of the code
    that evaluated; ``settings``: how it was tested, as canonical JSON
    (:func:`assets.declared.evaluation_settings`); ``of``: puzzles (of ARC: tasks) in the split.
    """

    evaluation: Series[str]
    split: Series[str] = pa.Field(isin=["train", "test"])
    checkpoint: Series[str]
    step: Series[pl.Int64] = pa.Field(ge=1)
    evaluation_code: Series[str]
    settings: Series[str]
    of: Series[pl.Int64] = pa.Field(ge=1)

    @classmethod
    def files(cls) -> tuple[str, ...]:
        """See :meth:`storage.tables.Table.files`."""
        return ("run", "evaluation")


def of_run(spec: RunSpec, run: str) -> dict[str, str | int]:
    """What rows of the run with the key ``run`` have in common but for their time: the columns of
    :class:`OfRun`."""
    return {
        "benchmark": spec.benchmark,
        "variant": spec.variant_name,
        "seed": spec.seed,
        "run": run,
        "config_hash": spec.config_hash,
    }


def of_evaluation(rows: pl.DataFrame) -> dict[str, Any]:
    """What rows of one evaluation have in common but for their time: the columns of
    :class:`OfEvaluation`."""
    columns = OfEvaluation.to_schema().columns
    return rows.select(*columns).drop("created_at").row(0, named=True)


def stamped(rows: pl.DataFrame, **values: str | int | None) -> pl.DataFrame:
    """The rows with these values in columns of their own, and the time."""
    time = datetime.now(UTC).isoformat(timespec="microseconds")
    given = {**values, "created_at": time}
    return rows.with_columns(**{name: pl.lit(value) for name, value in given.items()})


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


RUN_STATUS = ("started", "finished", "interrupted", "diverged", "failed", "refused")
"""How a run ended. ``started``: it is training, or was killed with what had started it;
``diverged``: a loss, gradient or weight was not finite; ``failed``: its process crashed;
``refused``: for a mistake of the user's or of the machine's, which its message named."""


class Runs(OfRun):
    """Trainings, a row each, written when one starts and replaced when it ends.

    ``steps`` are those of the recipe and ``step`` the newest checkpoint's, 0 where there is none.
    ``latent_updates`` is the papers' n, ``cycles`` their T; ``parameters`` are all trained numbers,
    ``puzzle_parameters`` those that are puzzle rows. ``data_entry``: as of :class:`Scores`.
    ``processes``: that trained together. ``started`` and ``finished``: first start and last end, in
    UTC as ISO 8601, empty where they are not known; ``seconds``: of training, over all its parts.
    ``status``: one of :data:`RUN_STATUS`. ``parent``: the run's key, or the file, that it began
    with, and the step. ``changes``: what it changes of its benchmark's data and recipe and of its
    variant, in words; empty where it changes nothing. ``config``: whole recipe and variant as JSON,
    keys in alphabetical order.
    """

    steps: Series[pl.Int64] = pa.Field(ge=1)
    batch_size: Series[pl.Int64] = pa.Field(ge=1)
    learning_rate: Series[float] = pa.Field(gt=0)
    weight_decay: Series[float] = pa.Field(ge=0)
    puzzle_learning_rate: Series[float] = pa.Field(ge=0)
    width: Series[pl.Int64] = pa.Field(ge=1)
    layers: Series[pl.Int64] = pa.Field(ge=1)
    latent_updates: Series[pl.Int64] = pa.Field(ge=0)
    cycles: Series[pl.Int64] = pa.Field(ge=1)
    parameters: Series[pl.Int64] = pa.Field(ge=1)
    puzzle_parameters: Series[pl.Int64] = pa.Field(ge=0)
    data_version: Series[str]
    data_entry: Series[str]
    code_version: Series[str]
    device: Series[str]
    processes: Series[pl.Int64] = pa.Field(ge=1)
    started: Series[str] = pa.Field(nullable=True)
    finished: Series[str] = pa.Field(nullable=True)
    seconds: Series[float] = pa.Field(gt=0, nullable=True)
    step: Series[pl.Int64] = pa.Field(ge=0)
    status: Series[str] = pa.Field(isin=RUN_STATUS)
    parent: Series[str] = pa.Field(nullable=True)
    changes: Series[str]
    config: Series[str]


class Training(OfRun):
    """Progress of a training, one row per logging interval; losses and accuracies are means over
    the interval. ``examples`` and ``wall_seconds`` count from the start of the training.

    ``validation_``…: of the averaged weights after ``step``, on puzzles that are neither trained on
    nor among the test puzzles; empty where nothing was validated.
    """

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
    validation_exact_accuracy: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    validation_cell_accuracy: Series[float] = pa.Field(ge=0, le=1, nullable=True)


class Predictions(OfEvaluation):
    """Answers of the averaged weights after the last supervision step, one row per example.

    ``n``: how many examples were evaluated, so that a file tells which rows it has lost;
    ``puzzle``, ``name``: base and augmented puzzle; ``steps``: the supervision step at which the
    variant's halting rule would first have stopped; ``solved_at_halting``: whether the example was
    solved then; ``computed_steps``: those that were taken, the mean over rollouts;
    ``solved_after``: whether the example is solved after each counted step
    (:func:`trm_model.evaluation.evaluate.kept_steps`); ``prediction``: tokens after the last step;
    ``question``, ``answer`` (what was predicted) and ``label`` as people write them.
    """

    n: Series[pl.Int64] = pa.Field(ge=1)
    example: Series[pl.Int64] = pa.Field(ge=0)  # pyright: ignore[reportIncompatibleMethodOverride]
    puzzle: Series[str]
    name: Series[str]
    solved: Series[bool]
    cell_accuracy: Series[float] = pa.Field(ge=0, le=1)
    halt_logit: Series[float]
    steps: Series[pl.Int32] = pa.Field(ge=1)
    solved_at_halting: Series[bool]
    computed_steps: Series[float] = pa.Field(ge=1)
    solved_after: Series[pl.List] = pa.Field(dtype_kwargs={"inner": pl.Boolean})
    prediction: Series[pl.Binary]
    difficulty: Series[pl.Int64] = pa.Field(ge=0)
    question: Series[str] = pa.Field(nullable=True)
    answer: Series[str] = pa.Field(nullable=True)
    label: Series[str] = pa.Field(nullable=True)


class Residuals(OfRun):
    """What :mod:`trm_model.inspection` saw of a run's model, one row per puzzle and network call.

    ``checkpoint``, ``step``: as of :class:`OfEvaluation`, the weights that were looked into;
    ``example``: of the test puzzles; ``supervision_step`` and ``call`` within it count from 1;
    ``feature`` is ``y`` or a latent; ``residual``: ``|new - old| / |new|``.
    """

    checkpoint: Series[str]
    step: Series[pl.Int64] = pa.Field(ge=1)
    example: Series[pl.Int64] = pa.Field(ge=0)  # pyright: ignore[reportIncompatibleMethodOverride]
    supervision_step: Series[pl.Int64] = pa.Field(ge=1)
    call: Series[pl.Int64] = pa.Field(ge=1)
    feature: Series[str]
    residual: Series[float] = pa.Field(ge=0)


class Votes(OfEvaluation):
    """ARC: candidate answers to each test input by rank (most votes first), over all augmentations
    of its task.

    ``test_inputs``: how many the task has; ``test_input`` counts them from 0; ``grid``: rows of
    digits joined by ``/``.
    """

    task: Series[str]
    test_inputs: Series[pl.Int32] = pa.Field(ge=1)
    test_input: Series[pl.Int32] = pa.Field(ge=0)
    rank: Series[pl.Int32] = pa.Field(ge=1)
    votes: Series[pl.Int64] = pa.Field(ge=1)
    mean_halt: Series[float] = pa.Field(ge=0, le=1)
    correct: Series[bool]
    grid: Series[str]


class Selections(OfEvaluation):
    """What each selection among the same rollouts would have scored, after some supervision steps
    and, after the last, among the first 1, 2, 4, … rollouts.

    ``uses_verifier``: it asks the family's rules whether an answer is right; ``depth``: the step;
    ``rollouts``: their number, K; ``value``, ``low``, ``high``: exact accuracy and its 95 %
    interval; ``pass_value``, ``pass_low``, ``pass_high``: pass@K, the share of puzzles that any
    rollout solves; ``missed``: the share of the wrong answers that are the selection's fault, since
    another rollout's was right (empty where none is wrong); ``gain``, ``gain_low``, ``gain_high``:
    how much more accurate it is than a single rollout after as many steps, on the same puzzles,
    with its 95 % interval.
    """

    selection: Series[str]
    uses_verifier: Series[bool]
    depth: Series[pl.Int32] = pa.Field(ge=1)
    rollouts: Series[pl.Int32] = pa.Field(ge=1)
    value: Series[float] = pa.Field(ge=0, le=1)
    low: Series[float]
    high: Series[float]
    pass_value: Series[float] = pa.Field(ge=0, le=1)
    pass_low: Series[float]
    pass_high: Series[float]
    missed: Series[float] = pa.Field(ge=0, le=1, nullable=True)
    gain: Series[float] = pa.Field(ge=-1, le=1, nullable=True)
    gain_low: Series[float] = pa.Field(ge=-1, le=1, nullable=True)
    gain_high: Series[float] = pa.Field(ge=-1, le=1, nullable=True)
    n: Series[pl.Int64] = pa.Field(ge=1)


class Scores(OfEvaluation):
    """Metrics with their 95 % intervals, and what they came from.

    ``metric`` is one that every family has or one of its own
    (:meth:`trm_model.puzzles.family.Family.metrics`). ``k`` is that of pass@k, or the supervision
    step of a depth curve; ``n`` the number of puzzles (of ARC: of tasks). ``group`` is, of metrics
    ``…_of_group``, the part of the puzzles that the row is of, such as ``blanks=51-55``, and of
    metrics ``trivial_…``, which need no model, the name of the answer. ``data_version`` and
    ``code_version`` are of the data and the code that trained; ``data_entry`` is the hash of the
    benchmark's entry that the data were made of
    (:attr:`assets.benchmarks.Benchmark.data_hash`); ``run_id`` is that of Dagster's run.
    """

    metric: Series[str] = pa.Field(str_matches=r"^[a-z][a-z0-9_]*$")
    k: Series[pl.Int32] = pa.Field(nullable=True)
    group: Series[str] = pa.Field(nullable=True)
    value: Series[float]
    low: Series[float]
    high: Series[float]
    n: Series[pl.Int64] = pa.Field(ge=1)
    data_version: Series[str]
    data_entry: Series[str]
    code_version: Series[str]
    run_id: Series[str]


class ScoresElsewhere(OfBenchmark):
    """Metrics of any checkpoint on the data of any benchmark of its family (``trm test``).

    Tested: on ``benchmark``, whose data set is ``data_version``. ``evaluation`` is a key that
    covers the data set too; ``split``, ``settings``, ``of`` and ``evaluation_code`` are as of
    :class:`OfEvaluation`, and ``metric`` to ``n`` as of :class:`Scores`, with two metrics more, of
    ``k`` rollouts: ``exact_accuracy_by_selection``, whose ``group`` is a selection, and
    ``any_rollout_solves``.

    Trained: ``model`` is a hash of the weights and of what is computed with them; ``source`` says
    for people what it is. ``run``, ``variant``, ``seed``, ``step``, ``trained_on`` (a benchmark)
    and ``trained_data_version`` are of its training, and empty of a file of the authors'.
    """

    model: Series[str]
    source: Series[str]
    run: Series[str] = pa.Field(nullable=True)
    variant: Series[str] = pa.Field(nullable=True)
    seed: Series[pl.Int64] = pa.Field(nullable=True)
    step: Series[pl.Int64] = pa.Field(nullable=True)
    trained_on: Series[str] = pa.Field(nullable=True)
    trained_data_version: Series[str] = pa.Field(nullable=True)
    evaluation: Series[str]
    data_version: Series[str]
    split: Series[str] = pa.Field(isin=["train", "test"])
    settings: Series[str]
    of: Series[pl.Int64] = pa.Field(ge=1)
    evaluation_code: Series[str]
    metric: Series[str] = pa.Field(str_matches=r"^[a-z][a-z0-9_]*$")
    k: Series[pl.Int32] = pa.Field(nullable=True)
    group: Series[str] = pa.Field(nullable=True)
    value: Series[float]
    low: Series[float]
    high: Series[float]
    n: Series[pl.Int64] = pa.Field(ge=1)
    created_at: Series[str]

    @classmethod
    def files(cls) -> tuple[str, ...]:
        """See :meth:`storage.tables.Table.files`."""
        return ("model", "evaluation")


class Ablation(OfBenchmark):
    """One row per variant of a benchmark: ours over seeds beside the published figure.

    ``puzzle_parameters``: those of the ``parameters`` that are puzzle rows; ``test_steps``,
    ``rollouts``, ``test_flops``: what the answer to one example costs; ``trained_on``: puzzles, in
    words; ``n`` of the ``of`` puzzles (of ARC: tasks) of the split were tested; ``runs``: their
    keys.
    """

    variant: Series[str] = pa.Field(unique=True)
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
    puzzle_parameters: Series[pl.Int64] = pa.Field(nullable=True)
    mixer: Series[str] = pa.Field(nullable=True)
    test_steps: Series[pl.Int64] = pa.Field(nullable=True)
    rollouts: Series[pl.Int64] = pa.Field(nullable=True)
    test_flops: Series[float] = pa.Field(nullable=True)
    trained_on: Series[str] = pa.Field(nullable=True)
    n: Series[pl.Int64] = pa.Field(nullable=True)
    of: Series[pl.Int64] = pa.Field(nullable=True)
    runs: Series[str] = pa.Field(nullable=True)


class StudyResults(Table):
    """The scores of a study's points, a row for each that has been scored.

    ``axes``: the point's settings as canonical JSON; ``parameters``: with the puzzle table;
    ``training_flops``: of the whole training; ``train_seconds``: of the training; ``current``:
    whether the code that trained it was the code that was there when the row was written.
    """

    study: Series[str]
    point: Series[str]
    benchmark: Series[str]
    variant: Series[str]
    seed: Series[pl.Int64]
    run: Series[str]
    evaluation: Series[str]
    axes: Series[str]
    metric: Series[str]
    value: Series[float]
    low: Series[float]
    high: Series[float]
    n: Series[pl.Int64] = pa.Field(ge=1)
    steps: Series[pl.Int64] = pa.Field(ge=1)
    parameters: Series[pl.Int64]
    training_flops: Series[float]
    train_seconds: Series[float] = pa.Field(nullable=True)
    current: Series[bool]

    @classmethod
    def levels(cls) -> tuple[str, ...]:
        """See :meth:`storage.tables.Table.levels`."""
        return ("study",)
