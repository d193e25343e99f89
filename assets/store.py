"""The store as assets reach it: Dagster's resource, and what is current in it."""

from pathlib import Path

import dagster as dg

from assets import keys
from assets.failures import user_error
from storage.store import LocalStore, Store, StoreError


class StoreResource(dg.ConfigurableResource):
    """Where data, runs, tables and reports lie.

    :param root: a folder; relative to where Dagster was started.
    """

    root: str = "data"

    def connect(self) -> LocalStore:
        """The store, which is made if it is not there."""
        return LocalStore.create(Path(self.root))


def current_examples(store: Store, benchmark: str) -> str:
    """The key of the benchmark's latest data set.

    :raises Failure: there is none; the message says what to do.
    """
    pointer = keys.current_examples(benchmark)
    return _followed(
        store,
        pointer,
        f"{store.open(pointer)}: no data set yet; materialize {benchmark}/examples first",
    )


def current_run(store: Store, benchmark: str, variant: str, seed: int) -> str:
    """The key of the run trained last.

    :raises Failure: there is none; the message says what to do.
    """
    pointer = keys.current_run(benchmark, variant, seed)
    return _followed(
        store,
        pointer,
        f"{store.open(pointer)}: nothing trained yet; materialize {benchmark}/checkpoint, "
        f"partition {variant}|{seed}, first",
    )


def current_predictions(store: Store, benchmark: str, variant: str, seed: int) -> str:
    """The key of the predictions made last.

    :raises Failure: there are none; the message says what to do.
    """
    pointer = keys.current_predictions(benchmark, variant, seed)
    return _followed(
        store,
        pointer,
        f"{store.open(pointer)}: no predictions yet; materialize {benchmark}/predictions, "
        f"partition {variant}|{seed}, first",
    )


def _followed(store: Store, pointer: str, missing: str) -> str:
    try:
        target = store.follow(pointer)
    except StoreError as error:
        raise user_error(error) from error
    if target is None:
        raise user_error(missing)
    return target


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
