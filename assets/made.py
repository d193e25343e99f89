"""Whether a stage, or what it reads, has been made: asked before a run of Dagster is started, since
one that fails for want of it would show the stage as failed in the page."""

from collections.abc import Collection
from pathlib import PurePosixPath

from assets import keys
from assets.partitions import variant_and_seed
from assets.stages import PARTITIONED_STAGES, making
from assets.store import current_examples, current_predictions, current_run
from assets.tables import Ablation, Leakage, Residuals, Scores, Votes
from storage.store import Store
from storage.tables import TABLES, name_of, partition_key
from trm_model.errors import require

READS: dict[str, tuple[str, ...]] = {
    "examples": ("puzzles",),
    "shards": ("examples",),
    "checkpoint": ("examples",),
    "inspection": ("checkpoint",),
    "predictions": ("checkpoint",),
    "votes": ("predictions",),
    "scores": ("predictions", "votes"),
}
"""The stages that each stage reads, where the benchmark has them."""


def require_read(
    store: Store,
    benchmark: str,
    stages: Collection[str],
    known: Collection[str],
    partition: str | None = None,
) -> None:
    """Whether what these stages read is there or is one of them.

    :param known: the stages that the benchmark has.
    :param partition: of the stages that have partitions; None: of those, nothing is asked.
    :raises ConfigurationError: it is not; the message says what to do.
    """
    for stage in stages:
        for read in READS.get(stage, ()):
            if read in known and read not in stages:
                require_made(store, benchmark, read, partition)


def require_made(store: Store, benchmark: str, stage: str, partition: str | None = None) -> None:
    """Whether a stage has been made.

    :param partition: of a stage that has partitions; None: nothing is asked of such a stage.
    :raises ConfigurationError: it has not; the message says what to do.
    """
    if stage not in PARTITIONED_STAGES:
        path = store.open(_key(store, benchmark, stage))
        require(path.exists(), f"{path}: no {stage} yet; first: {making(stage, benchmark)}")
    elif partition is not None:
        path = store.open(_key_of_partition(store, benchmark, stage, partition))
        make = making(stage, benchmark, partition)
        require(path.exists(), f"{path}: no {stage} yet; first: {make}")


def _key(store: Store, benchmark: str, stage: str) -> str:
    match stage:
        case "puzzles":
            return keys.puzzles(benchmark)
        case "examples":
            return current_examples(store, benchmark)
        case "shards":
            return keys.shards(benchmark)
        case "ablation":
            return partition_key(Ablation, benchmark)
        case "leakage":
            return f"{TABLES}/{name_of(Leakage)}"
        case _:
            return keys.leaderboard_page()


def _key_of_partition(store: Store, benchmark: str, stage: str, partition: str) -> str:
    variant, seed = variant_and_seed(partition)
    run = current_run(store, benchmark, variant, seed)  # Where it is missing, it is named.
    if stage == "checkpoint":
        return run
    if stage == "inspection":
        return partition_key(Residuals, benchmark, variant, seed, PurePosixPath(run).name)
    predictions = current_predictions(store, benchmark, variant, seed)
    if stage == "predictions":
        return predictions
    table = Votes if stage == "votes" else Scores
    return partition_key(table, benchmark, variant, seed, *keys.run_and_evaluation(predictions))
