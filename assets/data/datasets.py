"""The assets of a benchmark's data: base puzzles, stored examples, webdataset shards."""

import hashlib
import json
import posixpath
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl

from assets import keys
from assets.benchmarks import Benchmark
from assets.checks import blocks, check_results, checks_of
from assets.configs import ExamplesConfig, ShardsConfig
from assets.data.checks import example_checks, same_examples
from assets.failures import user_error
from assets.families.origin import Augmented, Imported, Origin
from assets.families.puzzle_files import PuzzleFileError
from assets.outcomes import Check, CheckOutcome
from assets.pages import markdown, pictures
from assets.progress import MADE, progress_of, spaced
from assets.stages import making
from assets.store import current_examples, folder_bytes
from assets.tables import AugmentedPuzzles
from storage.build import building
from storage.examples import (
    SPLITS,
    VALIDATION,
    ExampleSet,
    LazyExamples,
    write_examples,
    write_plan,
)
from storage.manifest import hash_file
from storage.shards import SHARDS, upload_shards, write_shards
from storage.store import Store
from storage.tables import publish_file, read_file, read_metadata, write_file
from trm_model.errors import ConfigurationError, require
from trm_model.puzzles.plans import open_examples, plan_of
from trm_model.seeding import derive
from trm_model.version import code_version

SOURCES = "sources"
"""Key in the puzzle file's metadata: JSON with the hashes of the files it was made from and how
they were split."""
PUZZLES_PER_FILE = 1_000_000
"""Rows of :class:`assets.tables.AugmentedPuzzles` that one file holds at most."""


def _described(split: str, augmented: Augmented) -> Iterator[pl.DataFrame]:
    """Rows of :class:`assets.tables.AugmentedPuzzles`, a bounded number at a time."""
    made, groups = augmented.examples, augmented.groups
    for start in range(0, len(made.puzzle_ids), PUZZLES_PER_FILE):
        puzzle = np.arange(start, min(start + PUZZLES_PER_FILE, len(made.puzzle_ids)))
        group = np.searchsorted(made.group_offsets, puzzle, side="right") - 1
        augmentation = puzzle - made.group_offsets[group]
        of_group = groups[group].select("difficulty", "source", pl.col("name").alias("base"))
        names = (
            pl.Series(augmented.names[start : start + len(puzzle)])
            if augmented.names is not None
            else of_group.select(pl.format("{}#{}", "base", pl.Series(augmentation))).to_series()
        )
        yield of_group.with_columns(
            split=pl.lit(split),
            example=pl.Series(made.example_offsets[puzzle]),
            examples=pl.Series(made.example_offsets[puzzle + 1] - made.example_offsets[puzzle]),
            group=pl.Series(group),
            puzzle_id=pl.Series(made.puzzle_ids[puzzle]),
            name=names,
            augmentation=pl.Series(augmentation),
        )


def describe_examples(
    folder: Path, split: str, groups: int | None, versions: int | None = None
) -> pl.DataFrame:
    """A row (split, example, puzzle, name, puzzle_id, difficulty) for each example of a split.

    :param groups: of its first so many groups; None: of all of them.
    :param versions: of the first so many versions of each puzzle, the puzzle itself included;
        None: of all of them.
    """
    files = sorted((folder / "puzzles").glob(f"{split}-*.parquet"))
    puzzles = pl.scan_parquet(files, glob=False)
    if groups is not None:
        puzzles = puzzles.filter(pl.col("group") < groups)
    if versions is not None:
        puzzles = puzzles.filter(pl.col("augmentation") < versions)
    example = pl.int_ranges("example", pl.col("example") + pl.col("examples"))
    described = puzzles.select(
        "split", example, pl.col("base").alias("puzzle"), "name", "puzzle_id", "difficulty"
    )
    return described.explode("example").collect()


def write_dataset(
    store: Store,
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
) -> tuple[str, str]:
    """Augment and store a benchmark's puzzles; returns the key of the data set's folder, which is
    named after its content hash, and that hash.

    The folder appears whole. After an interruption, a later call continues from the finished
    shards. Nothing is trained on the data set before the pointer ``current`` names it, which is
    left to the caller, after the checks.

    :param augmentations: versions of each training puzzle besides itself.
    :param online: store what the training examples are computed from in place of the examples.
    :param sources: hashes of what the puzzles came from, kept in the header.
    :param workers: threads; the bytes do not depend on their number.
    :raises OSError: the disk refuses.
    """
    sources = sources or {}
    settings = json.dumps(
        [augmentations, online, seed, sources, code_version(__name__)], sort_keys=True
    )
    key = hashlib.sha256(
        puzzles.hash_rows(seed=0).to_numpy().tobytes() + settings.encode()
    ).hexdigest()[:16]
    with building(store, keys.examples(benchmark), key, progress) as build:
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


