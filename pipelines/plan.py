"""What trainings take, said without starting any."""

from collections.abc import Sequence

from assets.benchmarks import BENCHMARKS
from assets.configs import TrainingConfig, configured, require_settings
from assets.made import require_made
from assets.partitions import variant_and_seed
from assets.store import current_examples
from assets.titles import require_benchmark
from pipelines.definitions import PARTITIONS, VARIANTS, defs
from pipelines.execute import parse_partitions, parse_settings
from storage.examples import open_header
from storage.store import Store
from trm_model.errors import require
from trm_model.training.plan import plan


def tell_plans(benchmark: str, partitions: Sequence[str], settings: Sequence[str]) -> int:
    """Print what each training would take, a line each; returns the exit code.

    :param partitions: keys ``VARIANT|SEED`` and ranges of them.
    :param settings: ``checkpoint.FIELD=VALUE``.
    :raises ConfigurationError: settings that cannot be, or no data set yet, which decides on how
        long a puzzle is and how many rows the puzzle table has.
    """
    require_benchmark(benchmark)
    entry = BENCHMARKS[benchmark]
    ops = parse_settings(benchmark, settings)
    op = f"{benchmark}__checkpoint"
    require(
        set(ops) <= {op},
        "--set: expected settings of the stage checkpoint, such as checkpoint.steps=100; leave the "
        "others out",
    )
    chosen = parse_partitions(partitions, PARTITIONS.get_partition_keys(), VARIANTS.broken)
    given = ops.get(op, {"config": {}})["config"]
    names = [variant_and_seed(key)[0] for key in chosen]
    variants = [VARIANTS.known[name] for name in dict.fromkeys(names)]
    family = entry.origin.family
    require_settings("checkpoint", TrainingConfig, given, entry.recipe, variants, family)
    store: Store = (defs.resources or {})["store"].connect()
    require_made(store, benchmark, "examples")
    header = open_header(store.open(current_examples(store, benchmark)) / "train.zarr")
    config = configured(TrainingConfig, given)
    for key, name in zip(chosen, names, strict=True):
        variant, recipe = config.variant_of(VARIANTS.known[name]), config.recipe_of(entry.recipe)
        print(f"{benchmark} {key}: {plan(variant, recipe, header)}")
    return 0
