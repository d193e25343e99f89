"""The points of a study as trainings of its benchmark."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from assets.benchmarks import Benchmark
from assets.declared import evaluation_key
from assets.studies.report import canonical
from assets.studies.study import Point, Study, changed
from storage.examples import Header
from trm_model.model.variant import Variant
from trm_model.training.plan import cost_of
from trm_model.training.recipe import Recipe
from trm_model.training.run import config_hash, training_version


def resolved(
    study: Study, point: Point, recipe: Recipe, variants: Mapping[str, Variant], header: Header
) -> tuple[Recipe, Variant]:
    """The recipe and the variant of a point on a data set; where the study gives the operations of
    a training, with the steps that take so many.

    :param recipe: of the benchmark.
    :raises ConfigurationError: they cannot be.
    """
    recipe, variant = changed(point, recipe, variants[point.variant])
    if study.training_flops is not None:
        each = cost_of(variant, recipe, header).training_flops
        recipe = replace(recipe, steps=max(1, round(study.training_flops / each)))
    return recipe, variant


def asked(
    name: str,
    study: Study,
    benchmark: Benchmark,
    variants: Mapping[str, Variant],
    header: Header,
    computed: Sequence[str] = (),
) -> pl.DataFrame:
    """What a study asks for, a row for each point: the columns that
    :func:`assets.studies.report.scored` takes.

    :param header: of the benchmark's current data set.
    :param computed: the modules that compute its examples where they are not stored.
    """
    config = study.predictions()
    limit = config.limit_of(benchmark.evaluated)
    rows: list[dict[str, object]] = []
    for point in study.trainings():
        recipe, variant = resolved(study, point, benchmark.recipe, variants, header)
        cost = cost_of(variant, recipe, header)
        execution = study.training(point).planned(recipe)
        rows.append(
            {
                "study": name,
                "point": point.key,
                "axes": canonical(point.axes),
                "metric": benchmark.metric[0],
                "steps": recipe.steps,
                "parameters": cost.parameters,
                "training_flops": float(cost.training_flops * recipe.steps),
                "benchmark": study.benchmark,
                "variant": point.variant,
                "seed": point.seed,
                "config_hash": config_hash(variant, recipe, execution),
                "code_here": training_version(variant, recipe, computed),
                "evaluation": evaluation_key(config.evaluation(variant.evaluation), limit),
                "data_entry": benchmark.data_hash,
            }
        )
    return pl.DataFrame(rows)
