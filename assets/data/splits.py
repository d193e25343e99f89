"""Base puzzles from files: where they come from, which rows are drawn, how they are split."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl

from assets.benchmarks import PuzzleFile
from assets.configs import FileConfig
from assets.data.puzzle_files import Choose, Rows, SourceError
from assets.families.family import Imported
from storage.examples import SPLITS
from trm_model.seeding import numpy_generator


class FileRows(NamedTuple):
    """The chosen rows of a file, in the order chosen, as columns of the kind's table (split, puzzle
    and name are missing yet), and the file's hash."""

    frame: pl.DataFrame
    file_hash: str


Reader = Callable[[str, Choose], FileRows]
"""Reads the chosen rows of the file at a path, checked."""


def _from_hub(repository: str, name: str, log: Callable[[str], None]) -> str:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    log(f"fetching {name} of {repository} (or finding it in the local cache)")
    try:
        return hf_hub_download(repository, name, repo_type="dataset")
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        what = " ".join(str(error).split())[:200]
        raise SourceError(
            f"{repository}/{name}: cannot be fetched ({what}); give path and test_path of local "
            "files"
        ) from error


def number_splits(described: pl.DataFrame, train: int, name: str) -> pl.DataFrame:
    """Puzzles with their split (the first ``train`` are for training), number and name."""
    number = pl.int_range(pl.len())
    split = pl.when(number < train).then(pl.lit("train")).otherwise(pl.lit("test"))
    return described.with_columns(
        split=split, puzzle=number, name=pl.format("{}-{}", pl.lit(name), number)
    )


def read_split(
    config: FileConfig, source: PuzzleFile, read: Reader, log: Callable[[str], None]
) -> Imported:
    """The puzzles of both splits, drawn and split as configuration and entry say; test puzzles in
    random order, so that the first so many of them are a fair sample.

    :raises SourceError: a malformed file, a test file that repeats a training puzzle, or a split
        without puzzles.
    """
    if not 0.0 < config.test_share < 1.0:
        raise SourceError(f"test_share={config.test_share}: expected a share between 0 and 1")
    path, test_path = config.path, config.test_path
    if path is None:
        if test_path is not None:
            raise SourceError(
                f"test_path={test_path} without path: expected both, or neither; give "
                "puzzles.path too"
            )
        if source.repository is None:
            raise SourceError(
                "no file: expected the path or URL of the puzzles; give puzzles.path (--set "
                "puzzles.path=FILE)"
            )
        path, test_path = (_from_hub(source.repository, f"{split}.csv", log) for split in SPLITS)
    generator = numpy_generator(config.seed, "split")
    limits = {"train": config.train_puzzles or source.train_puzzles, "test": config.test_puzzles}
    parts: dict[str, pl.DataFrame] = {}
    sources = {"split": config.model_dump_json(exclude={"path", "test_path"})}
    if test_path is None:
        counts: dict[str, int] = {}

        def both(total: int) -> Rows:
            order = generator.permutation(total)
            cut = max(1, round(total * config.test_share))
            chosen = {
                "train": order[cut:][: limits["train"]],
                "test": order[:cut][: limits["test"]],
            }
            counts.update({split: len(rows) for split, rows in chosen.items()})
            return np.concatenate([chosen[split] for split in SPLITS])

        found = read(path, both)
        parts = {
            "train": found.frame.head(counts["train"]),
            "test": found.frame.tail(counts["test"]),
        }
        sources["file"] = found.file_hash
    else:
        for split, name, file in (("train", "file", path), ("test", "test_file", test_path)):
            found = read(
                file, lambda total, split=split: generator.permutation(total)[: limits[split]]
            )
            parts[split], sources[name] = found.frame, found.file_hash
    for split in SPLITS:
        if parts[split].is_empty():
            raise SourceError(
                f"{path}: no puzzles are left for the {split} split; give a larger file or "
                "another test_share"
            )
    frame = number_splits(pl.concat([parts[split] for split in SPLITS]), len(parts["train"]), "csv")
    repeated = frame.filter(pl.col("form").is_duplicated())
    if not repeated.is_empty():
        raise SourceError(
            f"{test_path}: its puzzle {repeated['question'][-1]} is also in {path} (equal up to "
            "symmetry); remove one of them"
        )
    return Imported(frame, sources)
