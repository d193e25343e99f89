"""What a benchmark declares of each variant: the data and the recipe of its entry, and the
evaluation of the variant on the test puzzles of its entry. Reports compare nothing else."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import polars as pl

from assets.benchmarks import Benchmark
from trm_model.choices import changed, differing, to_plain
from trm_model.model.evaluation import Evaluation
from trm_model.model.variant import Variant
from trm_model.training.execution import Execution
from trm_model.training.run import RunSpec, config_hash

OTHER_DATA = "data of another entry than the benchmark's"


FINE_TUNED = "fine-tuned from other weights"


def evaluation_key(evaluation: Evaluation, limit: int | None, data_version: str = "") -> str:
    """A hash that tells evaluations apart: how, and of how many test puzzles (of ARC: of tasks;
    None: of all).

    :param data_version: of the data set that is asked; empty: the one trained on.
    """
    config: dict[str, object] = {"evaluation": changed(evaluation), "limit": limit}
    if data_version:
        config["data"] = data_version
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def evaluation_settings(evaluation: Evaluation, depth: int, limit: int | None) -> str:
    """An evaluation with all its settings as canonical JSON.

    :param depth: the number of steps that it comes to.
    """
    settings = {**to_plain(evaluation), "depth": depth, "limit": limit}
    return json.dumps(settings, sort_keys=True, separators=(",", ":"))


def declared(benchmark: Benchmark, variants: Mapping[str, Variant]) -> pl.DataFrame:
    """``config_hash``, ``evaluation`` and ``data_entry`` of each ``variant`` of a benchmark as they
    are declared, named as the columns of :class:`assets.tables.Scores` are."""
    return pl.DataFrame(
        [
            (
                name,
                config_hash(variant, benchmark.recipe, Execution()),
                evaluation_key(variant.evaluation, benchmark.evaluated),
                benchmark.data_hash,
            )
            for name, variant in variants.items()
        ],
        schema=dict.fromkeys(("variant", "config_hash", "evaluation", "data_entry"), pl.String),
        orient="row",
    )


def data_entry(spec: RunSpec) -> str:
    """The hash of the benchmark's entry that a run's data were made of
    (:attr:`assets.benchmarks.Benchmark.data_hash`); empty where it is not known."""
    return "" if spec.header is None else spec.header.sources.get("entry", "")


def differences(spec: RunSpec, benchmark: Benchmark, variant: Variant) -> str:
    """What a run changes of its benchmark's data and recipe and of its variant, in words; empty
    where it changes nothing.

    :param variant: that of the run's name, as it is declared.
    """
    pairs = chain(
        differing(benchmark.recipe, spec.recipe), differing(variant, spec.variant, "variant.")
    )
    changes = _in_words(pair for pair in pairs if not pair[0].startswith("variant.evaluation."))
    if spec.initial:
        changes.append(FINE_TUNED)
    if data_entry(spec) != benchmark.data_hash:
        changes.append(OTHER_DATA)
    return ", ".join(changes)


def from_paper(benchmark: Benchmark) -> str:
    """What a benchmark's recipe changes of the paper's, in words; empty where it changes
    nothing."""
    return ", ".join(_in_words(differing(benchmark.paper_recipe, benchmark.recipe)))


def evaluation_differences(
    settings: str, evaluation: Evaluation, depth: int, limit: int | None
) -> str:
    """What the settings of an evaluation (:func:`evaluation_settings`) change of another, such as
    ``depth=64, rollouts=8``; empty where they change nothing.

    :param evaluation, depth, limit: the other: how, the steps that it comes to, and of how many
        puzzles.
    """
    expected = json.loads(evaluation_settings(evaluation, depth, limit))
    found = json.loads(settings)
    return ", ".join(
        f"{name}={json.dumps(value) if isinstance(value, dict) else value}"
        for name, value in found.items()
        if value != expected.get(name)
    )


def _in_words(pairs: Iterable[tuple[str, Any, Any]]) -> list[str]:
    return [f"{name}={given} in place of {expected}" for name, expected, given in pairs]
