"""The training process: ``python -m trm_model.training.process RUN``, where the folder RUN holds
``run.json`` (:mod:`trm_model.training.run`) and lies in a store.

Continues from the newest checkpoint in RUN. SIGTERM and SIGINT write a checkpoint before the
process ends. Progress is printed. Exit codes: 0 finished, 1 a fault of the program, 2 a mistake of
the user's or a refusal of the machine's, 3 too little memory, 4 numbers that are not finite, 143
interrupted; the last line on standard error says what went wrong.

``run.json`` may name choices of the user's own only where ``--import MODULE`` has imported them:
what stands in a file alone imports nothing. ``--continue-other-code``: go on although another
version of the code began the training; both versions are recorded in ``run.json``.

Started by torchrun, several such processes train together (:mod:`trm_model.training.group`). The
first of them, the lead, holds the locks, reports and writes.
"""

import argparse
import os
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TextIO

from storage.reading import one_line, out_of_memory
from trm_model.lifeline import (
    CRASHED,
    DIVERGED,
    ERROR,
    INTERRUPTED,
    NO_MEMORY,
    REFUSED,
    die_with_parent,
)

if TYPE_CHECKING:  # They bring torch, which takes seconds.
    from trm_model.training.run import RunSpec
    from trm_model.training.validation import Validation

LOCK = "lock"
"""File in a run's folder that whoever writes the run holds."""
ORPHAN_SECONDS = 60.0
"""How long to wait for another process on the same run, which may be the orphan of a killed step
and need a moment to write its checkpoint."""
DEVICE_SECONDS = 7 * 24 * 3600.0
"""How long to wait for the device."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""They ask the training to stop."""
OTHER_CODE, IMPORT = "--continue-other-code", "--import"


