"""ARC: from predictions for every augmentation of a task to votes, and from those to pass@k."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from assets import keys
from assets.evaluation.metrics import Metric, mean
from assets.evaluation.predictions import read_predictions
from assets.failures import user_error
from assets.families.arc import ArcPuzzles, tasks_of, to_text
from assets.partitions import variant_and_seed
from assets.reports import markdown
from assets.store import data_of
from assets.tables import Votes
from storage.manifest import CorruptDataError
from storage.store import Store
from storage.tables import TableError, partition_key, publish_file, read_file
from trm_model.errors import ConfigurationError
from trm_model.puzzles.arc.tasks import Task
from trm_model.puzzles.arc.votes import ATTEMPTS, PASS_KS, Vote, task_scores, vote
from trm_model.puzzles.plans import open_examples
from trm_model.training.run import RunSpec


def evaluated_tasks(data: Path, names: pl.Series) -> list[Task]:
    """The evaluated tasks of the data set in the folder ``data`` that have one of these names."""
    wanted = set(names)
    return [
        task
        for task in tasks_of(read_file(data / "base.parquet", ArcPuzzles))[1]
        if task.name in wanted
    ]


def vote_table(votes: list[Vote], checkpoint: str) -> pl.DataFrame:
    """Rows of :class:`assets.tables.Votes`."""
    described = [{**row._asdict(), "grid": to_text(row.grid)} for row in votes]
    return pl.DataFrame(described).with_columns(checkpoint=pl.lit(checkpoint))


def pass_rows(data: Path, votes: pl.DataFrame) -> list[Metric]:
    """pass@k over the tasks voted on, for each k."""
    tasks = evaluated_tasks(data, votes["task"])
    empty = np.zeros((0, 0), np.uint8)
    rows = [
        Vote(task, test_input, rank, count, halt, correct, empty)
        for task, test_input, rank, count, halt, correct in votes.select(
            "task", "test_input", "rank", "votes", "mean_halt", "correct"
        ).iter_rows()
    ]
    return [mean("pass_at_k", k, task_scores(rows, tasks, k)) for k in PASS_KS]


def read_votes(store: Store, name: str, variant: str, seed: int, checkpoint: str) -> pl.DataFrame:
    """The votes of a partition on the predictions of a checkpoint.

    :raises Failure: there are none, or they are damaged; the message says what to do.
    """
    path = store.open(partition_key(Votes, name, variant, seed))
    try:
        votes = read_file(path, Votes) if path.exists() else None
    except TableError as error:
        raise user_error(error) from error
    if votes is None or votes["checkpoint"][0] != checkpoint:
        raise user_error(
            f"{path}: no votes on these predictions yet; materialize {name}/votes, partition "
            f"{variant}|{seed}, first"
        )
    return votes


def materialize_votes(
    context: dg.AssetExecutionContext, store: Store, name: str
) -> dg.MaterializeResult:
    variant, seed = variant_and_seed(context.partition_key)
    predictions = read_predictions(store, name, variant, seed)
    checkpoint: str = predictions["checkpoint"][0]
    split: str = predictions["split"][0]
    if split != "test":
        raise user_error(
            f"predictions of the {split} split: votes need test inputs; evaluate the test split"
        )
    try:
        data = data_of(store, RunSpec.read(store.open(keys.run_of(checkpoint))))
        examples = open_examples(data / "test.zarr")
    except (ConfigurationError, CorruptDataError) as error:
        raise user_error(error) from error
    inputs, _ = examples.rows(predictions["example"].to_numpy())
    answers = np.frombuffer(b"".join(predictions["prediction"]), np.uint8).reshape(inputs.shape)
    tasks = evaluated_tasks(data, predictions["puzzle"])
    votes = vote(
        predictions["name"].to_list(), inputs, answers, predictions["halt_logit"].to_numpy(), tasks
    )
    table = publish_file(
        store, partition_key(Votes, name, variant, seed), Votes, vote_table(votes, checkpoint)
    )
    best = (
        table.filter(pl.col("rank") <= ATTEMPTS)
        .head(20)
        .select("task", "test_input", "rank", "votes", "mean_halt", "correct")
    )
    metadata: dict[str, Any] = {f"pass_at_{row.k}": row.value for row in pass_rows(data, table)}
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(table),
            "tasks": len(tasks),
            **metadata,
            "best": markdown.frame(best),
        }
    )
