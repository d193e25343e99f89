"""The two dimensions of everything trained: variant and seed of the weights."""

import os
from pathlib import Path

import dagster as dg

from trm_model.model.variant import Variant
from trm_model.variants import VARIANTS, load_variants

SEEDS = 10
VARIANTS_VARIABLE = "TRM_VARIANTS"


def all_variants() -> dict[str, Variant]:
    """Built-in variants and the user's own, from YAML files in the folder that ``TRM_VARIANTS``
    names (default ``variants``).

    :raises ConfigurationError: a YAML file that is wrong, by name.
    """
    return {**VARIANTS, **load_variants(Path(os.environ.get(VARIANTS_VARIABLE, "variants")))}


def variant_seed_partitions(variants: dict[str, Variant]) -> dg.MultiPartitionsDefinition:
    """Keys ``VARIANT|SEED``. Dagster sorts dimensions by name: hence ``weights_seed``, not
    ``seed``, which would come first."""
    return dg.MultiPartitionsDefinition(
        {
            "variant": dg.StaticPartitionsDefinition(list(variants)),
            "weights_seed": dg.StaticPartitionsDefinition([str(seed) for seed in range(SEEDS)]),
        }
    )


def variant_and_seed(key: str) -> tuple[str, int]:
    """Variant and seed of a partition key ``VARIANT|SEED``."""
    variant, _, seed = key.rpartition("|")
    return variant, int(seed)
