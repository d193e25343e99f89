"""A study: a named set of trainings that differ in some settings, from a YAML file.

.. code-block:: yaml

    title: What the rate and the weight decay do to trm_mlp
    benchmark: sudoku_4x4
    variants: [trm_mlp]
    seeds: [0, 1]
    settings: {recipe.steps: 300}            # of all points
    of_variant:                              # of the points of one variant
      trm_mlp: {recipe.clip_norm: 1.0}
    grid:                                    # every combination
      recipe.learning_rate: [3.0e-4, 1.0e-3]
      recipe.weight_decay: [0.0, 1.0]

In place of ``grid`` a file may have ``points``, a list of mappings of settings, or ``draws``:
``{count: 12, seed: 0, ranges: {recipe.learning_rate: {log: [1.0e-5, 1.0e-2]}}}``. Settings are
fields of the benchmark's recipe (``recipe.…``) and of the variant (``variant.…``); a choice of
one's own, named ``package.module:Class``, is imported.
"""

import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

from assets.benchmarks import Benchmark
from assets.configs import EvaluationConfig, TrainingConfig, configured
from trm_model.authors.published import figure_of, published_names
from trm_model.choices import check_fields, from_plain
from trm_model.errors import ConfigurationError, require
from trm_model.model.variant import Variant
from trm_model.names import (
    OWN_STUDIES_DEFAULT,
    OWN_STUDIES_VARIABLE,
    unknown_name,
)
from trm_model.own_files import Named, files_of, read_all
from trm_model.seeding import numpy_generator
from trm_model.texts import from_yaml
from trm_model.training.execution import Execution
from trm_model.training.recipe import Recipe

SHIPPED = Path(__file__).parent
"""The folder of the studies that come with the project."""
OWNERS = ("recipe", "variant")
"""The first word of a setting's path: the recipe or the variant has the field."""

