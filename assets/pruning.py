"""Finds and removes the runs, data sets and left-overs of a store that nothing refers to."""

import contextlib
import json
import os
import posixpath
import time
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import polars as pl

from assets import keys
from assets.tables import (
    Predictions,
    Residuals,
    Runs,
    Scores,
    ScoresElsewhere,
    Selections,
    StudyResults,
    Votes,
)
from assets.training.runs import FINISHED
from storage.atomic import is_left_over, is_temporary
from storage.build import PREFIX
from storage.lock import LockedError
from storage.manifest import CorruptDataError, hash_file
from storage.reading import json_object, reading
from storage.store import Store
from storage.tables import Table, scan
from trm_model.training.folders import saved
from trm_model.training.process import DEVICE_SECONDS, LOCK
from trm_model.training.run import RUN_FILE


@dataclass(frozen=True, slots=True)
class Stored:
    """One thing in the store.

    :param key: where it lies.
    :param kind: what it is, in a word or two.
    :param size: bytes on the disk.
    :param age: seconds since it was changed.
    :param kept: why it is kept; empty: nothing refers to it.
    """

    key: str
    kind: str
    size: int
    age: float
    kept: str = ""


def sizes(store: Store) -> dict[str, int]:
    """The folders at the top of a store and the bytes below each."""
    return {key: _measured(store.open(key))[0] for key in _top(store)}


def stored(store: Store, *, now: float | None = None, half_written: bool = True) -> list[Stored]:
    """Every run, data set, version of validation puzzles and left-over of a store.

    A run is kept where a pointer names it, a row of a table is of its weights, a process trains it,
    it has a checkpoint from which an unfinished training can go on, it was finished so lately that
    its test may be waiting (:data:`UNTESTED`), or a run that is kept began with it. A data set is
    kept where a pointer names it, a run that is kept was trained on it, or a score is of it or of
    what was trained on it; its validation puzzles stay with it. What an interrupted build,
    evaluation or check left is never kept, nor are further puzzles of puzzles that are not there
    any more, nor what a killed process of this machine was writing.

    :param now: in seconds since 1970; None: the time.
    :param half_written: whether to look everywhere for what is half written.
    :raises TableError, CorruptDataError: a table or the description of a run that is kept cannot be
        read, so that nobody knows what it refers to.
    """
    now = time.time() if now is None else now
    runs = _with_parents(store, _runs(store, now))
    kept = {item.key for item in runs if item.kept}
    data = [*_versions(store, now, "examples", _used_by(store, kept, "data") | _scored(store))]
    of_data = _validation_of(store, {item.key for item in data if item.kept})
    found = [
        *runs,
        *data,
        *_versions(store, now, "validation", _used_by(store, kept, "validation") | of_data),
        *_further(store, now),
        *_left_over(store, now),
    ]
    useless = {item.key for item in found if not item.kept}
    return [*found, *(_half_written(store, now, useless) if half_written else ())]


def prune(store: Store, chosen: Set[str]) -> list[Stored]:
    """Remove those of the ``chosen`` keys that nothing refers to now; returns what is gone.

    Whoever reads sees all of a thing or nothing. Rows of tables stay: what was trained is known
    although its weights are gone.
    """
    removed: list[Stored] = []
    # Asked again for each kind: what is removed takes its time, and others work meanwhile.
    for kind in dict.fromkeys(item.kind for item in stored(store) if item.key in chosen):
        for item in stored(store, half_written=kind == _HALF_WRITTEN):
            if item.kind != kind or item.key not in chosen or item.kept:
                continue
            with contextlib.ExitStack() as held:
                if kind == _RUN:
                    try:
                        held.enter_context(_held(store, item.key))
                    except LockedError:
                        continue
                store.remove(item.key)
                removed.append(item)
    return removed


RECENT = 3600.0
"""A thing that was changed within so many seconds is kept, since somebody may be working on it."""
UNTESTED = DEVICE_SECONDS
"""A finished run to which nothing refers is kept for so many seconds: its test waits for the device
at most so long, and that of a study's run, which is never current, may have failed."""
_RUN, _HALF_WRITTEN = "run", "half written"
_OF_A_RUN = "of a run that is kept"
_NAMED_BY: Mapping[type[Table], str] = {
    Residuals: "inspected",
    StudyResults: "in a study",
    ScoresElsewhere: "tested elsewhere",
    Selections: "has selections",
    Votes: "has votes",
    Predictions: "has predictions",
    Scores: "scored",
}
"""The tables whose rows are of the weights of runs, and why these are kept for that; of several
reasons the last is told. What a training says of itself (:class:`assets.tables.Runs` and
:class:`assets.tables.Training`) stays without the run."""


