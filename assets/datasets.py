"""From a benchmark's source to validated puzzles, and from those to stored examples."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl

from assets.benchmarks import Benchmark, GeneratedSudoku
from assets.checks import example_checks, puzzle_checks
from assets.common import FileConfig, blocks, check_results, current_examples, folder_bytes, user_error
from assets.grids import grids
from assets.pictures import histogram, inline, markdown_frame, puzzle_sheet
from assets.sudoku_csv import SourceError, read_sudoku_csv
from storage.atomic import point, publish, staging
from storage.examples import Block, Header, read_examples, write_examples
from storage.layout import SPLITS, Layout
from storage.manifest import CorruptDataError, hash_file, verify_manifest, write_manifest
from storage.shards import write_shards
from storage.tables import AugmentedPuzzles, Puzzles, write_file
from trm_model.puzzles import sudoku
from trm_model.seeding import derive, numpy_generator

BLOCK_EXAMPLES = 1 << 16
SOURCES = "sources"
"""Key in the puzzle file's metadata: JSON with the hashes of the files it was made from and how they were split."""


def _puzzle_rows(
    split: str,
    start: int,
    puzzles: sudoku.Grids,
    answers: sudoku.Grids,
    difficulty: sudoku.Ints,
    forms: sudoku.Grids,
    sources: list[str],
    name: str,
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "split": [split] * len(puzzles),
            "puzzle": np.arange(start, start + len(puzzles)),
            "name": [f"{name}-{number}" for number in range(start, start + len(puzzles))],
            "question": [sudoku.to_text(grid) for grid in puzzles],
            "answer": [sudoku.to_text(grid) for grid in answers],
            "clues": (puzzles > 0).sum(axis=1),
            "difficulty": difficulty,
            "form": [hashlib.sha256(form.tobytes()).hexdigest()[:32] for form in forms],
            "source": sources,
        }
    )


def generated_puzzles(source: GeneratedSudoku) -> pl.DataFrame:
    """Puzzles of a generated benchmark, in the columns of :class:`storage.tables.Puzzles`; no symmetry class is in both splits."""
    made = sudoku.generate(source.train + source.test, sudoku.SHAPES[source.digits], source.seed, source.extra_clues)
    # Classes with few members are found early: without a shuffle the test puzzles would have more clues than the training puzzles.
    order = numpy_generator(source.seed, "split").permutation(len(made.puzzles))
    parts = [
        _puzzle_rows(
            split,
            start,
            made.puzzles[order[start:stop]],
            made.answers[order[start:stop]],
            made.difficulty[order[start:stop]],
            made.forms[order[start:stop]],
            [f"generated, seed {source.seed}"] * (stop - start),
            f"{source.digits}x{source.digits}",
        )
        for split, start, stop in (("train", 0, source.train), ("test", source.train, source.train + source.test))
    ]
    return pl.concat(parts)


def imported_puzzles(split: FileConfig, digits: int) -> tuple[pl.DataFrame, dict[str, str]]:
    """Puzzles of a file, in the columns of :class:`storage.tables.Puzzles`, and what they came from: file hashes, split.

    :raises SourceError: a malformed file, a test file that repeats a training puzzle, or a split without puzzles.
    """
    if not 0.0 < split.test_share < 1.0:
        raise SourceError(f"test_share={split.test_share}: expected a share between 0 and 1")
    first = read_sudoku_csv(split.path, digits)
    sources = {"file": first.file_hash, "split": split.model_dump_json(exclude={"path", "test_path"})}
    generator = numpy_generator(split.seed, "split")
    if split.test_path is None:
        order = generator.permutation(len(first.puzzles))
        cut = max(1, round(len(order) * split.test_share))
        chosen = {"test": (first, order[:cut]), "train": (first, order[cut:])}
    else:
        second = read_sudoku_csv(split.test_path, digits)
        sources["test_file"] = second.file_hash
        chosen = {
            "train": (first, generator.permutation(len(first.puzzles))),
            "test": (second, generator.permutation(len(second.puzzles))),
        }
    limits = {"train": split.train_puzzles, "test": split.test_puzzles}
    parts: list[pl.DataFrame] = []
    start = 0
    for name in SPLITS:
        table, order = chosen[name]
        rows = np.sort(order[: limits[name]])
        if not len(rows):
            raise SourceError(f"{split.path}: no puzzles are left for the {name} split; give a larger file or another test_share")
        parts.append(
            _puzzle_rows(
                name,
                start,
                table.puzzles[rows],
                table.answers[rows],
                table.difficulty[rows],
                table.forms[rows],
                [table.sources[row] for row in rows],
                "csv",
            )
        )
        start += len(rows)
    frame = pl.concat(parts)
    repeated = frame.filter(pl.col("form").is_duplicated())
    if not repeated.is_empty():
        raise SourceError(
            f"{split.test_path}: its puzzle {repeated['question'][-1]} is also in {split.path} (equal up to symmetry); remove one of them"
        )
    return frame, sources


