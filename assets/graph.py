"""The assets of one benchmark, from puzzles to ablation table, and the leaderboard over all. One factory for every benchmark.

Bodies import torch, polars, matplotlib and numba themselves: loading the definitions stays fast.
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.benchmarks import Benchmark, GeneratedSudoku
from assets.partitions import variant_and_seed
from storage.layout import SPLITS, Layout
from trm_model.lifeline import PARENT_VARIABLE
from trm_model.variant import Variant
from trm_model.version import code_version

if TYPE_CHECKING:
    import polars as pl

    from assets.checks import Verdict

ACCELERATOR_POOL = "accelerator"
STAGES = ("puzzles", "examples", "shards", "checkpoint", "predictions", "scores", "ablation")
CHECKS: dict[str, dict[str, bool]] = {
    "puzzles": {"unique_solution": True, "label_solves_input": True, "clues_kept": True, "no_leakage": True},
    "examples": {"hash_matches_content": True, "label_solves_input": True, "clues_kept": True, "class_balance": False},
    "checkpoint": {"finite_loss": True},
    "scores": {"above_chance": False},
}
"""Checks of each stage: name -> whether a failure keeps what is downstream from running."""


class Store(dg.ConfigurableResource):
    """Where data, runs, tables and reports lie.

    :param root: a folder; relative to where Dagster was started.
    """

    root: str = "data"

    @property
    def layout(self) -> Layout:
        return Layout(Path(self.root).resolve())


class FileConfig(dg.Config):
    """Which file ``sudoku_csv`` reads, and its split (see :class:`assets.datasets.FileSplit`)."""

    path: str
    test_path: str | None = None
    test_share: float = 0.1
    train_puzzles: int | None = None
    test_puzzles: int | None = None
    seed: int = 0


class TrainingConfig(dg.Config):
    """Changes to the benchmark's recipe for one materialization, and how to run.

    :param steps, batch_size: in place of the recipe's.
    :param fresh: train again although the same training (configuration, data, code) is finished; a retry continues it.
    :param device: ``auto``: the first GPU, else the CPU.
    """

    steps: int | None = None
    batch_size: int | None = None
    fresh: bool = False
    device: str = "auto"
    checkpoint_seconds: float = 60.0
    log_steps: int = 50


class EvaluationConfig(dg.Config):
    """:param batch_size: examples evaluated together; :param limit: evaluate only the first so many test examples."""

    batch_size: int = 256
    limit: int | None = None


def user_error(message: object) -> dg.Failure:
    """A failure that a retry would not mend, shown as one line."""
    return dg.Failure(description=" ".join(str(message).split()), allow_retries=False)


def _check_specs(benchmark: str, stage: str) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(name, asset=dg.AssetKey([benchmark, stage]), blocking=blocking)
        for name, blocking in CHECKS.get(stage, {}).items()
    ]


def _check_results(benchmark: str, stage: str, verdicts: "Mapping[str, Verdict]") -> list[dg.AssetCheckResult]:
    return [
        dg.AssetCheckResult(
            asset_key=dg.AssetKey([benchmark, stage]),
            check_name=name,
            passed=verdict.passed,
            metadata=verdict.figures,
            severity=dg.AssetCheckSeverity.ERROR if CHECKS[stage][name] else dg.AssetCheckSeverity.WARN,
        )
        for name, verdict in verdicts.items()
    ]


def _markdown_frame(frame: "pl.DataFrame") -> dg.MetadataValue:
    from assets.reports import markdown_table

    rows = [{name: str(value) for name, value in row.items()} for row in frame.iter_rows(named=True)]
    return dg.MetadataValue.md(markdown_table(rows))


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _current(layout: Layout, benchmark: str) -> Path:
    link = layout.current_examples(benchmark)
    if not link.exists():
        raise user_error(f"{link}: no data set yet; materialize {benchmark}/examples first")
    return link.resolve()


def build_benchmark(name: str, benchmark: Benchmark, variants: Mapping[str, Variant], partitions: dg.MultiPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """All assets of one benchmark; keys are ``[name, stage]``.

    :param variants: by name; the first dimension of ``partitions``.
    """
    digits = benchmark.digits

    def asset(stage: str, **options: Any) -> Any:
        return dg.asset(
            key=[name, stage],
            group_name=name,
            code_version=code_version(),
            check_specs=_check_specs(name, stage),
            **options,
        )

    if isinstance(benchmark.source, GeneratedSudoku):
        source = benchmark.source

        @asset("puzzles", kinds={"polars"}, description=f"{benchmark.title}: base puzzles and answers, generated and checked.")
        def puzzles(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
            from assets.datasets import generated_puzzles

            return _write_puzzles(context, store.layout, name, generated_puzzles(source), digits, {})

    else:

        @asset("puzzles", kinds={"polars"}, description=f"{benchmark.title}: imported and checked. Needs a path in its config.")
        def puzzles(context: dg.AssetExecutionContext, config: FileConfig, store: Store) -> dg.MaterializeResult:
            from assets.datasets import FileSplit, imported_puzzles
            from assets.sudoku_csv import SourceError

            try:
                frame, hashes = imported_puzzles(FileSplit(**config.model_dump()), digits)
            except SourceError as error:
                raise user_error(error) from error
            return _write_puzzles(context, store.layout, name, frame, digits, hashes)

    @asset(
        "examples",
        kinds={"zarr"},
        deps=[puzzles],
        description="Puzzles with their stored augmentations as token grids in sharded, checksummed zarr; versions are kept by hash.",
    )
    def examples(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        return _write_examples(context, store.layout, name, benchmark)

    @asset("shards", kinds={"webdataset"}, deps=[examples], description="The same examples as webdataset tar shards, for streaming from a bucket.")
    def shards(store: Store) -> dg.MaterializeResult:
        return _write_shards(store.layout, name)

    @asset(
        "checkpoint",
        kinds={"torch"},
        deps=[examples],
        partitions_def=partitions,
        pool=ACCELERATOR_POOL,
        description="Trained weights. Training is a process of its own; a retry continues where it stopped.",
    )
    def checkpoint(
        context: dg.AssetExecutionContext, config: TrainingConfig, store: Store, pipes: dg.PipesSubprocessClient
    ) -> dg.MaterializeResult:
        return _train(context, config, store.layout, pipes, name, benchmark, variants)

    @asset(
        "predictions",
        kinds={"polars"},
        deps=[checkpoint, examples],
        partitions_def=partitions,
        description="Answers of the averaged weights to every test puzzle, after all supervision steps.",
    )
    def predictions(context: dg.AssetExecutionContext, config: EvaluationConfig, store: Store) -> dg.MaterializeResult:
        return _predict(context, config, store.layout, name, digits)

    @asset(
        "scores",
        kinds={"polars"},
        deps=[predictions],
        partitions_def=partitions,
        description="Accuracies with 95 % intervals and what they came from: checkpoint, data, code, configuration, run.",
    )
    def scores(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        return _score(context, store.layout, name, digits)

    @asset(
        "ablation",
        kinds={"polars"},
        deps=[scores],
        automation_condition=dg.AutomationCondition.eager().without(~dg.AutomationCondition.any_deps_missing()),
        description="Every variant trained so far beside the published figures, with learning curves; also as one HTML file.",
    )
    def ablation(store: Store) -> dg.MaterializeResult:
        return _report_ablation(store.layout, name, benchmark)

    return [puzzles, examples, shards, checkpoint, predictions, scores, ablation]


def build_leaderboard(benchmarks: Sequence[str]) -> dg.AssetsDefinition:
    """One table over all benchmarks."""

    @dg.asset(
        key="leaderboard",
        group_name="reports",
        deps=[dg.AssetKey([name, "ablation"]) for name in benchmarks],
        kinds={"polars"},
        code_version=code_version(),
        automation_condition=dg.AutomationCondition.eager().without(~dg.AutomationCondition.any_deps_missing()),
        description="Best results over all benchmarks, beside the published figures.",
    )
    def leaderboard(store: Store) -> dg.MaterializeResult:
        return _report_leaderboard(store.layout)

    return leaderboard


def _write_puzzles(
    context: dg.AssetExecutionContext, layout: Layout, name: str, frame: "pl.DataFrame", digits: int, hashes: dict[str, str]
) -> dg.MaterializeResult:
    import polars as pl

    from assets.checks import puzzle_checks
    from assets.datasets import grids
    from assets.pictures import histogram, inline, puzzle_sheet
    from storage.atomic import write_text
    from storage.manifest import hash_file
    from storage.tables import Puzzles, write_file
    from trm_model.puzzles import sudoku

    path = layout.puzzles(name)
    write_file(path, Puzzles, frame)
    write_text(path.with_suffix(".sources.json"), json.dumps(hashes, indent=1))
    stored = pl.read_parquet(path)
    context.log.info("wrote %d puzzles to %s", len(stored), path)
    few = stored.head(5)
    sheet = puzzle_sheet(grids(few, "question", digits), grids(few, "answer", digits), sudoku.SHAPES[digits])
    by_split = {split: stored.filter(pl.col("split") == split) for split in SPLITS}
    distributions = {
        column: histogram({split: part[column].to_numpy() for split, part in by_split.items()}, label)
        for column, label in (("difficulty", "difficulty (guesses of our solver)"), ("clues", "clues"))
    }
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(stored),
            **{split: len(part) for split, part in by_split.items()},
            "bytes": path.stat().st_size,
            "path": dg.MetadataValue.path(str(path)),
            "sample": dg.MetadataValue.md(inline(sheet, "puzzles and answers")),
            **{column: dg.MetadataValue.md(inline(png, column)) for column, png in distributions.items()},
            "rows": _markdown_frame(few.select("split", "name", "question", "answer", "clues", "difficulty")),
            **({"sources": hashes} if hashes else {}),
        },
        data_version=dg.DataVersion(hash_file(path)[:16]),
        check_results=_check_results(name, "puzzles", puzzle_checks(stored, digits)),
    )


def _write_examples(context: dg.AssetExecutionContext, layout: Layout, name: str, benchmark: Benchmark) -> dg.MaterializeResult:
    import polars as pl

    from assets.checks import example_checks
    from assets.datasets import sample_sheet, write_dataset
    from assets.pictures import inline, puzzle_sheet
    from storage.examples import read_examples
    from storage.manifest import hash_file
    from trm_model.puzzles import sudoku

    path = layout.puzzles(name)
    if not path.exists():
        raise user_error(f"{path}: no puzzles yet; materialize {name}/puzzles first")
    sources = {"puzzles": hash_file(path), **json.loads(path.with_suffix(".sources.json").read_text("utf-8"))}
    seed = benchmark.source.seed if isinstance(benchmark.source, GeneratedSudoku) else 0
    started, told = time.monotonic(), 0.0

    def progress(text: str) -> None:
        nonlocal told
        if time.monotonic() - told > 10:
            told = time.monotonic()
            context.log.info(text)

    folder, content_hash = write_dataset(
        layout,
        name,
        pl.read_parquet(path),
        digits=benchmark.digits,
        augmentations=benchmark.augmentations,
        seed=seed,
        sources=sources,
        progress=progress,
    )
    seconds = time.monotonic() - started
    splits = {split: read_examples(folder / f"{split}.zarr") for split in SPLITS}
    count = sum(len(split.inputs) for split in splits.values())
    raw = sum(split.inputs.nbytes + split.labels.nbytes for split in splits.values())
    stored = sum(_folder_bytes(folder / f"{split}.zarr") for split in SPLITS)
    context.log.info("wrote %d examples in %.1f s to %s", count, seconds, folder)
    sheet = puzzle_sheet(*sample_sheet(folder, "train", 5), sudoku.SHAPES[benchmark.digits])
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": count,
            **{split: len(part.inputs) for split, part in splits.items()},
            "bytes": stored,
            "raw_over_stored": raw / stored,
            "examples_per_second": count / seconds,
            "path": dg.MetadataValue.path(str(folder)),
            "content_hash": content_hash,
            "sample": dg.MetadataValue.md(inline(sheet, "examples: a puzzle and its first shuffled versions")),
        },
        data_version=dg.DataVersion(content_hash[:16]),
        check_results=_check_results(name, "examples", example_checks(folder, splits, benchmark.digits)),
    )


def _write_shards(layout: Layout, name: str) -> dg.MaterializeResult:
    from storage.atomic import publish, staging
    from storage.examples import read_examples
    from storage.shards import write_shards

    folder = _current(layout, name)
    hashes: dict[str, str] = {}
    for split in SPLITS:
        target = layout.shards(name, split)
        with staging(target.parent) as temporary:
            hashes[split] = write_shards(temporary, read_examples(folder / f"{split}.zarr"))
            publish(temporary, target)
    parent = layout.shards(name, SPLITS[0]).parent
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(parent)),
            "bytes": _folder_bytes(parent),
            "shards": len(list(parent.rglob("*.tar"))),
            "content_hashes": hashes,
        },
        data_version=dg.DataVersion("-".join(h[:16] for h in hashes.values())),
    )


def _train(
    context: dg.AssetExecutionContext,
    config: TrainingConfig,
    layout: Layout,
    pipes: dg.PipesSubprocessClient,
    name: str,
    benchmark: Benchmark,
    variants: Mapping[str, Variant],
) -> dg.MaterializeResult:
    from dataclasses import replace

    import polars as pl
    import torch

    from assets.checks import finite_loss
    from assets.pictures import inline, learning_curves
    from storage.atomic import point
    from storage.manifest import CorruptDataError, read_content_hash
    from storage.tables import Training, partition_path, write_file
    from trm_model.checkpoint import saved
    from trm_model.run import RunSpec
    from trm_model.train import FAILURE_FILE
    from trm_model.training import METRICS, Execution
    from trm_model.variant import ConfigurationError

    variant_name, seed = variant_and_seed(context.partition_key)
    folder = _current(layout, name)
    device = config.device if config.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    try:
        changes = {field: value for field in ("steps", "batch_size") if (value := getattr(config, field)) is not None}
        spec = RunSpec(
            benchmark=name,
            variant_name=variant_name,
            variant=variants[variant_name],
            recipe=replace(benchmark.recipe, **changes),
            seed=seed,
            data=str(folder),
            data_version=read_content_hash(folder),
            execution=Execution(
                device=device,
                log_steps=config.log_steps,
                checkpoint_seconds=config.checkpoint_seconds,
                compile=device.startswith("cuda"),
            ),
            device_lock=str(layout.lock(device)),
            attempt=(context.run.root_run_id or context.run_id) if config.fresh else "",
        )
    except (ConfigurationError, CorruptDataError) as error:
        raise user_error(error) from error
    run = layout.run(name, variant_name, seed, spec.key)
    run.mkdir(parents=True, exist_ok=True)
    spec.write(run)
    failure = run / FAILURE_FILE
    try:
        pipes.run(
            context=context,
            command=[sys.executable, "-m", "trm_model.train", str(run)],
            env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
        )
    except dg.DagsterPipesExecutionError:
        if failure.exists():
            raise user_error(failure.read_text("utf-8")) from None
        raise
    point(run.parent / "current", run)
    training = write_file(
        partition_path(layout.tables(), Training, name, variant_name, seed), Training, pl.read_ndjson(run / METRICS)
    )
    newest, last = saved(run)[-1], training.row(-1, named=True)
    curves = learning_curves(training.with_columns(variant=pl.lit(variant_name), seed=pl.lit(seed)))
    return dg.MaterializeResult(
        metadata={
            "steps": last["step"],
            "examples": last["examples"],
            "loss": last["loss"],
            "train_exact_accuracy": last["exact_accuracy"],
            "examples_per_second": last["examples"] / last["wall_seconds"],
            "wall_seconds": last["wall_seconds"],
            "device": device,
            "run": dg.MetadataValue.path(str(run)),
            "checkpoint": dg.MetadataValue.path(str(newest)),
            "config_hash": spec.config_hash,
            "data_hash": spec.data_version,
            "code_version": spec.code_version,
            "bytes": _folder_bytes(newest),
            "learning_curves": dg.MetadataValue.md(inline(curves, "learning curves")),
        },
        data_version=dg.DataVersion(read_content_hash(newest)[:16]),
        check_results=_check_results(name, "checkpoint", {"finite_loss": finite_loss(training)}),
    )


def _current_run(layout: Layout, name: str, variant: str, seed: int) -> Path:
    link = layout.run(name, variant, seed, "current")
    if not link.exists():
        raise user_error(f"{link}: nothing trained yet; materialize {name}/checkpoint, partition {variant}|{seed}, first")
    return link.resolve()


def _predict(
    context: dg.AssetExecutionContext, config: EvaluationConfig, layout: Layout, name: str, digits: int
) -> dg.MaterializeResult:
    import polars as pl
    import torch

    from assets.evaluation import prediction_table
    from assets.pictures import answer_sheet, inline
    from storage.examples import read_examples
    from storage.manifest import CorruptDataError, verify_manifest
    from storage.tables import Predictions, partition_path, write_file
    from trm_model import checkpoint as checkpoints
    from trm_model.batches import DeviceExamples
    from trm_model.evaluation import evaluate
    from trm_model.puzzles import sudoku
    from trm_model.run import RunSpec
    from trm_model.training import build

    variant, seed = variant_and_seed(context.partition_key)
    run = _current_run(layout, name, variant, seed)
    spec = RunSpec.read(run)
    folder = Path(spec.data)
    try:
        verify_manifest(folder)
        examples = read_examples(folder / "test.zarr")
        state = checkpoints.load(checkpoints.saved(run)[-1])
    except CorruptDataError as error:
        raise user_error(error) from error
    device = torch.device(spec.execution.device)
    reasoner = build(spec.variant, spec.recipe, examples.header, seed)
    reasoner.load_state_dict(state.evaluated)
    described = pl.read_parquet(folder / "puzzles.parquet").filter(pl.col("split") == "test").head(config.limit or len(examples.inputs))
    data = DeviceExamples(examples, device)
    told = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > 10 or done == total:
            told = time.monotonic()
            context.log.info("evaluated %d of %d test puzzles", done, total)

    started = time.monotonic()
    result = evaluate(
        reasoner.to(device).eval(),
        data,
        max_steps=spec.recipe.max_steps,
        batch_size=config.batch_size,
        limit=len(described),
        progress=progress,
    )
    seconds = time.monotonic() - started
    table = write_file(
        partition_path(layout.tables(), Predictions, name, variant, seed), Predictions, prediction_table(result, described)
    )
    steps = sorted({1, 2, 4, spec.recipe.max_steps})
    # The hardest ones the picture can show: those solved late or not at all.
    late = (-result.solved.sum(axis=1)).argsort(kind="stable")[::-1][:4]
    picture = answer_sheet(
        sudoku.from_tokens(examples.inputs[late]),
        sudoku.from_tokens(examples.labels[late]),
        sudoku.from_tokens(result.predictions[late][:, [step - 1 for step in steps]]),
        steps,
        sudoku.SHAPES[digits],
    )
    picture_path = layout.report(name) / f"answers-{variant}-{seed}.png"
    _write_bytes(picture_path, picture)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(table),
            "solved": float(table["solved"].mean()),  # type: ignore[arg-type]
            "examples_per_second": len(table) / seconds,
            "step": state.progress.step,
            "answers": dg.MetadataValue.md(inline(picture, "hard puzzles and the answer after each step")),
            "picture": dg.MetadataValue.path(str(picture_path)),
        }
    )


def _write_bytes(path: Path, data: bytes) -> None:
    from storage.atomic import new_file

    with new_file(path) as temporary:
        temporary.write_bytes(data)


def _score(context: dg.AssetExecutionContext, layout: Layout, name: str, digits: int) -> dg.MaterializeResult:
    from datetime import UTC, datetime

    import polars as pl

    from assets.checks import above_chance
    from assets.evaluation import score_rows
    from storage.tables import Predictions, Scores, partition_path, write_file
    from trm_model.checkpoint import saved
    from trm_model.run import RunSpec

    variant, seed = variant_and_seed(context.partition_key)
    path = partition_path(layout.tables(), Predictions, name, variant, seed)
    if not path.exists():
        raise user_error(f"{path}: no predictions yet; materialize {name}/predictions, partition {variant}|{seed}, first")
    run = _current_run(layout, name, variant, seed)
    spec, newest = RunSpec.read(run), saved(run)[-1]
    frame = pl.DataFrame(score_rows(pl.read_parquet(path)), infer_schema_length=None).with_columns(
        split=pl.lit("test"),
        step=pl.lit(int(newest.name.removeprefix("step-"))),
        checkpoint=pl.lit(newest.relative_to(layout.root).as_posix()),
        data_version=pl.lit(spec.data_version),
        code_version=pl.lit(spec.code_version),
        config_hash=pl.lit(spec.config_hash),
        run_id=pl.lit(context.run_id),
        created_at=pl.lit(datetime.now(UTC).isoformat(timespec="seconds")),
    )
    table = write_file(partition_path(layout.tables(), Scores, name, variant, seed), Scores, frame)
    exact = table.row(by_predicate=pl.col("metric") == "exact_accuracy", named=True)
    return dg.MaterializeResult(
        metadata={
            "exact_accuracy": exact["value"],
            "interval": f"{exact['low']:.4f} to {exact['high']:.4f}",
            "n": exact["n"],
            "scores": _markdown_frame(table.select("metric", "k", "value", "low", "high", "n")),
        },
        check_results=_check_results(name, "scores", {"above_chance": above_chance(table, digits)}),
    )


def _report_ablation(layout: Layout, name: str, benchmark: Benchmark) -> dg.MaterializeResult:
    import polars as pl

    from assets import pictures, reports
    from storage.atomic import write_text
    from storage.examples import open_header
    from storage.tables import Ablation, Scores, Training, partition_path, scan, write_file
    from trm_model.run import RunSpec
    from trm_model.training import build

    try:
        scores = scan(layout.tables(), Scores).filter(pl.col("benchmark") == name).collect()
    except FileNotFoundError as error:
        raise user_error(error) from error
    if scores.is_empty():
        raise user_error(f"{name}: no scores yet; materialize {name}/scores for at least one partition first")
    training = scan(layout.tables(), Training).filter(pl.col("benchmark") == name).collect()
    costs: dict[str, reports.Cost] = {}
    for variant in scores["variant"].unique().sort():
        seed = int(scores.filter(pl.col("variant") == variant)["seed"][0])
        run = _current_run(layout, name, variant, seed)
        spec = RunSpec.read(run)
        model = build(spec.variant, spec.recipe, open_header(Path(spec.data) / "train.zarr"), 0)
        last = training.filter(pl.col("variant") == variant).group_by("seed").agg(pl.col("wall_seconds", "examples").last())
        costs[variant] = reports.Cost(
            model.num_parameters,
            spec.variant.depth,
            1,
            float(last["wall_seconds"].mean()),  # type: ignore[arg-type]
            float(last["examples"].mean()),  # type: ignore[arg-type]
        )
    table = write_file(
        partition_path(layout.tables(), Ablation, name), Ablation, reports.ablation_table(scores, costs, benchmark.published_as)
    )
    rows = reports.readable(table)
    images = {
        "Learning curves": pictures.learning_curves(training),
        "Accuracy after each supervision step": pictures.depth_curves(scores),
    }
    notes = [
        f"{benchmark.title}. Share of test puzzles solved exactly; mean over seeds with its 95 % interval (of one seed: over the test set).",
        "Published figures are the papers' on Sudoku-Extreme with 5 to 27 million parameters: other data, other sizes, another budget. "
        "They show the papers' order, not a target for this benchmark.",
    ]
    page = layout.report(name) / "ablation.html"
    write_text(
        page,
        reports.html_page(f"Ablation: {name}", notes, rows, {title: pictures.data_uri(png) for title, png in images.items()}),
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(table),
            "trained_variants": len(costs),
            "table": dg.MetadataValue.md(reports.markdown_table(rows)),
            **{title.lower().replace(" ", "_"): dg.MetadataValue.md(pictures.inline(png, title)) for title, png in images.items()},
            "html": dg.MetadataValue.path(str(page)),
        }
    )


def _report_leaderboard(layout: Layout) -> dg.MaterializeResult:
    import polars as pl

    from assets import reports
    from storage.atomic import write_text
    from storage.tables import Ablation, scan

    try:
        table = scan(layout.tables(), Ablation).filter(pl.col("ours").is_not_null()).collect()
    except FileNotFoundError as error:
        raise user_error(error) from error
    table = table.sort("benchmark", "ours", descending=[False, True])
    rows = reports.readable(table, leading=["benchmark"])
    page = layout.report("leaderboard.html")
    write_text(page, reports.html_page("Leaderboard", ["Every variant trained here, best first for each benchmark."], rows, {}))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(table),
            "table": dg.MetadataValue.md(reports.markdown_table(rows)),
            "html": dg.MetadataValue.path(str(page)),
        }
    )
