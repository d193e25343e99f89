"""The two dimensions of everything trained: variant and seed of the weights."""

import dagster as dg

from trm_model.model.variant import Variant

SEEDS = 10


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
