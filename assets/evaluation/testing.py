"""The test of any checkpoint on the data set of any benchmark of its family, without a partition.

It is no asset: a partition is a training on the benchmark itself, and its reports compare what was
trained on the data that it is tested on. Its rows stand in a table of their own.
"""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from assets import keys
from assets.data.datasets import describe_examples
from assets.declared import evaluation_key, evaluation_settings
from assets.evaluation.metrics import Metric, share_of
from assets.evaluation.predictions import prediction_table
from assets.evaluation.scores import measured, metric_frame
from assets.evaluation.selections import compared, label
from assets.evaluation.votes import voted
from assets.progress import Pace
from assets.store import current_examples, hold_device
from assets.tables import ScoresElsewhere, stamped
from storage.examples import DATA_AGAIN
from storage.manifest import verify_manifest
from storage.store import Store
from storage.tables import partition_key, publish_partition
from trm_model.choices import changed
from trm_model.errors import require
from trm_model.evaluation.evaluate import Evaluated, evaluate, require_evaluation
from trm_model.evaluation.finished import Finished
from trm_model.model.batch import DeviceExamples
from trm_model.model.evaluation import Evaluation
from trm_model.model.selections.selection import Selection
from trm_model.puzzles.plans import open_examples
from trm_model.solving.trained import TrainedModel
from trm_model.training.initial import weights_hash
from trm_model.training.process import DEVICE_SECONDS
from trm_model.version import code_version


def model_key(model: TrainedModel) -> str:
    """A hash of a model's weights and of what is computed with them, wherever they lie."""
    reasoner = model.reasoner
    weights = {name: tensor.cpu() for name, tensor in reasoner.state_dict().items()}
    told = {
        "weights": weights_hash(weights),
        "variant": reasoner.variant.identity(),
        "size": changed(reasoner.size),
        "max_steps": model.max_steps,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def score_model(
    store: Store,
    benchmark: str,
    model: TrainedModel,
    evaluation: Evaluation,
    *,
    limit: int | None,
    batch_size: int | None,
    say: Callable[[str], None],
    progress: Callable[[str], None],
) -> tuple[pl.DataFrame, str]:
    """Evaluate a model on a benchmark's data set and store its scores.

    :param limit: only the first so many puzzles (of ARC: tasks); None: all.
    :param batch_size: most rollouts computed together; None: what the device has memory for.
    :param say: is told what it waits for.
    :param progress: is told how far it is, after each batch.
    :returns: rows of :class:`assets.tables.ScoresElsewhere`, and the key of their file.
    :raises ConfigurationError: no data set, or one that is of another family, grid or puzzle ids
        than the model's; an evaluation that the variant cannot have.
    :raises NotFiniteError: logits that are not finite.
    """
    family, split = model.family, evaluation.split
    require_evaluation(evaluation, model.reasoner.variant, family)
    folder = store.open(current_examples(store, benchmark))
    examples = open_examples(folder / f"{split}.zarr")
    model.require_data(examples.header, evaluation)
    require(
        not family.votes or split == "test",
        f"split={split}: expected test, since ARC's votes need test inputs; leave it out",
    )
    data_version = verify_manifest(folder, DATA_AGAIN)
    described = describe_examples(folder, split, limit, evaluation.votes)
    trained = model.run
    same_data = trained is not None and trained.data_version == data_version
    if examples.header.num_puzzle_ids > 1 and not evaluation.blank_ids and not same_data:
        ids = described.select("puzzle", "name", "puzzle_id").unique(maintain_order=True)
        by_task = ids.partition_by("puzzle", maintain_order=True)
        model.require_names(
            {part["puzzle"][0]: dict(part.select("name", "puzzle_id").iter_rows())
             for part in by_task}
        )  # fmt: skip
    selections = compared(evaluation.selection, family)
    code = code_version(__name__, *(type(each).__module__ for each in selections))
    key, tested = model_key(model), evaluation_key(evaluation, limit, data_version)
    rows_key = partition_key(ScoresElsewhere, benchmark, key, tested)
    store.require_writable(rows_key)
    finished = Finished(
        store.open(keys.finished_examples(keys.tests(benchmark), key, tested, code))
    )
    device = model.reasoner.puzzle_rows.device
    pace = Pace(f"{split} examples")
    with hold_device(
        store,
        str(device),
        label=f"testing on {benchmark}",
        wait_seconds=DEVICE_SECONDS,
        say=say,
    ):
        found = evaluate(
            model.reasoner,
            DeviceExamples(examples, device),
            evaluation,
            max_steps=model.max_steps,
            batch_size=batch_size,
            index=described["example"].to_numpy(),
            every_step=False,
            compared=selections,
            family=family,
            finished=finished,
            progress=lambda done, total: progress(f"evaluated {pace.said(done, total)}"),
        )
    depth = model.reasoner.variant.test_steps(model.max_steps, evaluation)
    asked = examples.rows(described["example"].to_numpy())
    predictions = prediction_table(found, described, family, *asked)
    votes = voted(folder, predictions)[0] if family.votes else None
    metrics = [
        *measured(folder, family, predictions, depth, votes),
        *_by_selection(found, selections, evaluation.rollouts, described["puzzle"]),
    ]
    of_training: dict[str, Any] = {
        "run": trained and trained.key,
        "variant": trained and trained.variant_name,
        "seed": None if trained is None else trained.seed,
        "step": model.step,
        "trained_on": trained and trained.benchmark,
        "trained_data_version": trained and trained.data_version,
    }
    rows = stamped(
        metric_frame(metrics),
        benchmark=benchmark,
        model=key,
        source=model.description,
        **of_training,
        evaluation=tested,
        data_version=data_version,
        split=split,
        settings=evaluation_settings(evaluation, depth, limit),
        of=len(examples.group_offsets) - 1,
        evaluation_code=code,
    )
    table = publish_partition(store, ScoresElsewhere, rows)
    finished.remove()
    return table, rows_key


def _by_selection(
    found: Evaluated, selections: list[Selection], rollouts: int, puzzles: pl.Series
) -> list[Metric]:
    """The score of each selection after the last step, and how often any rollout is right."""
    share = partial(share_of, k=rollouts, puzzles=puzzles)
    return [
        *(
            share("exact_accuracy_by_selection", right=right)._replace(group=label(selection))
            for selection, right in zip(
                selections, np.moveaxis(found.chosen_after_step[..., -1], 1, 0), strict=True
            )
        ),
        share("any_rollout_solves", right=found.any_after_step[:, -1]),
    ]
