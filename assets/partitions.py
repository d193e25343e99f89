"""The two dimensions of everything trained: variant and seed of the weights."""

from collections.abc import Mapping, Sequence

import dagster as dg

from assets.stages import SEEDS
from trm_model.model.variant import Variant
from trm_model.names import unknown_name


def variant_seed_partitions(variants: dict[str, Variant]) -> dg.MultiPartitionsDefinition:
    """Keys ``VARIANT|SEED``. Dagster sorts dimensions by name: hence ``weights_seed``, not
    ``seed``, which would come first."""
    return dg.MultiPartitionsDefinition(
        {
            "variant": dg.StaticPartitionsDefinition(list(variants)),
            "weights_seed": dg.StaticPartitionsDefinition([str(seed) for seed in range(SEEDS)]),
        }
    )


def unknown_partition(key: str, known: Sequence[str], broken: Mapping[str, str]) -> str:
    """What is wrong with a partition key that is none of the known ones: the variant or the seed.

    :param broken: as of :class:`trm_model.variants.Variants`.
    """
    variant, bar, seed = key.rpartition("|")
    variants, seeds = map(list, map(dict.fromkeys, zip(*map(_parts, known), strict=True)))
    if not bar:
        return f"partition {key!r}: expected VARIANT|SEED such as {known[0]!r}"
    if variant in broken:
        return broken[variant]
    if variant not in variants:
        return unknown_name("variant", variant, variants, "see: trm variants")
    return (
        f"no seed {seed!r} of {variant}: expected {seeds[0]} to {seeds[-1]}; a study takes others "
        "(seeds: in its file)"
    )


def _parts(key: str) -> tuple[str, str]:
    variant, _, seed = key.rpartition("|")
    return variant, seed


def variant_and_seed(key: str) -> tuple[str, int]:
    """Variant and seed of a partition key ``VARIANT|SEED``."""
    variant, seed = _parts(key)
    return variant, int(seed)
