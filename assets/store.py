"""The store as assets reach it: Dagster's resource, and what is current in it."""

import contextlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import dagster as dg

from assets import keys
from assets.failures import user_error
from assets.interrupts import terminable
from assets.stages import making
from storage.refusals import refusal
from storage.store import LocalStore, Store
from trm_model.errors import ConfigurationError

if TYPE_CHECKING:  # It takes its time to load, and every page loads this module.
    from trm_model.training.run import RunSpec


class StoreResource(dg.ConfigurableResource):
    """Where data, runs, tables and reports lie.

    :param root: a folder; relative to where Dagster was started.
    """

    root: str = "data"

    @contextlib.contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Self]:
        """Every asset works with the store; while one does, its run can be terminated."""
        with terminable(context):
            yield self

    def connect(self) -> LocalStore:
        """The store, which is made if it is not there."""
        return LocalStore.create(Path(self.root))


def current_examples(store: Store, benchmark: str) -> str:
    """The key of the benchmark's latest data set.

    :raises ConfigurationError: there is none; the message says what to do.
    """
    pointer = keys.current_examples(benchmark)
    return _followed(store, pointer, f"no data set yet; first: {making('examples', benchmark)}")


def current_run(store: Store, benchmark: str, variant: str, seed: int) -> str:
    """The key of the run trained last.

    :raises ConfigurationError: there is none; the message says what to do.
    """
    pointer = keys.current_run(benchmark, variant, seed)
    make = making("checkpoint", benchmark, f"{variant}|{seed}")
    return _followed(store, pointer, f"nothing trained yet; first: {make}")


def current_predictions(store: Store, benchmark: str, variant: str, seed: int) -> str:
    """The key of the predictions made last.

    :raises ConfigurationError: there are none; the message says what to do.
    """
    pointer = keys.current_predictions(benchmark, variant, seed)
    make = making("predictions", benchmark, f"{variant}|{seed}")
    return _followed(store, pointer, f"no predictions yet; first: {make}")


def _followed(store: Store, pointer: str, missing: str) -> str:
    target = store.follow(pointer)
    if target is None:
        raise ConfigurationError(f"{store.open(pointer)}: {missing}")
    return target


def data_of(store: Store, spec: "RunSpec") -> Path:
    """The folder of the data set that a run was trained on.

    :raises Failure: it has been removed; the message says what to do.
    """
    folder = store.open(spec.data)
    if not folder.is_dir():
        raise user_error(
            f"{folder}: removed, expected the data set that {spec.benchmark}, partition "
            f"{spec.variant_name}|{spec.seed}, was trained on; make it again: "
            f"{making('examples', spec.benchmark)}; equal settings give the same version again, "
            "others need another training"
        )
    return folder


@contextlib.contextmanager
def hold_device(
    store: Store, device: str, *, label: str, wait_seconds: float, say: Callable[[str], None]
) -> Generator[None]:
    """Evaluate on a device, beside a training but no other evaluation; where the store's disk has
    no locks or refuses to write them, beside others, and say so: whoever only reads a run needs
    none.

    :raises LockedError: another process holds the device for longer than we wait.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(
                store.lock(
                    keys.evaluation_lock(device),
                    label=label,
                    wait_seconds=wait_seconds,
                    waiting=say,
                )
            )
        except OSError as error:
            say(f"{refusal(error)}; going on without the lock: nothing else may use {device}")
        yield


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
