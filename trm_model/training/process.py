"""The training process: ``python -m trm_model.training.process RUN``, where the folder RUN holds
``run.json`` (:mod:`trm_model.training.run`).

Continues from the newest checkpoint in RUN. SIGTERM and SIGINT write a checkpoint before the
process ends. Under Dagster Pipes its progress appears in the run's log. Exit codes: 0 finished, 2 a
mistake named on standard error (and in the file that the environment variable ``TRM_FAILURE_FILE``
names, for the parent), 143 interrupted.
"""

import importlib.util
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from storage.lock import LockedError, lock
from trm_model.lifeline import die_with_parent

FAILURE_VARIABLE = "TRM_FAILURE_FILE"
INTERRUPTED = 143
ORPHAN_SECONDS = 60.0
DEVICE_SECONDS = 7 * 24 * 3600.0


def _pipes() -> AbstractContextManager[Any] | None:
    """Dagster's end of the pipe where Dagster started this process, else None."""
    if (
        "DAGSTER_PIPES_CONTEXT" not in os.environ
        or importlib.util.find_spec("dagster_pipes") is None
    ):
        return None
    from dagster_pipes import open_dagster_pipes

    return open_dagster_pipes()


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    die_with_parent()
    if len(arguments) != 1:
        print("usage: python -m trm_model.training.process RUN", file=sys.stderr)
        return 2
    stopping = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    run = Path(arguments[0])
    with ExitStack() as stack:
        pipes = _pipes()
        log: Callable[[str], None] = (
            stack.enter_context(pipes).log.info
            if pipes is not None
            else lambda text: print(text, flush=True)
        )
        return _train(run, log, lambda: stopping)


def _train(run: Path, log: Callable[[str], None], stop: Callable[[], bool]) -> int:
    # Imported here: torch takes seconds, and the parent's death must be watched from the start.
    from storage.manifest import CorruptDataError, verify_manifest
    from trm_model.errors import ConfigurationError
    from trm_model.puzzles.plans import open_examples
    from trm_model.training.loop import TrainingError, train
    from trm_model.training.run import RunSpec

    try:
        spec = RunSpec.read(run)
        with ExitStack() as locks:
            # An orphan of a killed step needs a moment to write its checkpoint and end.
            locks.enter_context(
                lock(
                    run / "lock",
                    label=str(run),
                    wait_seconds=ORPHAN_SECONDS,
                    waiting=log,
                    stop=stop,
                )
            )
            if spec.device_lock is not None:
                locks.enter_context(
                    lock(
                        Path(spec.device_lock),
                        label=str(run),
                        wait_seconds=DEVICE_SECONDS,
                        waiting=log,
                        stop=stop,
                    )
                )
            found = verify_manifest(Path(spec.data))
            if found != spec.data_version:
                raise CorruptDataError(
                    f"{spec.data}: content hash {found[:16]}, expected {spec.data_version[:16]}; "
                    "materialize the checkpoint again"
                )
            examples = open_examples(Path(spec.data) / "train.zarr")
            progress = train(
                run,
                spec.variant,
                spec.recipe,
                examples,
                spec.seed,
                spec.execution,
                report=log,
                stop=stop,
            )
    except LockedError as error:
        if stop():
            return INTERRUPTED
        return _fail(str(error))
    except (ConfigurationError, CorruptDataError, TrainingError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(
            f"{run}: {error}; mend that and start again, which continues from the newest checkpoint"
        )
    if progress.step < spec.recipe.steps:
        log(f"interrupted at step {progress.step} of {spec.recipe.steps}; a checkpoint is written")
        return INTERRUPTED
    return 0


def _fail(message: str) -> int:
    line = " ".join(message.split())
    print(f"error: {line}", file=sys.stderr)
    if FAILURE_VARIABLE in os.environ:
        Path(os.environ[FAILURE_VARIABLE]).write_text(line, "utf-8")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