def _top(store: Store) -> list[str]:
    return [key for key in store.list("") if store.open(key).is_dir()]


def _measured(path: Path) -> tuple[int, float]:
    """The bytes of a file or of all files below a folder, and when the newest was changed; of a
    folder without files, which somebody may have just made, when it was itself."""
    size, newest, made = 0, 0.0, 0.0
    below = (Path(folder, name) for folder, _, files in os.walk(path) for name in files)
    for each in (path, *below):
        # What is being written or replaced may vanish meanwhile.
        with contextlib.suppress(FileNotFoundError):
            found = each.stat()
            if not each.is_file():
                made = found.st_mtime
            # Whether a run is in use is found out with its lock, which writes that file.
            elif each.name != LOCK:
                size, newest = size + found.st_size, max(newest, found.st_mtime)
    return size, newest or made


def _item(store: Store, key: str, kind: str, now: float, kept: str = "") -> Stored:
    size, changed = _measured(store.open(key))
    age = max(0.0, now - changed) if changed else 0.0  # It has just vanished.
    return Stored(key, kind, size, age, kept or ("changed just now" if age < RECENT else ""))


def _held(store: Store, run: str) -> contextlib.AbstractContextManager[None]:
    """Hold a run's lock, or refuse at once."""
    return store.lock(f"{run}/{LOCK}", label="trm prune", wait_seconds=0.0, waiting=lambda _: None)


def _folders(store: Store, key: str, depth: int) -> Iterator[str]:
    """The folders so many levels below a key."""
    if depth == 0:
        if store.open(key).is_dir():
            yield key
        return
    for below in store.list(key):
        yield from _folders(store, below, depth - 1)


def _runs(store: Store, now: float) -> Iterator[Stored]:
    used: dict[tuple[str, str, str, str], str] = {}
    for table, why in _NAMED_BY.items():
        used |= _in_table(store, table, why)
    finished = _in_table(store, Runs, "finished", pl.col("status") == FINISHED)
    for key in _folders(store, "runs", 4):
        _, benchmark, variant, seed, run = key.split("/")
        kept = used.get((benchmark, variant, seed, run), "")
        if not kept and (benchmark, variant, seed, run) not in finished and saved(store.open(key)):
            kept = "not finished: it can go on"
        if store.follow(f"{posixpath.dirname(key)}/current") == key:
            kept = "trained last"
        item = _item(store, key, _RUN, now, kept or _in_use(store, key))
        if not item.kept and item.age < UNTESTED and saved(store.open(key)):
            item = replace(item, kept="finished lately: it may wait for its test")
        yield item


def _with_parents(store: Store, runs: Iterable[Stored]) -> list[Stored]:
    """The runs, where those that a run that is kept began with are kept too."""
    found = {item.key: item for item in runs}
    waiting = [key for key, item in found.items() if item.kept]
    while waiting:
        parent = _described(store, waiting.pop()).get("parent")
        name = parent.get("name") if isinstance(parent, dict) else None
        for key, item in found.items():
            if not item.kept and posixpath.basename(key) == name:
                found[key] = replace(item, kept="a run that is kept began with it")
                waiting.append(key)
    return [*found.values()]


def _in_use(store: Store, run: str) -> str:
    try:
        with _held(store, run):
            return ""
    except LockedError:
        return "in use"


def _in_table(
    store: Store, table: type[Table], why: str, *which: pl.Expr
) -> dict[tuple[str, str, str, str], str]:
    """Benchmark, variant, seed and name of the runs that a table has such rows of."""
    benchmark = "trained_on" if table is ScoresElsewhere else "benchmark"
    columns = (benchmark, "variant", pl.col("seed").cast(pl.String), "run")
    rows = scan(store, table).filter(*which).select(columns).drop_nulls().unique().collect()
    return dict.fromkeys(rows.iter_rows(), why)