Scale = Literal["log", "linear", "choice"]
Settings = Mapping[str, Any]
"""Path of a field, such as ``recipe.size.width``, -> value, as plain data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What one setting is drawn from; exactly one of its fields is given.

    :param log, linear: least and greatest value; equal shares of the range, or of its logarithm,
        are equally likely. Whole numbers where both ends are.
    :param choice: one of these.
    """

    log: tuple[Any, ...] | None = None
    linear: tuple[Any, ...] | None = None
    choice: tuple[Any, ...] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        given = [ends for ends in (self.log, self.linear, self.choice) if ends is not None]
        require(
            len(given) == 1 and len(given[0]) > 0,
            "a range: expected one of log: [least, greatest], linear: [least, greatest], "
            "choice: [values]; give one of them",
        )
        for name, ends in (("log", self.log), ("linear", self.linear)):
            require(
                ends is None
                or (
                    len(ends) == 2
                    and all(type(end) in (int, float) for end in ends)
                    and ends[0] < ends[1]
                    and (name == "linear" or ends[0] > 0)
                ),
                f"{name}: {list(ends or ())}: expected two numbers, the smaller first"
                f"{', both positive' if name == 'log' else ''}; change them",
            )

    def at(self, share: float) -> Any:
        """The value at a share (0..1) of the range."""
        if self.choice is not None:
            return self.choice[int(share * len(self.choice))]
        if self.log is not None:
            low, high = self.log
            value = low * (high / low) ** share
        else:
            low, high = self.linear or (0.0, 0.0)
            value = low + (high - low) * share
        whole = type(low) is int and type(high) is int
        return round(value) if whole else float(f"{value:.3g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Settings drawn at random, spread evenly (a Latin hypercube of scipy's).

    :param count: how many points.
    :param seed: of the random numbers.
    :param ranges: what each setting is drawn from.
    """

    count: int
    ranges: dict[str, Any]
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, count=1, seed=0)
        require(len(self.ranges) > 0, "draws without ranges: expected one for each setting")
        for path, given in self.ranges.items():
            require(
                isinstance(given, dict),
                f"ranges: {path}: {given!r}: expected one such as {{log: [1e-5, 1e-2]}}; change it",
            )

    def points(self) -> list[Settings]:
        """The settings of each point."""
        from scipy.stats import qmc  # It takes its time to load, and every page loads this module.

        ranges = {path: from_plain(Range, given) for path, given in self.ranges.items()}
        generator = numpy_generator(self.seed, "draws")
        shares = qmc.LatinHypercube(len(ranges), rng=generator).random(self.count)
        return [
            {
                path: one.at(float(share))
                for (path, one), share in zip(ranges.items(), row, strict=True)
            }
            for row in shares
        ]


class Point(NamedTuple):
    """One training of a study.

    :param settings: what it changes of the benchmark's recipe and of the variant.
    :param axes: those of them that differ from point to point.
    """

    variant: str
    seed: int
    settings: Settings
    axes: Settings

    @property
    def key(self) -> str:
        """Its name within the study: the partition's key."""
        shown = (f"{path}={value}" for path, value in self.axes.items())
        return " ".join([self.variant, *shown, f"seed={self.seed}"]).replace(",", ";")

    def changes(self, owner: str) -> dict[str, Any]:
        """The changes of one owner (:data:`OWNERS`), nested."""
        nested: dict[str, Any] = {}
        for path, value in self.settings.items():
            first, *folders, last = path.split(".")
            if first == owner:
                inner = nested
                for folder in folders:
                    inner = inner.setdefault(folder, {})
                inner[last] = value
        return nested


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """See the module's docstring.

    :param title: what it asks, in words.
    :param benchmark: what is trained on.
    :param variants: names of variants, each of which is trained at each point.
    :param seeds: of the weights; each point is trained with each.
    :param settings: of all points.
    :param of_variant: name of a variant -> settings of its points, in place of those of all.
    :param grid: values of settings, every combination of which is a point.
    :param points: or: the settings of each point.
    :param draws: or: points drawn at random.
    :param evaluation: settings of the predictions of all points, such as ``limit``.
    :param execution: settings of all trainings besides recipe and variant, such as ``recompute``.
    :param published: name of a variant -> variant or method whose published figure
        (:mod:`trm_model.authors.published`) stands beside its points.
    :param training_flops: floating-point operations that each training may take in all; the
        recipe's ``steps`` follow from it, for each variant and size by itself. Those that
        ``execution: {recompute: true}`` repeats are left out, so that it changes no result;
        ``trm study NAME --plan`` counts them.
    :param notes: what the report says beside the figures, such as what they cost and showed.
    """

    title: str
    benchmark: str
    variants: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    settings: dict[str, Any] | None = None
    of_variant: dict[str, Any] | None = None
    grid: dict[str, Any] | None = None
    points: tuple[dict[str, Any], ...] | None = None
    draws: Draws | None = None
    evaluation: dict[str, Any] | None = None
    execution: dict[str, Any] | None = None
    published: dict[str, Any] | None = None
    training_flops: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, training_flops=1.0)
        for name in ("variants", "seeds"):
            values = getattr(self, name)
            require(len(values) > 0, f"{name}=[]: expected at least one; name it")
            require(
                len(set(values)) == len(values), f"{name}={list(values)}: one stands there twice"
            )
        for name in ("of_variant", "published"):
            for variant in getattr(self, name) or {}:
                require(
                    variant in self.variants,
                    f"{name}: "
                    + unknown_name(
                        "variant", variant, self.variants, f"expected one of {self.variants}"
                    ),
                )
        for variant, name in (self.published or {}).items():
            require(
                isinstance(name, str),
                f"published: {variant}: {name!r}: expected the name of a variant or method; "
                "change it",
            )
        for variant, settings in (self.of_variant or {}).items():
            require(
                isinstance(settings, dict),
                f"of_variant: {variant}: {settings!r}: expected settings, each with its value; "
                "change it",
            )
        _require_execution(self.execution or {})
        ways = [name for name in ("grid", "points", "draws") if getattr(self, name) is not None]
        require(
            len(ways) <= 1,
            f"{' and '.join(ways)}: expected one of grid, points, draws; remove the others",
        )
        for path in {path for settings in self._all_settings() for path in settings}:
            _require_path(path)
            require(
                self.training_flops is None or path != "recipe.steps",
                "recipe.steps with training_flops, from which the steps follow: expected one of "
                "them; leave the other out",
            )
        keys = [point.key for point in self.trainings()]
        require(len(set(keys)) == len(keys), "two points have equal settings; remove one")

    def _all_settings(self) -> Iterator[Settings]:
        yield self.settings or {}
        yield from (self.of_variant or {}).values()
        yield from self._choices()

    def _choices(self) -> Sequence[Settings]:
        """The settings in which points differ."""
        if self.grid is not None:
            for path, values in self.grid.items():
                require(
                    isinstance(values, list) and len(values) > 0,
                    f"grid: {path}: {values!r}: expected a list of values; give one",
                )
            combinations = itertools.product(*self.grid.values())
            return [dict(zip(self.grid, values, strict=True)) for values in combinations]
        if self.draws is not None:
            return self.draws.points()
        return self.points or ({},)

    def trainings(self) -> list[Point]:
        """All points, variant by variant, the seeds of each together."""
        common, own = self.settings or {}, self.of_variant or {}
        return [
            Point(variant, seed, {**common, **own.get(variant, {}), **chosen}, chosen)
            for variant in self.variants
            for chosen in self._choices()
            for seed in self.seeds
        ]

    def point(self, key: str) -> Point:
        """The point with a key.

        :raises ConfigurationError: there is none.
        """
        known = {point.key: point for point in self.trainings()}
        require(key in known, unknown_name("point", key, known, f"expected one of {list(known)}"))
        return known[key]

    @property
    def axes(self) -> tuple[str, ...]:
        """The settings that differ from point to point, in order."""
        return tuple(dict.fromkeys(path for chosen in self._choices() for path in chosen))

    def predictions(self) -> EvaluationConfig:
        """How the points are evaluated.

        :raises ConfigurationError: settings that cannot be.
        """
        return configured(EvaluationConfig, self.evaluation or {})

    def training(self, point: Point) -> TrainingConfig:
        """How a point is trained.

        :raises ConfigurationError: settings that cannot be.
        """
        return configured(TrainingConfig, {**(self.execution or {}), **_changes(point)})

    def figure(self, variant: str, benchmark: str | None) -> str | None:
        """The published figure that stands beside the points of a variant, in words; None: none
        does.

        :param benchmark: under whose name it is published.
        """
        return figure_of(benchmark or "", (self.published or {}).get(variant, ""))

    def require_possible(
        self, benchmark: Benchmark, variants: Mapping[str, Variant], *, sizes: bool = True
    ) -> None:
        """Whether every point can be trained and evaluated, on a machine that has what it needs,
        known before anything is.

        :param benchmark: the study's.
        :param sizes: whether it is tried that each variant can have its size on the puzzles, which
            takes a moment for each point.
        :raises ConfigurationError: one cannot; the message names it. Or a published figure is named
            that there is none of.
        """
        self._require_published(benchmark)
        recipe = benchmark.recipe
        for point in self.trainings():
            require(
                point.variant in variants,
                unknown_name("variant", point.variant, variants, "see: trm variants"),
            )
            base = variants[point.variant]
            with _of(point):
                training, predictions = self.training(point), self.predictions()
                training.require_possible(recipe, [base])
                predictions.require_possible(recipe, [base])
                variant = training.variant_of(base)
                variant.generation.require_evaluation(predictions.evaluation(variant.evaluation))
                if sizes:
                    training.require_of(recipe, base, benchmark.origin.family)

    def _require_published(self, benchmark: Benchmark) -> None:
        known = published_names(benchmark.published_as or "")
        for variant, name in (self.published or {}).items():
            require(
                name in known,
                f"published: {variant}: "
                + unknown_name(
                    "published figure",
                    name,
                    known,
                    f"of {self.benchmark} expected {', '.join(known) or 'none; leave it out'}",
                ),
            )

    def require_here(self, recipe: Recipe) -> None:
        """Whether this machine has what the points are trained and evaluated on.

        :param recipe: of the benchmark.
        :raises ConfigurationError: it has not; the message names the point.
        """
        for point in self.trainings():
            with _of(point):
                self.training(point).require_here(recipe)
                self.predictions().require_here(recipe)


