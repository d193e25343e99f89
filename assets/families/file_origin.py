"""Base puzzles from files: where they come from, which rows are drawn, how they are split."""

import re
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from assets.configs import StageConfig
from assets.families.origin import Imported, Origin, more_than, number_splits, silent
from assets.families.puzzle_files import PuzzleFileError, Rows, RowsOfFile
from storage.examples import SPLITS
from storage.reading import one_line
from trm_model.errors import require
from trm_model.seeding import numpy_generator


class FileConfig(StageConfig):
    """Which files the puzzles come from and how they are split.

    :param path: local path or URL of the puzzles; None: the repository that the benchmark's entry
        names.
    :param test_path: file with the test puzzles; None: a share of ``path``.
    :param test_share: share of ``path`` kept for testing when there is no ``test_path``.
    :param train_puzzles, test_puzzles: draw at most so many for each split; None: as the entry
        says, or all.
    :param seed: of the split and the draw.
    """

    path: str | None = None
    test_path: str | None = None
    test_share: float = 0.1
    train_puzzles: int | None = Field(default=None, ge=1)
    test_puzzles: int | None = Field(default=None, ge=1)
    seed: int = 0


def _from_hub(repository: str, revision: str, name: str, log: Callable[[str], None]) -> str:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    log(f"fetching {name} of {repository}, revision {revision} (or finding it in the local cache)")
    try:
        return hf_hub_download(repository, name, repo_type="dataset", revision=revision)
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        what = one_line(error)[:200]
        raise PuzzleFileError(
            f"{repository}/{name}: revision {revision} cannot be fetched ({what}); expected a "
            "network or the file in huggingface_hub's cache; give path and test_path of local files"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PuzzleFile(Origin):
    """Puzzles from files in the format of sapientinc's data sets
    (``source,question,answer,rating``). Each family that is read so has a class of its own.

    The paths are given when the asset is materialized; without them the files are taken from a
    repository.

    :param side: rows and columns of the grids.
    :param repository: data set on the Hugging Face hub with ``train.csv`` and ``test.csv``; None:
        paths must be given.
    :param revision: of the repository, a commit's 40 digits: what a branch names may change.
    :param train_puzzles: draw so many training puzzles; None: all.
    """

    config: ClassVar[type[StageConfig]] = FileConfig

    side: int
    repository: str | None = None
    revision: str = ""
    train_puzzles: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        require(
            self.repository is None or re.fullmatch("[0-9a-f]{40}", self.revision) is not None,
            f"revision={self.revision!r} of {self.repository}: expected a commit's 40 hexadecimal "
            "digits; give those of the commit whose files are meant",
        )

    def __repr__(self) -> str:
        """What the hashes of data sets hold: the family by its name. Without the revision, which
        the hashes of the files stand for."""
        return (
            f"PuzzleFile(kind={self.family.name!r}, side={self.side!r}, "
            f"repository={self.repository!r}, train_puzzles={self.train_puzzles!r}, "
            f"seed={self.seed!r})"
        )

    @property
    def generated(self) -> bool:
        return False

    @abstractmethod
    def open(self, path: str) -> RowsOfFile:
        """Read the file at a path.

        :raises PuzzleFileError: the first thing that is wrong.
        """

    def puzzles(self, config: Any = None, log: Callable[[str], None] = silent) -> Imported:
        return read_split(config or FileConfig(), self, log)

    def left_over(
        self, file: RowsOfFile, rows: Rows, frame: pl.DataFrame, count: int
    ) -> pl.DataFrame:
        """See :attr:`Imported.further`: the first of the ``rows`` of the training file that no
        split of ``frame`` has taken.

        :raises PuzzleFileError: the first thing that is wrong with them.
        """
        made = number_splits(file.take(rows[: more_than(count)]), 0, "further")
        return self.unlike(made, frame, count)


def read_split(config: FileConfig, origin: PuzzleFile, log: Callable[[str], None]) -> Imported:
    """The puzzles of both splits, drawn and split as configuration and entry say; test puzzles in
    random order, so that the first so many of them are a fair sample.

    :raises PuzzleFileError: a malformed file, a test file that repeats a training puzzle, or a
        split without puzzles.
    """
    if not 0.0 < config.test_share < 1.0:
        raise PuzzleFileError(f"test_share={config.test_share}: expected a share between 0 and 1")
    path, test_path = config.path, config.test_path
    if path is None:
        if test_path is not None:
            raise PuzzleFileError(
                f"test_path={test_path} without path: expected both, or neither; give "
                "puzzles.path too"
            )
        if origin.repository is None:
            raise PuzzleFileError(
                "no file: expected the path or URL of the puzzles; give puzzles.path (--set "
                "puzzles.path=FILE)"
            )
        path, test_path = (
            _from_hub(origin.repository, origin.revision, f"{split}.csv", log) for split in SPLITS
        )
    generator = numpy_generator(config.seed, "split")
    limits = {"train": config.train_puzzles or origin.train_puzzles, "test": config.test_puzzles}
    parts: dict[str, pl.DataFrame] = {}
    sources = {"split": config.model_dump_json(exclude={"path", "test_path"})}
    train_file = origin.open(path)
    sources["file"] = train_file.file_hash
    order = generator.permutation(len(train_file))
    if test_path is None:
        cut = max(1, round(len(order) * config.test_share))
        order, tested = order[cut:], order[:cut][: limits["test"]]
        # Taken together: no row may repeat another.
        both = train_file.take(np.concatenate([order[: limits["train"]], tested]))
        parts = {"train": both.head(len(both) - len(tested)), "test": both.tail(len(tested))}
    else:
        parts["train"] = train_file.take(order[: limits["train"]])
        test_file = origin.open(test_path)
        parts["test"] = test_file.take(generator.permutation(len(test_file))[: limits["test"]])
        sources["test_file"] = test_file.file_hash
    for split in SPLITS:
        if parts[split].is_empty():
            raise PuzzleFileError(
                f"{path}: no puzzles are left for the {split} split; give a larger file or "
                "another test_share"
            )
    frame = number_splits(pl.concat([parts[split] for split in SPLITS]), len(parts["train"]), "csv")
    repeated = frame.filter(pl.col("form").is_duplicated())
    if not repeated.is_empty():
        raise PuzzleFileError(
            f"{test_path}: its puzzle {repeated['question'][-1]} is also in {path} (equal up to "
            "symmetry); remove one of them"
        )
    rest = order[len(parts["train"]) :]
    further = partial(origin.left_over, train_file, rest, frame) if len(rest) else None
    return Imported(frame, sources, further)