def find_further(
    found: Imported,
    origin: Origin,
    declared: Mapping[str, Check],
    count: int,
    log: Callable[[str], None],
) -> pl.DataFrame:
    """Up to ``count`` further puzzles that pass the ``declared`` checks, as test puzzles; none
    where there are no others. Where they are bad, there are none either, and ``log`` is told: the
    data do not depend on them."""
    none = found.frame.clear()
    if found.further is None or count == 0:
        return none
    try:
        further = found.further(count).with_columns(split=pl.lit("test"))
    except (ConfigurationError, PuzzleFileError) as error:
        log(f"no puzzles to validate trainings with: {error}")
        return none
    outcomes = {} if further.is_empty() else origin.check_puzzles(further)
    if blocks(declared, outcomes):
        failed = ", ".join(name for name, outcome in outcomes.items() if not outcome.passed)
        log(f"no puzzles to validate trainings with: those found fail {failed}")
        return none
    return further


def write_validation(
    store: Store,
    benchmark: str,
    puzzles: pl.DataFrame,
    further: pl.DataFrame,
    origin: Origin,
    data: str,
    *,
    augmentations: int,
    seed: int,
) -> None:
    """Store the examples of ``further`` puzzles, with which trainings on a data set are tested on
    the way, and let the data set's pointer name them.

    :param data: key of the data set, which was made of the table ``puzzles`` with these
        ``augmentations`` and this ``seed``.
    """
    sources = {"examples": posixpath.basename(data)}
    examples = origin.validation(puzzles, further, augmentations, derive(seed, benchmark), sources)
    key = hashlib.sha256(
        further.hash_rows(seed=0).to_numpy().tobytes()
        + json.dumps([sources, code_version(__name__)], sort_keys=True).encode()
    ).hexdigest()[:16]
    with building(store, keys.validation(benchmark), key) as build:
        write_examples(build.folder / VALIDATION, examples, codec=origin.family.codec)
        target, _ = build.publish()
    store.point(keys.validation_of(benchmark, data), target)


def open_split(folder: Path, split: str) -> ExampleSet:
    """A split of a data set, read or computed example by example as they are asked for."""
    return open_examples(folder / f"{split}.zarr", LazyExamples)


# Asset bodies


def materialize_puzzles(
    context: dg.AssetExecutionContext,
    store: Store,
    name: str,
    benchmark: Benchmark,
    config: dg.Config | None,
) -> dg.MaterializeResult:
    origin = benchmark.origin
    store.require_writable(keys.puzzles(name))
    started = time.monotonic()
    found = origin.puzzles(config, context.log.info)
    # Examples must be possible before anything is kept: no two tasks of one name, for instance.
    source = origin.augmented(found.frame, "train", 0, 0, {}).examples
    made = time.monotonic() - started
    declared = checks_of("puzzles", benchmark)
    outcomes = origin.check_puzzles(found.frame)
    refused = blocks(declared, outcomes)
    key = keys.refused_puzzles(name) if refused else keys.puzzles(name)
    stored = publish_file(
        store, key, origin.schema, found.frame, metadata={SOURCES: json.dumps(found.sources)}
    )
    path = store.open(key)
    file_hash = hash_file(path)
    if not refused:
        further = find_further(found, origin, declared, benchmark.validation, context.log.info)
        publish_file(store, keys.further_puzzles(name, file_hash), origin.schema, further)
    by_split = {split: stored.filter(pl.col("split") == split) for split in SPLITS}
    sample = source.rows(np.arange(min(5, len(by_split["train"]))))
    distributions = {
        column: pictures.histogram(
            {split: part[column].to_numpy() for split, part in by_split.items()}, label
        )
        for column, label in origin.distributions.items()
        if stored[column].n_unique() > 1
    }
    first_rows = stored.head(5).select(
        "split", "name", pl.col("question", "answer").str.slice(0, 81), "difficulty", "source"
    )
    return dg.MaterializeResult(
        metadata={
            MADE: f"{len(stored):,} puzzles{', refused by a check,' if refused else ''} in {path}",
            "dagster/row_count": len(stored),
            **{split: len(part) for split, part in by_split.items()},
            "puzzles_per_second": len(stored) / made,
            "bytes": path.stat().st_size,
            "path": dg.MetadataValue.path(str(path)),
            "sample": markdown.picture(
                pictures.png(pictures.question_sheet(origin.family, *sample)),
                "puzzles and answers",
            ),
            **{
                column: markdown.picture(pictures.png(figure), column)
                for column, figure in distributions.items()
            },
            "rows": markdown.frame(first_rows),
            **({"sources": found.sources} if found.sources else {}),
        },
        data_version=dg.DataVersion(file_hash[:16]),
        check_results=check_results([name, "puzzles"], declared, outcomes),
    )


