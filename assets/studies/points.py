"""The points of a study as trainings of its benchmark."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from assets.benchmarks import Benchmark
from assets.declared import evaluation_key
from assets.reports.comparison import cost_of
from assets.studies.report import canonical
from assets.studies.study import Point, Study, changed
from storage.examples import Header
from trm_model.model.variant import Variant
from trm_model.training.recipe import Recipe
from trm_model.training.run import config_hash


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
