"""What trainings take, said without starting any."""

import json
from collections.abc import Sequence

from assets import keys
from assets.benchmarks import BENCHMARKS
from assets.configs import TrainingConfig, configured, require_settings
from assets.made import require_made
from assets.partitions import variant_and_seed
from assets.store import current_examples
from assets.titles import require_benchmark
from pipelines.definitions import PARTITIONS, VARIANTS
from pipelines.execute import parse_partitions, parse_settings
from pipelines.resources import open_store
from storage.examples import Header, open_header
from storage.store import Store
from trm_model.authors.published import figure_of
from trm_model.choices import settings_of
from trm_model.errors import require
from trm_model.model.variant import Variant
from trm_model.puzzles.plans import stored_examples
from trm_model.training.accelerators import expected
from trm_model.training.execution import Execution
from trm_model.training.plan import plan
from trm_model.training.recipe import Recipe
from trm_model.training.this_cpu import expected_here


def tell_plans(
    benchmark: str, partitions: Sequence[str], settings: Sequence[str], *, recipes: bool = False
) -> int:
    """Print what each training would take, a line each; returns the exit code.

    What :func:`tell_plan` adds follows.

    :param partitions: keys ``VARIANT|SEED`` and ranges of them.
    :param settings: ``checkpoint.FIELD=VALUE``.
    :param recipes: print every setting of the recipe and of the variant, too.
    :raises ConfigurationError: settings that cannot be, or what :func:`planned_data` raises.
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
    require_settings(
        "checkpoint", TrainingConfig, given, entry.recipe, variants, family, here=False
    )
    header, examples = planned_data(open_store(), benchmark)
    config = configured(TrainingConfig, given)
    for key, name in zip(chosen, names, strict=True):
        variant, recipe = config.variant_of(VARIANTS.known[name]), config.recipe_of(entry.recipe)
        # A figure of a paper stands beside what reproduces it alone.
        paper_name = entry.paper_name if name == entry.paper_variant else name
        of = entry.published_as if entry.paper_variant is not None else None
        figure = figure_of(of or "", paper_name or name)
        print(f"{benchmark} {key}: ", end="")
        tell_plan(variant, recipe, header, config.planned(recipe), examples, figure)
        if recipes:
            _tell_settings(variant, recipe)
    return 0


def _tell_settings(variant: Variant, recipe: Recipe) -> None:
    """Print what decides about the result of a training, a line each, as ``--set`` takes it."""
    for path, value in (*settings_of(recipe, "recipe"), *settings_of(variant, "variant")):
        # How a model is evaluated is set at the stage predictions.
        if not path.startswith("variant.evaluation."):
            shown = value if isinstance(value, str) else json.dumps(value)
            print(f"  checkpoint.{path}={shown}")


def tell_plan(
    variant: Variant,
    recipe: Recipe,
    header: Header,
    execution: Execution,
    examples: int,
    figure: str | None,
) -> None:
    """Print what a training takes, a line; how long that is here, on a CPU; where the recipe
    computes in bfloat16, as on GPUs, what it would take on some of them; and the figure that is
    published for it, if there is one.

    :param examples: see :func:`trm_model.training.memory.memory_bytes`.
    """
    takes = plan(variant, recipe, header, execution, examples=examples)
    print(takes)
    if execution.device == "cpu" and recipe.precision == "float32":
        print(f"  {expected_here(takes)}")
    if recipe.precision == "bfloat16":
        for each in expected(variant, recipe, header, execution, examples):
            print(f"  {each}")
    if figure is not None:
        print(f"  published, by the authors' own recipe: {figure}")


def planned_data(store: Store, benchmark: str) -> tuple[Header, int]:
    """Of the benchmark's data set the header and how many examples are stored, or, where there is
    none yet, as the family makes it, with the most puzzle rows and, if they are known, the most
    examples that it may have.

    :raises ConfigurationError: there is none yet, and the puzzles' files decide how many rows it
        has.
    """
    entry = BENCHMARKS[benchmark]
    family, rows = entry.origin.family, None
    if store.follow(keys.current_examples(benchmark)) is None:
        rows = entry.origin.most_puzzle_rows(entry.augmentations)
    if rows is None:
        require_made(store, benchmark, "examples")
        train = store.open(current_examples(store, benchmark)) / "train.zarr"
        return open_header(train), stored_examples(train)
    examples = 0 if entry.online else entry.origin.most_examples(entry.augmentations)
    if rows > 1:
        most = f"{examples:,} examples and " * (examples > 0)
        print(f"{benchmark}: no data set yet: at most {most}{rows:,} puzzle rows")
    return Header(vocabulary=family.vocabulary, grid=family.grid, num_puzzle_ids=rows), examples