def materialize_examples(
    context: dg.AssetExecutionContext,
    config: ExamplesConfig,
    store: Store,
    name: str,
    benchmark: Benchmark,
) -> dg.MaterializeResult:
    if config.augmentations is not None:
        # Recorded as of another entry: a later run without the change makes the entry's data.
        benchmark = replace(benchmark, augmentations=config.augmentations)
    path = store.open(keys.puzzles(name))
    if not path.exists():
        raise user_error(f"{path}: no puzzles yet; first: {making('puzzles', name)}")
    origin = benchmark.origin
    file_hash = hash_file(path)
    puzzles = read_file(path, origin.schema)
    sources = {
        "puzzles": file_hash,
        "entry": benchmark.data_hash,
        **json.loads(read_metadata(path, SOURCES)),
    }
    if hash_file(path) != file_hash:
        raise user_error(
            f"{path}: another run wrote it while it was read; make them again: "
            f"{making('examples', name)}"
        )
    started = time.monotonic()
    key, content_hash = write_dataset(
        store,
        name,
        puzzles,
        origin,
        augmentations=benchmark.augmentations,
        seed=origin.seed,
        online=benchmark.online,
        sources=sources,
        progress=spaced(progress_of(context.log)),
    )
    folder = store.open(key)
    written = time.monotonic()
    declared = checks_of("examples", benchmark)
    outcomes = example_checks(folder, origin.family)
    checked = time.monotonic()
    validation = 0
    if not blocks(declared, outcomes):
        others = store.open(keys.further_puzzles(name, file_hash))
        further = read_file(others, origin.schema) if others.exists() else puzzles.clear()
        validation = len(further)
        if validation:
            write_validation(
                store,
                name,
                puzzles,
                further,
                origin,
                key,
                augmentations=benchmark.augmentations,
                seed=origin.seed,
            )
        store.point(keys.current_examples(name), key)
    splits = {split: open_split(folder, split) for split in SPLITS}
    counts = {split: int(source.example_offsets[-1]) for split, source in splits.items()}
    total = sum(counts.values())
    sample = splits["train"].rows(np.arange(min(5, counts["train"])))
    length = splits["train"].header.length
    stored = sum(folder_bytes(folder / f"{split}.zarr") for split in SPLITS)
    return dg.MaterializeResult(
        metadata={
            MADE: f"{total:,} examples in {folder}",
            "dagster/row_count": total,
            **counts,
            "validation": validation,
            "bytes": stored,
            "raw_over_stored": 2 * length * total / stored,
            "examples_per_second": total / (written - started),
            "checked_per_second": total / (checked - written),
            "path": dg.MetadataValue.path(str(folder)),
            "content_hash": content_hash,
            "sample": markdown.picture(
                pictures.png(pictures.question_sheet(origin.family, *sample)),
                "the first training examples",
            ),
        },
        data_version=dg.DataVersion(content_hash[:16]),
        check_results=check_results([name, "examples"], declared, outcomes),
    )


def materialize_shards(store: Store, name: str, config: ShardsConfig) -> dg.MaterializeResult:
    folder = store.open(current_examples(store, name))
    key = keys.shards(name)
    splits = {split: open_split(folder, split) for split in SPLITS}
    for split, examples in splits.items():
        puzzles = len(examples.puzzle_ids)
        require(
            (config.count or 1) <= puzzles,
            f"count={config.count}: expected at most {puzzles}, the puzzles of the {split} split, "
            "since none is divided; give a smaller shards.count",
        )
    hashes: dict[str, str] = {}
    with store.publish(key) as temporary:
        for split, examples in splits.items():
            (temporary / split).mkdir()
            hashes[split] = write_shards(temporary / split, examples, count=config.count or SHARDS)
    target = store.open(key)
    counts = {split: len(list((target / split).glob("*.tar"))) for split in SPLITS}
    written = ", ".join(f"{count} {split}" for split, count in counts.items())
    if config.url is not None:
        for split in SPLITS:
            upload_shards(target / split, f"{config.url}/{split}")
    copied = f" and in {config.url}" if config.url is not None else ""
    return dg.MaterializeResult(
        metadata={
            MADE: f"{written} shards in {target}{copied}",
            "path": dg.MetadataValue.path(str(target)),
            **({"url": config.url} if config.url is not None else {}),
            "bytes": folder_bytes(target),
            "shards": sum(counts.values()),
            **{f"{split}_shards": count for split, count in counts.items()},
            "content_hashes": hashes,
        },
        data_version=dg.DataVersion("-".join(h[:16] for h in hashes.values())),
    )


# Checks of what is stored


def check_puzzles(store: Store, name: str, benchmark: Benchmark) -> dict[str, CheckOutcome]:
    """The origin's checks of the stored puzzles."""
    puzzles = read_file(store.open(keys.puzzles(name)), benchmark.origin.schema)
    return benchmark.origin.check_puzzles(puzzles)


def check_examples(store: Store, name: str, benchmark: Benchmark) -> dict[str, CheckOutcome]:
    """The checks of the current data set."""
    return example_checks(store.open(current_examples(store, name)), benchmark.origin.family)


def check_shards(store: Store, name: str) -> dict[str, CheckOutcome]:
    """Whether the shards are those of the current data set."""
    folder = store.open(current_examples(store, name))
    stored = {split: open_split(folder, split) for split in SPLITS}
    return {"same_examples": same_examples(store.open(keys.shards(name)), stored)}
