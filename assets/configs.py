"""What a materialization of each stage may be told; of puzzles, the family's file says it. A
benchmark's entry says the rest."""

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

import dagster as dg
import torch
from pydantic import ConfigDict, Field, ValidationError

from trm_model.choices import from_plain
from trm_model.devices import resolve_device
from trm_model.errors import ConfigurationError, require
from trm_model.evaluation.evaluate import require_evaluation
from trm_model.model.evaluation import Evaluation
from trm_model.model.variant import Variant
from trm_model.names import unknown_name
from trm_model.puzzles.family import Family
from trm_model.training.execution import Execution
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

    def require_of(self, variant: Variant, family: Family) -> None:
        """Whether the stage can be run so with a variant, on puzzles of a family.

        :raises ConfigurationError: it cannot.
        """
        del variant, family


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
        retry continues it.
    :param continue_other_code: go on with a training that was interrupted under another version of
        the code; both versions are recorded in its ``run.json``.
    :param device: ``cpu``, ``cuda:0``, …; ``auto``: the first GPU, else the CPU.
    :param checkpoint_seconds: time between checkpoints.
    :param log_steps: optimizer steps between rows of the training table; the log tells the newest
        row, at most every 10 seconds.
    """

    steps: int | None = None
    batch_size: int | None = None
    fresh: bool = False
    continue_other_code: bool = False
    device: str = "auto"
    checkpoint_seconds: float = 60.0
    log_steps: int = 50

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
            threads=torch.get_num_threads(),
            compile=device.startswith("cuda"),
        )

    def require_possible(self, recipe: Recipe) -> None:
        self.recipe(recipe)
        self.execution()


def _own(field: str) -> Any:
    """A setting of an evaluation that the variant decides where it is not given, described as
    :class:`Evaluation` describes it."""
    documented = inspect.getdoc(Evaluation) or ""
    found = re.search(rf":param {field}: (.*?)(?=\n:param |\Z)", documented, re.DOTALL)
    said = " ".join(found[1].split()) if found else field
    return Field(default=None, description=f"{said} Not given: as the variant is evaluated.")


class EvaluationConfig(StageConfig):
    """How to evaluate: on what, and the settings of
    :class:`trm_model.model.evaluation.Evaluation`, with those of the variant where none is given.
    """

    batch_size: int = Field(
        default=256,
        ge=1,
        description="Rollouts evaluated together; most variants have one for each example.",
    )
    limit: int | None = Field(
        default=None,
        ge=1,
        description=(
            "Evaluate only the first so many test puzzles, of ARC tasks with all their "
            "augmentations (a fair sample: their order is random). Not given: as the benchmark's "
            "entry says."
        ),
    )
    all: bool = Field(default=False, description="Evaluate all, whatever the entry says.")
    device: str = Field(
        default="auto",
        description=(
            "cpu, cuda:0, …; auto: the first GPU, else the CPU. It need not be the one that "
            "trained."
        ),
    )
    split: str | None = _own("split")
    depth: int | None = _own("depth")
    rollouts: int | None = _own("rollouts")
    noise: float | None = _own("noise")
    noise_at: str | None = _own("noise_at")
    random_start: bool | None = _own("random_start")
    damping: float | None = _own("damping")
    selection: Any = _own("selection")
    votes: int | None = _own("votes")
    stop_at_halting: bool | None = _own("stop_at_halting")
    seed: int | None = _own("seed")

    def evaluation(self, own: Evaluation) -> Evaluation:
        """A variant's own evaluation with these settings.

        :raises ConfigurationError: an evaluation that cannot be.
        """
        names = {field.name for field in fields(Evaluation)}
        return from_plain(
            Evaluation, self.model_dump(include=names, exclude_none=True), own, importing=True
        )

    def require_possible(self, recipe: Recipe) -> None:
        del recipe
        resolve_device(self.device)
        self.evaluation(Evaluation())

    def require_of(self, variant: Variant, family: Family) -> None:
        require_evaluation(self.evaluation(variant.evaluation), variant, family)


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
    stage: str,
    kind: type[StageConfig],
    values: Mapping[str, Any],
    recipe: Recipe,
    tested: Iterable[tuple[Variant, Family]] = (),
) -> None:
    """Whether a stage can be run with these settings, known before anything is run.

    :param kind: what the stage may be told.
    :param tested: the variants that it is run with, if any, and the family of their puzzles.
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
            config = kind(**values)
            config.require_possible(recipe)
            for variant, family in tested:
                config.require_of(variant, family)
    except ValidationError as error:
        first = error.errors()[0]
        name, given = ".".join(map(str, first["loc"])), values.get(str(first["loc"][0]), "…")
        raise ConfigurationError(
            f"--set {stage}.{name}={given}: {first['msg']}; give another value"
        ) from error
    except ConfigurationError as error:
        raise ConfigurationError(f"--set {stage}: {error}") from error
