"""ARC: from predictions for every augmentation to votes, and from those to pass@k."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from assets.common import user_error
from assets.evaluation.metrics import Metric, mean
from assets.families.arc import ArcPuzzles, tasks_of, to_text
from assets.partitions import variant_and_seed
from assets.reports.pictures import markdown_frame
from assets.tables import Predictions, Votes
from storage.examples import LazyExamples
from storage.layout import Layout
from storage.tables import partition_path, read_file, write_file
from trm_model.puzzles.arc.tasks import Task
from trm_model.puzzles.arc.votes import PASS_KS, Vote, task_scores, vote
from trm_model.training.run import RunSpec


def evaluated_tasks(data: Path, names: pl.Series) -> list[Task]:
    """The tasks of a data set with these names that are evaluated."""
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


def materialize_votes(
    context: dg.AssetExecutionContext, layout: Layout, name: str
) -> dg.MaterializeResult:
    variant, seed = variant_and_seed(context.partition_key)
    path = partition_path(layout.tables(), Predictions, name, variant, seed)
    if not path.exists():
        raise user_error(
            f"{path}: no predictions yet; materialize {name}/predictions, partition "
            f"{variant}|{seed}, first"
        )
    predictions = read_file(path, Predictions)
    checkpoint: str = predictions["checkpoint"][0]
    run = (layout.root / checkpoint).parents[1]
    data = RunSpec.read(run).data_folder(run)
    inputs, _ = LazyExamples(data / "test.zarr").rows(predictions["example"].to_numpy())
    answers = np.frombuffer(b"".join(predictions["prediction"]), np.uint8).reshape(inputs.shape)
    tasks = evaluated_tasks(data, predictions["puzzle"])
    votes = vote(
        predictions["name"].to_list(), inputs, answers, predictions["halt_logit"].to_numpy(), tasks
    )
    table = write_file(
        partition_path(layout.tables(), Votes, name, variant, seed),
        Votes,
        vote_table(votes, checkpoint),
        stage_in=layout.root,
    )
    best = (
        table.filter(pl.col("rank") <= 2)
        .head(20)
        .select("task", "test_input", "rank", "votes", "mean_halt", "correct")
    )
    metadata: dict[str, Any] = {f"pass_at_{row.k}": row.value for row in pass_rows(data, table)}
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(table),
            "tasks": len(tasks),
            **metadata,
            "best": markdown_frame(best),
        }
    )
