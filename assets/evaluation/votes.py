"""ARC: from predictions for every augmentation of a task to votes, and from those to pass@k."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from assets import keys
from assets.evaluation.metrics import Metric, mean, share
from assets.evaluation.predictions import read_predictions
from assets.evaluation.vote_checks import every_prediction_votes, judged_right, ranked
from assets.failures import user_error
from assets.families.arc import ArcPuzzles, tasks_of, to_text
from assets.outcomes import CheckOutcome
from assets.pages import markdown
from assets.partitions import variant_and_seed
from assets.progress import MADE
from assets.stages import making
from assets.store import data_of
from assets.tables import Votes, of_evaluation, stamped
from storage.store import Store
from storage.tables import partition_key, publish_partition, read_file
from trm_model.puzzles.arc.tasks import Task
from trm_model.puzzles.arc.votes import ATTEMPTS, PASS_KS, Vote, vote
from trm_model.puzzles.family import Tokens
from trm_model.puzzles.plans import open_examples
from trm_model.texts import counted
from trm_model.training.run import RunSpec

OF_GROUP = "pass_at_k_of_group"
"""The metric pass@k of one task, or of fewer votes, as the row's group says."""
VOTES = "votes="
"""How the group of rows of fewer votes begins; their number follows."""


def evaluated_tasks(data: Path, names: pl.Series) -> list[Task]:
    """The evaluated tasks of the data set in the folder ``data`` that have one of these names."""
    wanted = set(names)
    return [
        task
        for task in tasks_of(read_file(data / "base.parquet", ArcPuzzles))[1]
        if task.name in wanted
    ]


def vote_table(votes: list[Vote], tasks: list[Task]) -> pl.DataFrame:
    """Rows of :class:`assets.tables.Votes`, without what all of them have in common."""
    test_inputs = {task.name: len(task.test) for task in tasks}
    return pl.DataFrame(
        [
            {
                **row._asdict(),
                "grid": to_text(row.grid),
                "test_inputs": test_inputs[row.task],
            }
            for row in votes
        ]
    )


def task_shares(votes: pl.DataFrame, k: int) -> pl.DataFrame:
    """Each ``task`` voted on, the ``share`` of its test inputs whose answer is among the first
    ``k`` candidates, and their number ``test_inputs``; ``votes``: rows of
    :class:`assets.tables.Votes`."""
    among = pl.col("correct") & (pl.col("rank") <= k)
    return votes.group_by("task", maintain_order=True).agg(
        share=pl.col("test_input").filter(among).n_unique() / pl.col("test_inputs").first(),
        test_inputs=pl.col("test_inputs").first(),
    )


def pass_rows(votes: pl.DataFrame) -> list[Metric]:
    """pass@k over the tasks voted on, for each k; ``votes``: rows of
    :class:`assets.tables.Votes`."""
    return [mean("pass_at_k", k, task_shares(votes, k)["share"].to_numpy()) for k in PASS_KS]


def task_rows(votes: pl.DataFrame) -> list[Metric]:
    """The share of each task's test inputs whose answer is among two attempts; ``n`` is the number
    of its test inputs."""
    return [
        share(OF_GROUP, ATTEMPTS, round(found * inputs), inputs)._replace(group=f"task={task}")
        for task, found, inputs in task_shares(votes, ATTEMPTS).iter_rows()
    ]


def votes_cast(versions: int) -> list[int]:
    """1, 2, 5, 10, … versions of a task, fewer than all its ``versions``."""
    steps = (one * 10**tens for tens in itertools.count() for one in (1, 2, 5))
    return list(itertools.takewhile(lambda count: count < versions, steps))


def vote_rows(
    predictions: pl.DataFrame, inputs: Tokens, tasks: list[Task], votes: pl.DataFrame
) -> list[Metric]:
    """pass@k of one and two attempts, had only the first so many versions of each task voted: 1
    (the task itself), 2, 5, 10, … and all of them.

    :param predictions: rows of :class:`assets.tables.Predictions`.
    :param inputs: their questions, tokens [N, L].
    :param votes: those of all versions, rows of :class:`assets.tables.Votes`.
    """
    first = pl.col("example").min().over("puzzle", "name")
    version = predictions.select(first.rank("dense").over("puzzle")).to_series().to_numpy()
    answers = np.frombuffer(b"".join(predictions["prediction"]), np.uint8).reshape(inputs.shape)
    names, halts = predictions["name"].to_numpy(), predictions["halt_logit"].to_numpy()
    tables = {int(version.max()): votes}
    for count in votes_cast(int(version.max())):
        cast = version <= count
        tables[count] = vote_table(
            vote(names[cast].tolist(), inputs[cast], answers[cast], halts[cast], tasks), tasks
        )
    return [
        row._replace(metric=OF_GROUP, group=f"{VOTES}{count}")
        for count, table in sorted(tables.items())
        for row in pass_rows(table)[:ATTEMPTS]
    ]