def _stream(
    puzzles: sudoku.Grids, answers: sudoku.Grids, copies: int, seed: int, shape: sudoku.Shape, progress: Callable[[int], None]
) -> Iterator[Block]:
    """Each puzzle followed by ``copies`` shuffled versions of it; version ``k`` of puzzle ``i`` depends on the seed, i and k alone."""
    base, members = np.uint64(derive(seed, "shuffle")), copies + 1
    step = max(1, BLOCK_EXAMPLES // members)
    for start in range(0, len(puzzles), step):
        index = np.repeat(np.arange(start, min(start + step, len(puzzles))), members)
        questions, solutions = puzzles[index], answers[index]
        shuffled = np.tile(np.arange(members), len(index) // members) > 0
        counter = (index.astype(np.uint64) << np.uint64(32)) | np.tile(np.arange(members, dtype=np.uint64), len(index) // members)
        seeds = (counter * np.uint64(0xD1342543DE82EF95)) ^ base
        questions[shuffled], solutions[shuffled] = sudoku.shuffle(questions[shuffled], solutions[shuffled], seeds[shuffled], shape)
        progress(int(index[-1]) + 1)
        yield Block(
            sudoku.to_tokens(questions),
            sudoku.to_tokens(solutions),
            np.zeros(len(index), np.int32),
            np.ones(len(index), np.int64),
            np.full(len(index) // members, members, np.int64),
        )


def _intact(folder: Path) -> bool:
    """Whether the same data set is there already, undamaged; a training that reads it is then left alone."""
    try:
        return folder.exists() and bool(verify_manifest(folder))
    except CorruptDataError:
        return False


def write_dataset(
    layout: Layout,
    benchmark: str,
    puzzles: pl.DataFrame,
    *,
    digits: int,
    augmentations: int,
    seed: int,
    sources: dict[str, str],
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Path, str]:
    """Augment and store a benchmark's puzzles; returns the folder, named after its content hash, and that hash.

    The folder appears whole. Nothing is trained on it before ``current`` links to it, which is left to the caller, after the checks.
    Test puzzles are stored as they are.
    """
    shape = sudoku.SHAPES[digits]
    parent = layout.examples(benchmark)
    with staging(parent) as temporary:
        described: list[pl.DataFrame] = []
        for split in SPLITS:
            frame = puzzles.filter(pl.col("split") == split)
            copies = augmentations if split == "train" else 0
            header = Header(
                vocabulary=shape.vocabulary,
                grid=(shape.n, shape.n),
                seed=seed,
                augmentations=copies,
                sources=sources,
            )
            stream = _stream(
                grids(frame, "question", digits),
                grids(frame, "answer", digits),
                copies,
                derive(seed, benchmark, split),
                shape,
                lambda done, split=split, total=len(frame): progress(f"{split}: {done} of {total} puzzles"),
            )
            count = write_examples(temporary / f"{split}.zarr", header, stream)
            described.append(
                frame.select(
                    "split",
                    pl.lit(0).alias("example"),
                    pl.int_range(pl.len()).alias("group"),
                    pl.col("name").alias("base"),
                    pl.lit(list(range(copies + 1)), dtype=pl.List(pl.Int32)).alias("augmentation"),
                    "difficulty",
                    "source",
                )
                .explode("augmentation")
                .with_columns(pl.int_range(count).alias("example"))
            )
        write_file(temporary / "puzzles.parquet", AugmentedPuzzles, pl.concat(described))
        content_hash = write_manifest(temporary)
        target = parent / content_hash[:16]
        if not _intact(target):
            publish(temporary, target)
    return target, content_hash


# Asset bodies


def materialize_puzzles(
    context: dg.AssetExecutionContext, layout: Layout, name: str, frame: pl.DataFrame, digits: int, sources: dict[str, str]
) -> dg.MaterializeResult:
    verdicts = puzzle_checks(frame, digits)
    path = layout.puzzles(name)
    if blocks("puzzles", verdicts):
        # Kept to look at; nothing reads it.
        path = path.with_suffix(".refused.parquet")
    stored = write_file(path, Puzzles, frame, metadata={SOURCES: json.dumps(sources)})
    context.log.info("wrote %d puzzles to %s", len(stored), path)
    few = stored.head(5)
    sheet = puzzle_sheet(grids(few, "question", digits), grids(few, "answer", digits), sudoku.SHAPES[digits])
    by_split = {split: stored.filter(pl.col("split") == split) for split in SPLITS}
    distributions = {
        column: histogram({split: part[column].to_numpy() for split, part in by_split.items()}, label)
        for column, label in (("difficulty", "difficulty (fewest guesses of our solver)"), ("clues", "clues"))
        if stored[column].n_unique() > 1
    }
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(stored),
            **{split: len(part) for split, part in by_split.items()},
            "bytes": path.stat().st_size,
            "path": dg.MetadataValue.path(str(path)),
            "sample": dg.MetadataValue.md(inline(sheet, "puzzles and answers")),
            **{column: dg.MetadataValue.md(inline(png, column)) for column, png in distributions.items()},
            "rows": markdown_frame(few.select("split", "name", "question", "answer", "clues", "difficulty")),
            **({"sources": sources} if sources else {}),
        },
        data_version=dg.DataVersion(hash_file(path)[:16]),
        check_results=check_results(name, "puzzles", verdicts),
    )


def materialize_examples(context: dg.AssetExecutionContext, layout: Layout, name: str, benchmark: Benchmark) -> dg.MaterializeResult:
    path = layout.puzzles(name)
    if not path.exists():
        raise user_error(f"{path}: no puzzles yet; materialize {name}/puzzles first")
    sources = {"puzzles": hash_file(path), **json.loads(pl.read_parquet_metadata(path)[SOURCES])}
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
    verdicts = example_checks(folder, splits, benchmark.digits)
    if not blocks("examples", verdicts):
        point(layout.current_examples(name), folder)
    count = sum(len(split.inputs) for split in splits.values())
    raw = sum(split.inputs.nbytes + split.labels.nbytes for split in splits.values())
    stored = sum(folder_bytes(folder / f"{split}.zarr") for split in SPLITS)
    context.log.info("wrote %d examples in %.1f s to %s", count, seconds, folder)
    inputs, labels = (sudoku.from_tokens(tokens[:5]) for tokens in (splits["train"].inputs, splits["train"].labels))
    sheet = puzzle_sheet(inputs, labels, sudoku.SHAPES[benchmark.digits])
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
        check_results=check_results(name, "examples", verdicts),
    )


def materialize_shards(layout: Layout, name: str) -> dg.MaterializeResult:
    folder = current_examples(layout, name)
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
            "bytes": folder_bytes(parent),
            "shards": len(list(parent.rglob("*.tar"))),
            "content_hashes": hashes,
        },
        data_version=dg.DataVersion("-".join(h[:16] for h in hashes.values())),
    )
