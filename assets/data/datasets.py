"""From base puzzles to stored examples."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl

from assets.benchmarks import Benchmark
from assets.common import (
    CODE,
    ShardsConfig,
    blocks,
    check_results,
    current_examples,
    folder_bytes,
    user_error,
)
from assets.data.checks import example_checks
from assets.data.puzzle_files import PuzzleFileError
from assets.families.origin import Augmented, Origin
from assets.reports.pictures import histogram, inline, markdown_frame, question_sheet
from assets.tables import AugmentedPuzzles
from storage.atomic import point, publish, staging
from storage.build import building
from storage.examples import LazyExamples, read_plan, write_examples, write_plan
from storage.layout import SPLITS, Layout
from storage.manifest import CorruptDataError, hash_file
from storage.shards import UploadError, upload_shards, write_shards
from storage.tables import TableError, read_file, read_metadata, write_file
from trm_model.errors import ConfigurationError
from trm_model.puzzles.plans import open_examples, plan_of
from trm_model.seeding import derive
from trm_model.version import code_version

SOURCES = "sources"
"""Key in the puzzle file's metadata: JSON with the hashes of the files it was made from and how
they were split."""
PUZZLES_PER_FILE = 1_000_000


def _described(split: str, augmented: Augmented) -> Iterator[pl.DataFrame]:
    """Rows of :class:`assets.tables.AugmentedPuzzles`, a bounded number at a time."""
    examples, groups = augmented.examples, augmented.groups
    for start in range(0, len(examples.puzzle_ids), PUZZLES_PER_FILE):
        puzzle = np.arange(start, min(start + PUZZLES_PER_FILE, len(examples.puzzle_ids)))
        group = np.searchsorted(examples.group_offsets, puzzle, side="right") - 1
        augmentation = puzzle - examples.group_offsets[group]
        of_group = groups[group].select("difficulty", "source", pl.col("name").alias("base"))
        names = (
            pl.Series(augmented.names[start : start + len(puzzle)])
            if augmented.names is not None
            else of_group.select(pl.format("{}#{}", "base", pl.Series(augmentation))).to_series()
        )
        yield of_group.with_columns(
            split=pl.lit(split),
            example=pl.Series(examples.example_offsets[puzzle]),
            examples=pl.Series(
                examples.example_offsets[puzzle + 1] - examples.example_offsets[puzzle]
            ),
            group=pl.Series(group),
            puzzle_id=pl.Series(examples.puzzle_ids[puzzle]),
            name=names,
            augmentation=pl.Series(augmentation),
        )


def describe_examples(folder: Path, split: str, groups: int | None) -> pl.DataFrame:
    """A row (split, example, puzzle, name, puzzle_id, difficulty) for each example of the first
    ``groups`` (None: all) of a split."""
    puzzles = pl.scan_parquet(sorted((folder / "puzzles").glob(f"{split}-*.parquet")))
    if groups is not None:
        puzzles = puzzles.filter(pl.col("group") < groups)
    example = pl.int_ranges("example", pl.col("example") + pl.col("examples"))
    described = puzzles.select(
        "split", example, pl.col("base").alias("puzzle"), "name", "puzzle_id", "difficulty"
    )
    return described.explode("example").collect()


def write_dataset(
    layout: Layout,
    benchmark: str,
    puzzles: pl.DataFrame,
    origin: Origin,
    *,
    augmentations: int,
    seed: int,
    online: bool = False,
    sources: dict[str, str] | None = None,
    workers: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Path, str]:
    """Augment and store a benchmark's puzzles; returns the folder, named after its content hash,
    and that hash.

    The folder appears whole; interrupted, a later call continues. Nothing is trained on it before
    ``current`` links to it, which is left to the caller, after the checks.

    :param online: store what the training examples are computed from in place of the examples.
    """
    sources = sources or {}
    settings = json.dumps(
        [augmentations, online, seed, sources, code_version(CODE)], sort_keys=True
    )
    key = hashlib.sha256(
        puzzles.hash_rows(seed=0).to_numpy().tobytes() + settings.encode()
    ).hexdigest()[:16]
    with building(layout.examples(benchmark), key, progress) as build:
        for split in SPLITS:
            augmented = origin.augmented(
                puzzles, split, augmentations, derive(seed, benchmark), sources
            )
            path = build.folder / f"{split}.zarr"
            if online and split == "train":
                write_plan(path, augmented.examples, plan_of(augmented.examples))
            else:
                write_examples(
                    path,
                    augmented.examples,
                    codec=origin.family.codec,
                    workers=workers,
                    finished=build.finished,
                    on_file=build.on_file,
                    progress=lambda done, total, split=split: progress(
                        f"{split}: {done} of {total} examples"
                    ),
                )
            for number, frame in enumerate(_described(split, augmented)):
                write_file(
                    build.folder / "puzzles" / f"{split}-{number:05d}.parquet",
                    AugmentedPuzzles,
                    frame,
                )
        write_file(build.folder / "base.parquet", origin.schema, puzzles)
        return build.publish()


# Asset bodies


def materialize_puzzles(
    context: dg.AssetExecutionContext,
    layout: Layout,
    name: str,
    benchmark: Benchmark,
    config: dg.Config | None,
) -> dg.MaterializeResult:
    origin = benchmark.origin
    started = time.monotonic()
    try:
        found = origin.puzzles(config, context.log.info)
        # Examples must be possible before anything is kept: no two tasks of one name, for instance.
        examples = origin.augmented(found.frame, "train", 0, 0, {}).examples
    except (PuzzleFileError, ConfigurationError) as error:
        raise user_error(error) from error
    made = time.monotonic() - started
    outcomes = origin.check_puzzles(found.frame)
    path = layout.puzzles(name)
    if blocks(benchmark, "puzzles", outcomes):
        # Kept to look at; nothing reads it.
        path = path.with_suffix(".refused.parquet")
    stored = write_file(
        path, origin.schema, found.frame, metadata={SOURCES: json.dumps(found.sources)}
    )
    context.log.info("wrote %d puzzles to %s", len(stored), path)
    by_split = {split: stored.filter(pl.col("split") == split) for split in SPLITS}
    sample = examples.rows(np.arange(min(5, len(by_split["train"]))))
    distributions = {
        column: histogram(
            {split: part[column].to_numpy() for split, part in by_split.items()}, label
        )
        for column, label in origin.distributions.items()
        if stored[column].n_unique() > 1
    }
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(stored),
            **{split: len(part) for split, part in by_split.items()},
            "puzzles_per_second": len(stored) / made,
            "bytes": path.stat().st_size,
            "path": dg.MetadataValue.path(str(path)),
            "sample": dg.MetadataValue.md(
                inline(question_sheet(origin.family, *sample), "puzzles and answers")
            ),
            **{
                column: dg.MetadataValue.md(inline(png, column))
                for column, png in distributions.items()
            },
            "rows": markdown_frame(
                stored.head(5).select(
                    "split",
                    "name",
                    pl.col("question", "answer").str.slice(0, 81),
                    "difficulty",
                    "source",
                )
            ),
            **({"sources": found.sources} if found.sources else {}),
        },
        data_version=dg.DataVersion(hash_file(path)[:16]),
        check_results=check_results(name, benchmark, "puzzles", outcomes),
    )


def materialize_examples(
    context: dg.AssetExecutionContext, layout: Layout, name: str, benchmark: Benchmark
) -> dg.MaterializeResult:
    path = layout.puzzles(name)
    if not path.exists():
        raise user_error(f"{path}: no puzzles yet; materialize {name}/puzzles first")
    origin = benchmark.origin
    try:
        file_hash = hash_file(path)
        puzzles = read_file(path, origin.schema)
        sources = {
            "puzzles": file_hash,
            "entry": benchmark.data_hash,
            **json.loads(read_metadata(path, SOURCES)),
        }
    except TableError as error:
        raise user_error(error) from error
    if hash_file(path) != file_hash:
        raise user_error(
            f"{path}: another run wrote it while it was read; materialize {name}/examples again"
        )
    started, told = time.monotonic(), 0.0

    def progress(text: str) -> None:
        nonlocal told
        if time.monotonic() - told > 10:
            told = time.monotonic()
            context.log.info(text)

    folder, content_hash = write_dataset(
        layout,
        name,
        puzzles,
        origin,
        augmentations=benchmark.augmentations,
        seed=origin.seed,
        online=benchmark.online,
        sources=sources,
        progress=progress,
    )
    written = time.monotonic()
    outcomes = example_checks(folder, origin.family)
    checked = time.monotonic()
    if not blocks(benchmark, "examples", outcomes):
        point(layout.current_examples(name), folder)
    online = benchmark.online
    splits = {
        split: (open_examples if online and split == "train" else LazyExamples)(
            folder / f"{split}.zarr"
        )
        for split in SPLITS
    }
    counts = {split: int(part.example_offsets[-1]) for split, part in splits.items()}
    sample = splits["train"].rows(np.arange(min(5, counts["train"])))
    length = splits["train"].header.length
    stored = sum(folder_bytes(folder / f"{split}.zarr") for split in SPLITS)
    context.log.info(
        "wrote %d examples in %.1f s to %s", sum(counts.values()), written - started, folder
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(counts.values()),
            **counts,
            "bytes": stored,
            "raw_over_stored": 2 * length * sum(counts.values()) / stored,
            "examples_per_second": sum(counts.values()) / (written - started),
            "checked_per_second": sum(counts.values()) / (checked - written),
            "path": dg.MetadataValue.path(str(folder)),
            "content_hash": content_hash,
            "sample": dg.MetadataValue.md(
                inline(question_sheet(origin.family, *sample), "the first training examples")
            ),
        },
        data_version=dg.DataVersion(content_hash[:16]),
        check_results=check_results(name, benchmark, "examples", outcomes),
    )


def materialize_shards(layout: Layout, name: str, config: ShardsConfig) -> dg.MaterializeResult:
    folder, target = current_examples(layout, name), layout.shards(name)
    try:
        hashes: dict[str, str] = {}
        with staging(target.parent) as temporary:
            for split in SPLITS:
                path = folder / f"{split}.zarr"
                (temporary / split).mkdir()
                hashes[split] = write_shards(
                    temporary / split,
                    LazyExamples(path) if read_plan(path) is None else open_examples(path),
                )
            publish(temporary, target)
        if config.url is not None:
            for split in SPLITS:
                upload_shards(target / split, f"{config.url}/{split}")
    except (CorruptDataError, UploadError) as error:
        raise user_error(error) from error
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(target)),
            **({"url": config.url} if config.url is not None else {}),
            "bytes": folder_bytes(target),
            "shards": len(list(target.rglob("*.tar"))),
            "content_hashes": hashes,
        },
        data_version=dg.DataVersion("-".join(h[:16] for h in hashes.values())),
    )
