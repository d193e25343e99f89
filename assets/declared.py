"""What a benchmark declares of each variant: the recipe of its entry, and the evaluation of the
variant on the test puzzles of its entry. Reports compare nothing else."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields

import polars as pl

from assets.benchmarks import Benchmark
from trm_model.choices import changed
from trm_model.model.evaluation import Evaluation
from trm_model.model.variant import Variant
from trm_model.training.recipe import Recipe
from trm_model.training.run import config_hash


def evaluation_key(evaluation: Evaluation, limit: int | None) -> str:
    """A hash that tells evaluations apart: how, and of how many test puzzles (of ARC: of tasks;
    None: of all)."""
    config = {"evaluation": changed(evaluation), "limit": limit}
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def declared(benchmark: Benchmark, variants: Mapping[str, Variant]) -> pl.DataFrame:
    """``config_hash`` and ``evaluation`` of each ``variant`` of a benchmark as they are declared,
    named as the columns of :class:`assets.tables.Scores` are."""
    return pl.DataFrame(
        [
            (
                name,
                config_hash(variant, benchmark.recipe),
                evaluation_key(variant.evaluation, benchmark.evaluated),
            )
            for name, variant in variants.items()
        ],
        schema=dict.fromkeys(("variant", "config_hash", "evaluation"), pl.String),
        orient="row",
    )


def differences(recipe: Recipe, benchmark: Benchmark) -> str:
    """What a recipe changes of its benchmark's, for people; empty where they are equal."""
    pairs = (
        (field.name, getattr(recipe, field.name), getattr(benchmark.recipe, field.name))
        for field in fields(Recipe)
    )
    return ", ".join(
        f"{name}={given} in place of {expected}"
        for name, given, expected in pairs
        if given != expected
    )
