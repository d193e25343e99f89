"""What a materialization of each stage may be told; of puzzles, the family's file says it. A
benchmark's entry says the rest."""

import json
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, TypeVar

import dagster as dg
import torch
from pydantic import ConfigDict, Field, ValidationError

from assets.schemas import change_fields, documented, value_fields
from storage.reading import MALFORMED, one_line
from trm_model.choices import MOST, from_plain, in_words
from trm_model.devices import count_devices, full_name, resolve_device
from trm_model.errors import ConfigurationError, require
from trm_model.evaluation.evaluate import require_evaluation
from trm_model.model.cost import require_size
from trm_model.model.evaluation import Evaluation
from trm_model.model.variant import Variant
from trm_model.names import unknown_name
from trm_model.own_files import OF_OWN_CLASSES
from trm_model.puzzles.family import Family
from trm_model.trackers.tracker import Tracker
from trm_model.training.execution import Execution, most_shares
from trm_model.training.initial import find_source
from trm_model.training.recipe import Recipe

EVALUATION = "evaluation"
"""The field of a variant that no training depends on."""


@cache
def _variant_changes() -> dg.Shape:
    """The changes of its variant that a training takes; they are the same for all benchmarks."""
    stays = "Default: as the partition's variant has it."
    return dg.Shape(change_fields(Variant, without=(EVALUATION,), stays=stays))