class _Stop:
    """Whether a signal has asked the training to stop; called, it says so."""

    def __init__(self) -> None:
        self.asked = False
        self._listen()

    def _listen(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._ask)

    @contextmanager
    def at_once(self) -> Generator[None]:
        """Let the signals end the process at once, where there is nothing to keep yet and torch
        would wait on without asking."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        if self.asked:
            raise SystemExit(INTERRUPTED)
        yield
        self._listen()

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


def _print(text: str, stream: TextIO) -> None:
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        # Nobody reads any more, since the parent was killed: the checkpoint is written all the
        # same.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _report(text: str) -> None:
    _print(text, sys.stdout)


def _ignore(_text: str) -> None:
    pass


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    die_with_parent()
    parser = argparse.ArgumentParser(
        prog="python -m trm_model.training.process", description="Train or continue a run."
    )
    parser.add_argument(
        "run", type=Path, help="the run's folder, which holds run.json, or current beside it"
    )
    parser.add_argument(
        OTHER_CODE,
        action="store_true",
        dest="other_code",
        help="go on although another version of the code began the training",
    )
    parser.add_argument(
        IMPORT,
        action="append",
        default=[],
        dest="modules",
        metavar="MODULE",
        help="import it first: it defines choices of your own that the run names (repeat)",
    )
    options = parser.parse_args(arguments)
    return _train(options.run, _Stop(), options.modules, other_code=options.other_code)


def _train(run: Path, stop: _Stop, modules: Sequence[str], *, other_code: bool) -> int:
    if os.environ.get("RANK", "0") == "0":
        _report("starting: loading torch, the data and the newest checkpoint")
    # Imported here: torch takes seconds, and the parent's death must be watched from the start.
    from storage.atomic import write_text
    from storage.examples import DATA_AGAIN
    from storage.lock import LockedError, lock
    from storage.manifest import CorruptDataError, verify_manifest
    from storage.refusals import UserError, refusal
    from storage.store import follow_pointers
    from trm_model.choices import import_own
    from trm_model.devices import compiled_here
    from trm_model.puzzles.plans import examples_modules, open_examples
    from trm_model.trackers.following import following
    from trm_model.trackers.tracker import Interrupted
    from trm_model.training.checkpoint import intact_step
    from trm_model.training.figures import WAITING
    from trm_model.training.folders import saved
    from trm_model.training.group import LostError, join
    from trm_model.training.initial import load_initial
    from trm_model.training.loop import TrainingError, train
    from trm_model.training.run import RUN_FILE, RunSpec, run_store, training_version
    from trm_model.training.stopping import is_over
    from trm_model.training.tracked import tracked

    def wait(told: str) -> None:
        write_text(run / WAITING, told)
        _report(told)

    def prepared(spec: RunSpec, locks: ExitStack) -> RunSpec | None:
        """Take the locks and look whether the run can go on; None where nothing is left to do. What
        can be refused is refused before it waits for the device."""
        locks.enter_context(
            lock(
                run / LOCK,
                label=str(run),
                wait_seconds=ORPHAN_SECONDS,
                waiting=_report,
                stop=stop,
            )
        )
        data = spec.data_folder(run)
        found = verify_manifest(data, DATA_AGAIN)
        if found != spec.data_version:
            raise CorruptDataError(
                f"{data}: content hash {found[:16]}, expected {spec.data_version[:16]}; train again"
            )
        step = intact_step(run)
        if is_over(run, spec.recipe, step):
            _report(f"finished already, at step {step}: kept")
            return None
        computed = examples_modules(data / "train.zarr")
        version = training_version(spec.variant, spec.recipe, computed)
        now = spec.taken_up(step, version, other_code=other_code)
        try:
            for device in spec.device_locks:
                locks.enter_context(
                    run_store(run).lock(
                        device,
                        label=str(run),
                        wait_seconds=DEVICE_SECONDS,
                        waiting=wait,
                        stop=stop,
                    )
                )
        finally:
            (run / WAITING).unlink(missing_ok=True)
        if now != spec:
            now.write(run)
        if len(now.code) > 1:
            spans = (f"{span.version} from step {span.from_step}" for span in now.code)
            _report(f"trained by several code versions: {', '.join(spans)}")
        return now

    try:
        run = follow_pointers(run)
        for name in modules:
            import_own(name)
        spec = RunSpec.read(run, every_tracker=True)
        with stop.at_once():
            group = join()
        with ExitStack() as locks:
            ready = prepared(spec, locks) if group.leads else spec
            if not group.told(ready is not None) or ready is None:
                return 0
            spec = ready
            report = _report if group.leads else _ignore
            if group.size != (planned := spec.execution.processes):
                report(
                    f"processes: {group.size}, as it was started, in place of the {planned} of "
                    f"{RUN_FILE}"
                )
            trackers = spec.trackers if group.leads else ()
            with following(trackers, tracked(run, spec), report) as send, compiled_here():
                progress = train(
                    run,
                    spec.variant,
                    spec.recipe,
                    open_examples(spec.data_folder(run) / "train.zarr"),
                    spec.seed,
                    spec.execution,
                    group=group,
                    validation=_validation(run, spec) if group.leads else None,
                    initial=load_initial(run, spec.initial)
                    if spec.initial and not saved(run)
                    else None,
                    report=report,
                    send=send,
                    stop=stop,
                )
                group.leave()
                if not is_over(run, spec.recipe, progress.step):
                    report(
                        f"interrupted at step {progress.step} of {spec.recipe.steps}; a checkpoint "
                        "is written"
                    )
                    raise Interrupted
    except Interrupted:
        return INTERRUPTED
    except LostError as error:
        # What has happened is the other's to say; together they can go on from the last checkpoint.
        _report(one_line(error))
        return CRASHED
    except LockedError as error:
        return INTERRUPTED if stop() else _refuse(str(error))
    except TrainingError as error:
        _say(str(error))
        return DIVERGED
    except UserError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(
            f"{run}: {refusal(error)}; then start again, which continues from the newest checkpoint"
        )
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        # Nothing is wrong with the run: it may be tried again.
        said = one_line(error)
        error.__traceback__ = (
            None  # It holds the training, whose memory is needed for what follows.
        )
        _say(f"{run}: not enough memory ({said}); end other programs, or {_smaller(run)}")
        return NO_MEMORY
    return 0


def _validation(run: Path, spec: "RunSpec") -> "Validation | None":
    from storage.examples import VALIDATION
    from storage.manifest import CorruptDataError
    from trm_model.errors import ConfigurationError
    from trm_model.puzzles.plans import open_examples
    from trm_model.training.run import run_store
    from trm_model.training.validator import validator

    if spec.validation is None:
        return None
    try:
        examples = open_examples(run_store(run).open(spec.validation) / VALIDATION)
    except (ConfigurationError, CorruptDataError) as error:
        _report(f"no validation, the training goes on without: {error}")
        return None
    return validator(examples, spec.recipe)


def _smaller(run: Path) -> str:
    """What makes a run take less memory."""
    from storage.examples import open_header
    from trm_model.puzzles.plans import stored_examples
    from trm_model.training.plan import smaller
    from trm_model.training.run import RunSpec

    spec = RunSpec.read(run)
    train = spec.data_folder(run) / "train.zarr"
    # As many as there are, whatever the run's description says.
    execution = replace(spec.execution, processes=int(os.environ.get("WORLD_SIZE", "1")))
    header, examples = spec.header or open_header(train), stored_examples(train)
    return smaller(spec.variant, spec.recipe, header, execution, examples)


def _refuse(message: str) -> int:
    _say(message)
    return REFUSED


def _say(message: str) -> None:
    _print(f"{ERROR}{one_line(message)}", sys.stderr)


def leave(code: int) -> NoReturn:
    """Exit with this code, whatever signals come meanwhile: how the training ended is decided, and
    whoever started several processes ends the others once one has ended."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
