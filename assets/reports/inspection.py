"""A look into what is trained, on a few test puzzles."""

from collections.abc import Sequence

import dagster as dg
import numpy as np
import polars as pl

from assets import keys
from assets.benchmarks import Benchmark
from assets.configs import InspectionConfig
from assets.latest import latest
from assets.outcomes import CheckOutcome
from assets.pages import markdown, pictures
from assets.pages.links import links
from assets.partitions import variant_and_seed
from assets.progress import MADE
from assets.store import current_run, data_of, hold_device
from assets.tables import Predictions, Residuals, of_run, stamped
from storage.examples import DATA_AGAIN, ExampleSet
from storage.manifest import verify_manifest
from storage.store import Store
from storage.tables import partition_key, publish_partition, read_file, scan
from trm_model.devices import resolve_device
from trm_model.inspection.failures import Failure, failure, failure_sheet
from trm_model.inspection.inspection import Inspection, figure, inspect_examples
from trm_model.puzzles.plans import open_examples
from trm_model.solving.loading import load
from trm_model.training.folders import saved, step_reached
from trm_model.training.process import DEVICE_SECONDS
from trm_model.training.run import RunSpec


def residual_table(found: Inspection, examples: Sequence[int]) -> pl.DataFrame:
    """Rows of :class:`assets.tables.Residuals`, without what all of them have in common."""
    numbers = dict(zip(found.names, examples, strict=True))
    return pl.DataFrame(list(found.residuals())).select(
        pl.col("puzzle").replace_strict(numbers, return_dtype=pl.Int64).alias("example"),
        pl.col("step").alias("supervision_step"),
        "call",
        "feature",
        "residual",
    )


def materialize_inspection(
    context: dg.AssetExecutionContext,
    config: InspectionConfig,
    store: Store,
    name: str,
    benchmark: Benchmark,
) -> dg.MaterializeResult:
    """Look into the run trained last."""
    variant, seed = variant_and_seed(context.partition_key)
    run_key = current_run(store, name, variant, seed)
    run = store.open(run_key)
    spec = RunSpec.read(run)
    folder = data_of(store, spec)
    verify_manifest(folder, DATA_AGAIN)
    model = load(run, device=config.device, kind=benchmark.origin.family.name)
    evaluation = model.evaluation(depth=config.depth)
    examples = open_examples(folder / f"{evaluation.split}.zarr")
    with hold_device(
        store,
        resolve_device(config.device),
        label=f"inspecting {name} {context.partition_key}",
        wait_seconds=DEVICE_SECONDS,
        say=context.log.info,
    ):
        found = inspect_examples(
            model, examples, config.examples, evaluation=evaluation, layers=config.layers
        )
    newest = saved(run)[-1]
    table = publish_partition(
        store,
        Residuals,
        stamped(
            residual_table(found, config.examples),
            **of_run(spec, run.name),
            checkpoint=f"{run_key}/{newest.relative_to(run).as_posix()}",
            step=step_reached(run),
        ),
    )
    drawn = {
        number: pictures.png(figure(found, place)) for place, number in enumerate(config.examples)
    }
    files = {
        number: keys.inspection_picture(name, variant, seed, run.name, number) for number in drawn
    }
    for number, picture in drawn.items():
        with store.publish_file(files[number]) as temporary:
            temporary.write_bytes(picture)
    unsolved = _failures(store, spec, run.name, examples, config.failures)
    shown: dict[str, dg.MetadataValue] = {}
    if unsolved:
        sheet = pictures.png(failure_sheet(model.family, unsolved))
        shown["failures"] = markdown.picture(sheet, "test puzzles that are not solved")
    first = store.open(files[config.examples[0]])
    return dg.MaterializeResult(
        metadata={
            MADE: f"what happens inside on {len(drawn)} test puzzles, as pictures in "
            f"{first.parent}",
            "dagster/row_count": len(table),
            "readings": dg.MetadataValue.md(markdown.table(list(found.readings()))),
            **{
                f"example_{number}": markdown.picture(picture, f"example {number}")
                for number, picture in drawn.items()
            },
            **shown,
            **links(store, picture=files[config.examples[0]]),
        }
    )


def _failures(
    store: Store, spec: RunSpec, run: str, examples: ExampleSet, most: int
) -> list[Failure]:
    """The first test puzzles of the run's latest predictions that are not solved."""
    of_run = pl.col("run") == run
    table = scan(store, Predictions).filter(of_run, benchmark=spec.benchmark).collect()
    rows = latest(table, "run").filter(~pl.col("solved")).sort("example").head(most)
    inputs, labels = examples.rows(rows["example"].to_numpy())
    return [
        failure(number, question, np.frombuffer(answer, np.uint8), label, examples.header)
        for number, answer, question, label in zip(
            rows["example"], rows["prediction"], inputs, labels, strict=True
        )
    ]


def check_inspection(store: Store, name: str, variant: str, seed: int) -> dict[str, CheckOutcome]:
    """Whether the figures of the run trained last are whole."""
    run = store.open(current_run(store, name, variant, seed)).name
    table = read_file(store.open(partition_key(Residuals, name, variant, seed, run)), Residuals)
    made = table.group_by("example").agg(pl.struct("supervision_step", "call").n_unique())
    wanted = pl.col("supervision_step").max() * pl.col("call").max()
    calls = int(table.select(wanted).item())
    whole = bool((made["supervision_step"] == calls).all())
    return {
        "every_call": CheckOutcome(
            whole and len(table) == len(made) * calls, {"puzzles": len(made), "calls": calls}
        )
    }