@contextmanager
def _of(point: Point) -> Generator[None]:
    """A refusal begins with the point that it is of."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"point {point.key!r}: {error}") from error


def changed(point: Point, recipe: Recipe, variant: Variant) -> tuple[Recipe, Variant]:
    """The recipe and the variant of a point.

    :raises ConfigurationError: they cannot be.
    """
    config = configured(TrainingConfig, _changes(point))
    return config.recipe_of(recipe), config.variant_of(variant)


def _changes(point: Point) -> dict[str, Any]:
    return {owner: point.changes(owner) for owner in OWNERS}


def _require_execution(given: Settings) -> None:
    """Whether these are settings of how a training runs, none that tells its results apart."""
    runs = [field.name for field in fields(Execution) if field.name in TrainingConfig.model_fields]
    known = [*runs, "trackers"]
    for name in given:
        require(
            name in known,
            "execution: " + unknown_name("setting", name, known, f"expected {', '.join(known)}"),
        )


def _require_path(path: object) -> None:
    owner, dot, _ = path.partition(".") if isinstance(path, str) else ("", "", "")
    require(
        bool(dot) and owner in OWNERS,
        f"setting {path!r}: expected a field of {' or '.join(f'{name}.…' for name in OWNERS)}, "
        "such as recipe.learning_rate; rename it",
    )


Studies = Named[Study]
"""Studies by name."""


def _read(path: Path) -> Study:
    content = from_yaml(path.read_bytes())
    require(
        isinstance(content, dict),
        f"expected the fields of a study in YAML, such as those of {SHIPPED / 'rates.yaml'}; mend "
        "it",
    )
    return from_plain(Study, content)


def load_studies(
    folders: Sequence[Path], benchmarks: Mapping[str, Benchmark], variants: Mapping[str, Variant]
) -> Studies:
    """The studies in these folders, one YAML file each, named after the study. A broken file stops
    none of the others.

    :param benchmarks: by name.
    :raises ConfigurationError: a folder is a file, or is not there and not the default.
    """

    def read(path: Path) -> Study:
        study = _read(path)
        require(
            study.benchmark in benchmarks,
            unknown_name(
                "benchmark",
                study.benchmark,
                benchmarks,
                f"expected one of {', '.join(benchmarks)}",
            ),
        )
        study.require_possible(benchmarks[study.benchmark], variants, sizes=False)
        return study

    files = [
        path
        for folder in folders
        for path in files_of(folder, default=OWN_STUDIES_DEFAULT, variable=OWN_STUDIES_VARIABLE)
    ]
    return read_all(files, "study", "trm study", read)
