"""What trainings take, said without starting any."""

from collections.abc import Sequence

from assets import keys
from assets.benchmarks import BENCHMARKS, Benchmark
from assets.configs import TrainingConfig, configured, require_settings
from assets.made import require_made
from assets.partitions import variant_and_seed
from assets.store import current_examples
from assets.titles import require_benchmark
from pipelines.definitions import PARTITIONS, VARIANTS
from pipelines.execute import open_store, parse_partitions, parse_settings
from storage.examples import Header, open_header
from trm_model.authors.published import PUBLISHED
from trm_model.errors import require
from trm_model.training.accelerators import expected
from trm_model.training.plan import plan


def tell_plans(benchmark: str, partitions: Sequence[str], settings: Sequence[str]) -> int:
    """Print what each training would take, a line each; returns the exit code.

    Where the recipe computes in bfloat16, as on GPUs, what it would take on some of them follows,
    and the figure that is published for the variant on these puzzles.

    :param partitions: keys ``VARIANT|SEED`` and ranges of them.
    :param settings: ``checkpoint.FIELD=VALUE``.
    :raises ConfigurationError: settings that cannot be, or no data set yet of a family whose puzzle
        table has as many rows as there are puzzles.
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
    header = _header(benchmark, entry)
    config = configured(TrainingConfig, given)
    for key, name in zip(chosen, names, strict=True):
        variant, recipe = config.variant_of(VARIANTS.known[name]), config.recipe_of(entry.recipe)
        takes = plan(variant, recipe, header, config.execution(recipe))
        print(f"{benchmark} {key}: {takes}")
        if recipe.precision == "bfloat16":
            for each in expected(variant, takes):
                print(f"  {each}")
        paper_name = entry.paper_name if name == entry.paper_variant else None
        figure = PUBLISHED.get((entry.published_as or "", paper_name or name))
        if figure is not None and entry.paper_variant is not None:
            print(f"  published: {figure.value:.1%} on {entry.published_as} ({figure.source})")
    return 0


def _header(benchmark: str, entry: Benchmark) -> Header:
    """Of the data set, or, where there is none yet, as the family makes it: all puzzles of most
    families share one puzzle row."""
    family = entry.origin.family
    store = open_store()
    made = store.follow(keys.current_examples(benchmark))
    if made is None and not family.votes:
        return Header(vocabulary=family.vocabulary, grid=family.grid)
    require_made(store, benchmark, "examples")
    return open_header(store.open(current_examples(store, benchmark)) / "train.zarr")
