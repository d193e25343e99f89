"""What a materialization of each stage may be told; of puzzles, the family's file says it. A
benchmark's entry says the rest."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import dagster as dg
import torch
from pydantic import ConfigDict, Field, ValidationError

from trm_model.devices import resolve_device
from trm_model.errors import ConfigurationError, require
from trm_model.names import unknown_name
from trm_model.training.execution import Execution
from trm_model.training.initial import find_source
from trm_model.training.recipe import Recipe


class StageConfig(dg.Config):
    """Of a stage that can be told nothing, and the base of the others: numbers are finite, whole
    numbers and text are taken for nothing else, and no setting is ignored."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    def require_possible(self, recipe: Recipe) -> None:
        """Whether the stage can be run so, on this machine and with a benchmark's recipe.

        :raises ConfigurationError: it cannot.
        """
        del recipe


class ExamplesConfig(StageConfig):
    """Changes to the benchmark's data for one materialization.

    :param augmentations: versions of each training puzzle besides itself; None: as the entry says.
    """

    augmentations: int | None = Field(default=None, ge=0)


class ShardsConfig(StageConfig):
    """How many webdataset shards are written, and where they go.

    :param count: at least so many for each split, since every worker that reads them needs one;
        None: eight, or one for each puzzle where there are fewer.
    :param url: a place beside the store that they are copied to, anything fsspec opens
        (``s3://bucket/folder``); None: they stay in the store alone.
    """

    count: int | None = Field(default=None, ge=1)
    url: str | None = None


class TrainingConfig(StageConfig):
    """Changes to the benchmark's recipe for one materialization, and how to run.

    :param steps, batch_size: in place of the recipe's; None: the recipe's.
    :param fresh: train again although the same training (configuration, data, code) is finished; a
        retry continues it. From the start: not from the last checkpoint of a shorter training that
        is the same otherwise.
    :param continue_other_code: go on with a training that was interrupted under another version of
        the code; both versions are recorded in its ``run.json``.
    :param start_from: fine-tune: begin with the averaged weights of this checkpoint, a run's
        folder, a checkpoint's folder or a file of the authors', relative to where Dagster was
        started; puzzle rows are taken over by the puzzles' names; None: weights from the seed.
    :param device: ``cpu``, ``cuda:0``, …; ``auto``: the first GPU, else the CPU.
    :param checkpoint_seconds: time between checkpoints.
    :param log_steps: optimizer steps between rows of the training table; the log tells the newest
        row, at most every 10 seconds.
    :param validate_steps: optimizer steps between two validations, where the benchmark has
        validation puzzles; 0: there is none.
    """

    steps: int | None = None
    batch_size: int | None = None
    fresh: bool = False
    continue_other_code: bool = False
    start_from: str | None = None
    device: str = "auto"
    checkpoint_seconds: float = 60.0
    log_steps: int = 50
    validate_steps: int = Field(default=250, ge=0)

    def recipe(self, base: Recipe) -> Recipe:
        """A benchmark's recipe with these changes.

        :raises ConfigurationError: a recipe that cannot be.
        """
        changes = {"steps": self.steps, "batch_size": self.batch_size}
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(base, **given)

    def execution(self) -> Execution:
        """How to run on this machine.

        :raises ConfigurationError: it cannot be run so here.
        """
        device = resolve_device(self.device)
        return Execution(
            device=device,
            log_steps=self.log_steps,
            checkpoint_seconds=self.checkpoint_seconds,
            validate_steps=self.validate_steps,
            threads=torch.get_num_threads(),
            compile=device.startswith("cuda"),
        )

    def require_possible(self, recipe: Recipe) -> None:
        self.recipe(recipe)
        self.execution()
        if self.start_from is not None:
            find_source(self.start_from)


class EvaluationConfig(StageConfig):
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

    def require_possible(self, recipe: Recipe) -> None:
        del recipe
        resolve_device(self.device)


CONFIGS: Mapping[str, type[StageConfig]] = {
    "examples": ExamplesConfig,
    "shards": ShardsConfig,
    "checkpoint": TrainingConfig,
    "predictions": EvaluationConfig,
}
"""The settings of each stage that has any; those of ``puzzles`` depend on the benchmark."""


def schema_of(kind: type[StageConfig]) -> Any:
    """What Dagster checks a stage's settings with. Without any it would take every setting and
    ignore it; its own way to a schema calls something deprecated where there are no fields."""
    return kind.to_fields_dict() if kind.model_fields else {}


def require_settings(
    stage: str, kind: type[StageConfig], values: Mapping[str, Any], recipe: Recipe
) -> None:
    """Whether a stage can be run with these settings, known before anything is run.

    :param kind: what the stage may be told.
    :raises ConfigurationError: an unknown setting or a value that cannot be.
    """
    known = list(kind.model_fields)
    for name in values:
        require(
            name in known,
            f"--set {stage}.{name}: "
            + unknown_name("setting", name, known, f"expected {', '.join(known) or 'none'}"),
        )
    try:
        if known:
            kind(**values).require_possible(recipe)
    except ValidationError as error:
        first = error.errors()[0]
        name, given = ".".join(map(str, first["loc"])), values.get(str(first["loc"][0]), "…")
        raise ConfigurationError(
            f"--set {stage}.{name}={given}: {first['msg']}; give another value"
        ) from error
    except ConfigurationError as error:
        raise ConfigurationError(f"--set {stage}: {error}") from error