def _versions(store: Store, now: float, folder: str, used: Mapping[str, str]) -> Iterator[Stored]:
    """The versions of data below ``folder``; ``used``: key -> why it is kept."""
    for key in _folders(store, folder, 2):
        current = store.follow(f"{posixpath.dirname(key)}/current") == key
        yield _item(store, key, folder, now, "current" if current else used.get(key, ""))


def _used_by(store: Store, runs: Set[str], field: str) -> dict[str, str]:
    """The keys that a field of these runs' descriptions names.

    :raises CorruptDataError: a description that cannot be read, so that nobody knows what it names.
    """
    found: dict[str, str] = {}
    for run in runs:
        target = _described(store, run).get(field)
        if isinstance(target, str):
            found[target] = _OF_A_RUN
    return found


def _described(store: Store, run: str) -> dict[str, Any]:
    """What a run's description says.

    :raises CorruptDataError: it cannot be read.
    """
    path = store.open(run) / RUN_FILE
    if not path.exists():  # It is about to be written, and names nothing yet.
        return {}
    # Not as a description: that would want the modules of the user's own choices.
    with reading(CorruptDataError, path, f"a run's description; remove the run {run}"):
        return json_object(json.loads(path.read_bytes()), RUN_FILE)


def _scored(store: Store) -> dict[str, str]:
    """The data sets that scores are of, and those that what they are of was trained on."""
    found: dict[str, str] = {}
    for table, *columns in (
        (Scores, "benchmark", "data_version"),
        (ScoresElsewhere, "benchmark", "data_version"),
        (ScoresElsewhere, "trained_on", "trained_data_version"),
    ):
        rows = scan(store, table).select(columns).drop_nulls().unique().collect()
        for benchmark, version in rows.iter_rows():
            found[f"{keys.examples(benchmark)}/{version[:16]}"] = "scored"
    return found


def _validation_of(store: Store, data: Set[str]) -> dict[str, str]:
    """The validation puzzles of these data sets."""
    pointers = (keys.validation_of(key.split("/")[1], key) for key in data)
    found = (store.follow(pointer) for pointer in pointers)
    return {key: "of a data set that is kept" for key in found if key is not None}


def _left_over(store: Store, now: float) -> Iterator[Stored]:
    """Finds the parts from which interrupted builds, evaluations and tests go on, and the puzzles
    that were refused."""
    for folder in ("examples", "validation"):
        for benchmark in store.list(folder):
            for path in sorted(store.open(benchmark).glob(f"{PREFIX}*")):
                yield _item(store, f"{benchmark}/{path.name}", "unfinished data", now)
    for run in _folders(store, "runs", 4):
        for key in store.list(f"{run}/evaluating"):
            yield _item(store, key, "unfinished evaluation", now)
    for key in _folders(store, "tests", 2):
        yield _item(store, key, "unfinished test", now)
    for key in store.list("puzzles"):
        if key.endswith(".refused.parquet"):
            yield _item(store, key, "refused puzzles", now)


def _further(store: Store, now: float) -> Iterator[Stored]:
    """The tables of further puzzles, of which only the one of today's puzzles is read."""
    for folder in store.list("validation"):
        benchmark = posixpath.basename(folder)
        pattern = keys.further_puzzles(benchmark, "*")
        tables = [key for key in store.list(folder) if fnmatch(key, pattern)]
        puzzles = store.open(keys.puzzles(benchmark))
        needed = ""
        if tables and puzzles.exists():
            needed = keys.further_puzzles(benchmark, hash_file(puzzles))
        for key in tables:
            kept = "of the puzzles that are there" if key == needed else ""
            yield _item(store, key, "further puzzles", now, kept)


def _half_written(store: Store, now: float, useless: Set[str]) -> Iterator[Stored]:
    """What is being written under a temporary name, or was when its process was killed.

    :param useless: keys of folders that go as a whole, into which nobody needs to look.
    """
    root = store.open("")
    for top in _top(store):
        for folder, inner, files in os.walk(store.open(top)):
            below = Path(folder).relative_to(root)
            for name in sorted([*inner, *files]):
                path = Path(folder, name)
                if is_temporary(path):
                    kept = "" if is_left_over(path) else "perhaps being written, or the only copy"
                    yield _item(store, (below / name).as_posix(), _HALF_WRITTEN, now, kept)
            inner[:] = [
                name
                for name in inner
                if not is_temporary(Path(name)) and (below / name).as_posix() not in useless
            ]