class StageConfig(dg.Config):
    """Of a stage that can be told nothing, and the base of the others: numbers are finite, whole
    numbers and text are taken for nothing else, and no setting is ignored."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """The page shows what the docstring says of each field."""
        for name, text in documented(cls).items():
            cls.model_fields[name].description = text

    def require_possible(self, recipe: Recipe, variants: Iterable[Variant]) -> None:
        """Whether the stage can be run so with a benchmark's recipe and for these variants, on a
        machine that has what it needs.

        :raises ConfigurationError: it cannot.
        """
        del recipe, variants

    def require_here(self, recipe: Recipe) -> None:
        """Whether this machine has what the stage needs to be run so with a benchmark's recipe.

        :raises ConfigurationError: it has not.
        """
        del recipe

    def require_of(self, recipe: Recipe, variant: Variant, family: Family) -> None:
        """Whether the stage can be run so with a benchmark's recipe and a variant, on puzzles of a
        family.

        :raises ConfigurationError: it cannot.
        """
        del recipe, variant, family


class ExamplesConfig(StageConfig):
    """Changes to the benchmark's data for one materialization.

    :param augmentations: versions of each training puzzle besides itself; None: as the entry says.
    """

    augmentations: int | None = Field(default=None, ge=0, le=1_000_000)


class ShardsConfig(StageConfig):
    """How many webdataset shards are written, and where they go.

    :param count: at least so many for each split, since every worker that reads them needs one;
        None: eight, or one for each puzzle where there are fewer.
    :param url: a place beside the store that they are copied to, anything fsspec opens
        (``s3://bucket/folder``); None: they stay in the store alone.
    """

    count: int | None = Field(default=None, ge=1, le=MOST)
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tracking:
    """Trackers by their names and settings."""

    trackers: tuple[Tracker, ...] = ()


class TrainingConfig(StageConfig):
    """Changes to the benchmark's recipe for one materialization, and how to run. The user has
    written them: a class of their own that they name is imported.

    :param recipe: fields of the benchmark's recipe that are changed.
    :param variant: fields of the partition's variant that are changed. What is left out stays as it
        is there; a choice that the variant does not have yet comes with its defaults.
    :param steps, batch_size: short for ``recipe.steps`` and ``recipe.batch_size``; None: as there.
    :param fresh: train again although the same training (configuration, data, code) is finished; a
        retry continues it. From the start: not from the last checkpoint of a shorter training that
        is the same otherwise.
    :param continue_other_code: go on with a training that was interrupted under another version of
        the code; both versions are recorded in its ``run.json``.
    :param start_from: fine-tune: begin with the averaged weights of this checkpoint, a run's
        folder, a checkpoint's folder or a file of the authors', relative to where Dagster was
        started, or a pretrained model by its name; puzzle rows are taken over by the puzzles'
        names; None: weights from the seed.
    :param device: ``cpu``, ``cuda:0``, …; ``auto``: the first GPU, else the CPU.
    :param checkpoint_seconds: time between checkpoints; longer where writing one takes longer.
    :param keep_checkpoints: how many of the newest are kept, beside the best one.
    :param log_steps: optimizer steps between rows of the training table; the log tells the newest
        row, at most every 10 seconds.
    :param validate_steps: optimizer steps between two validations, where the benchmark has
        validation puzzles; 0: there is none.
    :param processes: that train together, each on an equal share of every batch; None: on GPUs one
        on each that is visible, as many as can have equal shares, where none is named by its
        number; else 1.
    :param micro_batch: examples of which a process computes gradients at once, to save memory; they
        are summed over the batch before the weights change; None: all of its share.
    :param recompute: save memory: keep no more than the input of each network call for the
        gradient, and compute the call again when it is due.
    :param compile: let torch compile the networks; None: on GPUs alone.
    :param trackers: where the figures go beside the run's own file: ``tensorboard``, ``wandb``,
        ``mlflow``, or a class of your own, each alone or with its settings.
    """

    recipe: dict[str, Any] = Field(default_factory=dict)
    variant: dict[str, Any] = Field(default_factory=dict)
    steps: int | None = None
    batch_size: int | None = None
    fresh: bool = False
    continue_other_code: bool = False
    start_from: str | None = None
    device: str = "auto"
    checkpoint_seconds: float = 60.0
    keep_checkpoints: int = Field(default=2, ge=1, le=MOST)
    log_steps: int = 50
    validate_steps: int = Field(default=250, ge=0)
    processes: int | None = Field(default=None, ge=1, le=1_000)
    micro_batch: int | None = Field(default=None, ge=1, le=1_000_000)
    recompute: bool = False
    compile: bool | None = None
    trackers: list[Any] = Field(default_factory=list[Any])

    def recipe_of(self, base: Recipe) -> Recipe:
        """A benchmark's recipe with these changes.

        :raises ConfigurationError: a recipe that cannot be.
        """
        with _named("recipe: "):
            changed = from_plain(Recipe, self.recipe, base, importing=True)
        short = {"steps": self.steps, "batch_size": self.batch_size}
        given = {name: value for name, value in short.items() if value is not None}
        for name, value in given.items():
            long = getattr(changed, name)
            require(
                long in (getattr(base, name), value),
                f"{name}={value} and recipe.{name}={long}: expected one of them; leave the other "
                "out",
            )
        changed = replace(changed, **given)
        with _named("recipe: "):
            changed.require_schedule()
        return changed

    def variant_of(self, base: Variant) -> Variant:
        """A variant with these changes.

        :raises ConfigurationError: a variant that cannot be.
        """
        require(
            EVALUATION not in self.variant,
            f"variant.{EVALUATION}: expected what a training depends on; how its checkpoint is "
            "tested is a setting of the stage predictions",
        )
        with _named("variant: "):
            return from_plain(Variant, self.variant, base, importing=True)

    @classmethod
    def fields_for(cls, recipe: Recipe) -> dict[str, dg.Field]:
        """The settings as Dagster checks and shows them, for a benchmark with this recipe."""
        found = cls.to_fields_dict()
        texts = {name: found[name].description for name in ("recipe", "variant")}
        return {
            **found,
            "recipe": dg.Field(dg.Shape(value_fields(recipe)), description=texts["recipe"]),
            "variant": dg.Field(
                _variant_changes(), is_required=False, description=texts["variant"]
            ),
        }

    def execution(self, recipe: Recipe) -> Execution:
        """How to train by a recipe on this machine.

        :raises ConfigurationError: it cannot be run so here.
        """
        found = self.planned(recipe)
        for name in (self.device, *found.devices):
            resolve_device(name)
        return found

    def planned(self, recipe: Recipe) -> Execution:
        """How to train by a recipe on a machine that has the device, which need not be this one.

        :raises ConfigurationError: it cannot be run so on any.
        """
        device = full_name(self.device)
        found = Execution(
            device=device,
            processes=self.processes or self._one_on_each(device, recipe.batch_size),
            micro_batch=self.micro_batch,
            recompute=self.recompute,
            log_steps=self.log_steps,
            checkpoint_seconds=self.checkpoint_seconds,
            keep_checkpoints=self.keep_checkpoints,
            validate_steps=self.validate_steps,
            threads=torch.get_num_threads(),
            compile=device.startswith("cuda") if self.compile is None else self.compile,
        )
        found.require_batch(recipe.batch_size)
        return found

    def tracked_by(self) -> tuple[Tracker, ...]:
        """The trackers that are asked for, whose packages are installed.

        :raises ConfigurationError: there is no such tracker, or its package is missing.
        """
        found = self._trackers()
        for tracker in found:
            tracker.require_installed()
        return found

    def _trackers(self) -> tuple[Tracker, ...]:
        return from_plain(_Tracking, {"trackers": self.trackers}, importing=True).trackers

    def _one_on_each(self, device: str, batch_size: int) -> int:
        """Processes where nothing is said of them: see the class."""
        if device == "cpu" or device == self.device:
            return 1
        return most_shares(batch_size, max(1, count_devices(device)))

    def require_possible(self, recipe: Recipe, variants: Iterable[Variant]) -> None:
        changed = self.recipe_of(recipe)
        patience = changed.patience
        require(
            patience is None or self.validate_steps > 0,
            f"recipe.patience={patience} with validate_steps=0: expected validations to judge by; "
            "give validate_steps above 0, or leave patience out",
        )
        for variant in variants:
            self.variant_of(variant)
        self.planned(changed)
        self._trackers()

    def require_here(self, recipe: Recipe) -> None:
        self.execution(self.recipe_of(recipe))
        self.tracked_by()
        if self.start_from is not None:
            find_source(self.start_from)

    def require_of(self, recipe: Recipe, variant: Variant, family: Family) -> None:
        trained, size = self.variant_of(variant), self.recipe_of(recipe).size
        with _named("recipe and variant: "):
            require_size(trained, size, len(family.vocabulary), family.grid)


def _own(field: str) -> Any:
    """A setting of an evaluation that the variant decides where it is not given, described as
    :class:`Evaluation` describes it."""
    said = documented(Evaluation)[field]
    return Field(default=None, description=f"{said} Not given: as the variant is evaluated.")


class EvaluationConfig(StageConfig):
    """How to evaluate: on what, and the settings of
    :class:`trm_model.model.evaluation.Evaluation`, with those of the variant where none is given.

    :param batch_size: rollouts evaluated together; most variants have one for each example. None:
        as many as the device has memory for; 256 on a CPU.
    :param limit: evaluate only the first so many test puzzles, of ARC tasks with all their
        augmentations (a fair sample: their order is random); None: as the entry says.
    :param all: evaluate all, whatever the entry says.
    :param again: also where the same evaluation by the same code is stored.
    :param device: as in :class:`TrainingConfig`; need not be the one that trained.
    :param compile: let torch compile the networks, which takes a moment: worth it for large tests
        on GPUs.
    """

    batch_size: int | None = Field(default=None, ge=1, le=1_000_000)
    limit: int | None = Field(default=None, ge=1, le=MOST)
    all: bool = False
    again: bool = False
    device: str = "auto"
    compile: bool = False
    split: str | None = _own("split")
    depth: int | None = _own("depth")
    rollouts: int | None = _own("rollouts")
    noise: float | None = _own("noise")
    noise_at: str | None = _own("noise_at")
    random_start: bool | None = _own("random_start")
    damping: float | None = _own("damping")
    selection: Any = _own("selection")
    votes: int | None = _own("votes")
    blank_ids: bool | None = _own("blank_ids")
    stop_at_halting: bool | None = _own("stop_at_halting")
    halting_per_cell: bool | None = _own("halting_per_cell")
    keys_and_values: str | None = _own("keys_and_values")
    seed: int | None = _own("seed")

    def evaluation(self, own: Evaluation) -> Evaluation:
        """A variant's own evaluation with these settings.

        :raises ConfigurationError: an evaluation that cannot be.
        """
        names = {field.name for field in fields(Evaluation)}
        return from_plain(
            Evaluation, self.model_dump(include=names, exclude_none=True), own, importing=True
        )

    def require_possible(self, recipe: Recipe, variants: Iterable[Variant]) -> None:
        del recipe, variants
        full_name(self.device)
        self.evaluation(Evaluation())

    def require_here(self, recipe: Recipe) -> None:
        del recipe
        resolve_device(self.device)

    def limit_of(self, evaluated: int | None) -> int | None:
        """How many test puzzles are asked, given how many the benchmark's entry says; None: all."""
        return None if self.all else self.limit or evaluated

    def require_of(self, recipe: Recipe, variant: Variant, family: Family) -> None:
        del recipe
        require_evaluation(self.evaluation(variant.evaluation), variant, family)


Settings = TypeVar("Settings", bound=StageConfig)


class InspectionConfig(StageConfig):
    """Which puzzles are looked at, and how.

    :param examples: of the test puzzles, counted from 0.
    :param depth: supervision steps; None: as the variant is evaluated.
    :param layers: blocks whose maps are drawn, counted from 0; None: all.
    :param failures: so many of the test puzzles that were evaluated and are not solved are drawn,
        where there are predictions of the run.
    :param device: as in :class:`TrainingConfig`.
    """

    examples: list[int] = Field(default=[0, 1, 2], min_length=1)
    depth: int | None = Field(default=None, ge=1)
    layers: list[int] | None = None
    failures: int = Field(default=8, ge=0)
    device: str = "auto"

    def require_possible(self, recipe: Recipe, variants: Iterable[Variant]) -> None:
        del recipe, variants
        full_name(self.device)

    def require_here(self, recipe: Recipe) -> None:
        del recipe
        resolve_device(self.device)


CONFIGS: Mapping[str, type[StageConfig]] = {
    "examples": ExamplesConfig,
    "shards": ShardsConfig,
    "checkpoint": TrainingConfig,
    "predictions": EvaluationConfig,
    "inspection": InspectionConfig,
}
"""The settings of each stage that has any; those of ``puzzles`` depend on the benchmark."""


def schema_of(kind: type[StageConfig]) -> Any:
    """What Dagster checks a stage's settings with. Without any it would take every setting and
    ignore it; its own way to a schema calls something deprecated where there are no fields."""
    return kind.to_fields_dict() if kind.model_fields else {}


_BOUNDS = {"ge": "at least", "le": "at most"}
"""The bounds that fields have, in words."""


def configured(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """A stage's settings from plain data.

    :raises ConfigurationError: an unknown setting or a value that cannot be.
    """
    known = list(kind.model_fields)
    for name in values:
        require(
            name in known,
            f"{name}: "
            + unknown_name("setting", name, known, f"expected {', '.join(known) or 'none'}"),
        )
    try:
        return kind(**values)
    except ValidationError as error:
        wrong = error.errors()[0]
        name = str(wrong["loc"][0])
        # As one writes it in YAML, which is what was given.
        given = json.dumps(values.get(name), ensure_ascii=False, default=str)
        bounds = [f", {_BOUNDS[key]} {limit}" for key, limit in wrong.get("ctx", {}).items()]
        raise ConfigurationError(
            f"{name}={given}: expected {in_words(kind.model_fields[name].annotation)}"
            f"{''.join(bounds)}; give another value, or leave it out"
        ) from error


def require_settings(
    stage: str,
    kind: type[StageConfig],
    values: Mapping[str, Any],
    recipe: Recipe,
    variants: Iterable[Variant] = (),
    family: Family | None = None,
    *,
    here: bool = True,
) -> None:
    """Whether a stage can be run with these settings, known before anything is run.

    :param kind: what the stage may be told.
    :param variants: those that it is run for.
    :param family: of the puzzles, where the stage depends on it.
    :param here: on this machine; False: on one that has what it needs.
    :raises ConfigurationError: an unknown setting or a value that cannot be.
    """
    if not (kind.model_fields or values):
        return  # Dagster's base cannot be made of nothing without a warning.
    with _named(f"--set {stage}."):
        config = configured(kind, values)
        config.require_possible(recipe, variants)
        if family is not None:
            for variant in variants:
                config.require_of(recipe, variant, family)
        if here:
            config.require_here(recipe)


@contextmanager
def _named(what: str) -> Generator[None]:
    """A refusal begins with what is refused, whatever classes of the user's own raise."""
    try:
        yield
    except (*MALFORMED, *OF_OWN_CLASSES) as error:
        raise ConfigurationError(f"{what}{one_line(error)}") from error