def by_votes(scores: pl.DataFrame) -> pl.DataFrame:
    """The rows of pass@2 of fewer votes among rows of :class:`assets.tables.Scores`, with the
    number of ``votes``."""
    rows = scores.filter(pl.col("group").str.starts_with(VOTES), metric=OF_GROUP, k=ATTEMPTS)
    return rows.with_columns(votes=pl.col("group").str.strip_prefix(VOTES).cast(pl.Int64))


def _key(tested: Mapping[str, Any]) -> str:
    """The file of the votes on the predictions of an evaluation
    (:func:`assets.tables.of_evaluation`)."""
    return partition_key(Votes, *(tested[column] for column in (*Votes.levels(), *Votes.files())))


def read_votes(store: Store, tested: Mapping[str, Any]) -> pl.DataFrame:
    """The votes on the predictions of an evaluation.

    :param tested: what those predictions have in common (:func:`assets.tables.of_evaluation`).
    :raises Failure: there are none; the message says what to do.
    :raises TableError: they are damaged.
    """
    name, variant, seed = (tested[level] for level in Votes.levels())
    path = store.open(_key(tested))
    votes = read_file(path, Votes) if path.exists() else None
    if votes is None or of_evaluation(votes) != tested:
        raise user_error(
            f"{path}: no votes on these predictions yet; first: "
            f"{making('votes', name, f'{variant}|{seed}')}"
        )
    return votes


def voted(data: Path, predictions: pl.DataFrame) -> tuple[pl.DataFrame, list[Task]]:
    """Rows of :class:`assets.tables.Votes`, without what all of them have in common, and the tasks
    voted on.

    :param data: folder of the data set that was asked.
    :param predictions: answers to its test split, rows of :class:`assets.tables.Predictions`.
    """
    tasks = evaluated_tasks(data, predictions["puzzle"])
    inputs, _ = open_examples(data / "test.zarr").rows(predictions["example"].to_numpy())
    answers = np.frombuffer(b"".join(predictions["prediction"]), np.uint8).reshape(inputs.shape)
    names, halts = predictions["name"].to_list(), predictions["halt_logit"].to_numpy()
    return vote_table(vote(names, inputs, answers, halts, tasks), tasks), tasks


def materialize_votes(
    context: dg.AssetExecutionContext, store: Store, name: str
) -> dg.MaterializeResult:
    variant, seed = variant_and_seed(context.partition_key)
    return count_votes(store, read_predictions(store, name, variant, seed))


def count_votes(store: Store, predictions: pl.DataFrame) -> dg.MaterializeResult:
    """Let the predictions of one evaluation vote, rows of :class:`assets.tables.Predictions`.

    :raises Failure: they are not of test inputs.
    """
    tested = of_evaluation(predictions)
    name, variant, seed = (tested[column] for column in ("benchmark", "variant", "seed"))
    if tested["split"] != "test":
        raise user_error(
            f"predictions of the {tested['split']} split: votes need test inputs; evaluate the "
            "test split"
        )
    run = store.open(keys.run(name, variant, seed, tested["run"]))
    votes, tasks = voted(data_of(store, RunSpec.read(run)), predictions)
    table = publish_partition(store, Votes, stamped(votes, **tested))
    best = (
        table.filter(pl.col("rank") <= ATTEMPTS)
        .head(20)
        .select("task", "test_input", "rank", "votes", "mean_halt", "correct")
    )
    metadata: dict[str, Any] = {f"pass_at_{row.k}": row.value for row in pass_rows(table)}
    return dg.MaterializeResult(
        metadata={
            MADE: f"{counted(len(table), 'candidate answer')} to {counted(len(tasks), 'task')} in "
            f"{store.open(_key(tested))}",
            "dagster/row_count": len(table),
            "tasks": len(tasks),
            **metadata,
            "best": markdown.frame(best),
        }
    )


def check_votes(store: Store, name: str, variant: str, seed: int) -> dict[str, CheckOutcome]:
    """Whether the stored votes are of the stored predictions, ranked and judged rightly."""
    predictions = read_predictions(store, name, variant, seed)
    tested = of_evaluation(predictions)
    votes = read_votes(store, tested)
    run = store.open(keys.run(name, variant, seed, tested["run"]))
    tasks = evaluated_tasks(data_of(store, RunSpec.read(run)), predictions["puzzle"])
    return {
        "every_prediction_votes": every_prediction_votes(votes, predictions, tasks),
        "ranked": ranked(votes),
        "judged_right": judged_right(votes, tasks),
    }
