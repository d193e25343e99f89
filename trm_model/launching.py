"""Starting trainings, and whatever else runs as a module. Where a job runs is a choice of launcher,
not another code path.

A job is a module that is run as ``python -m MODULE ARGUMENTS``. It prints its progress, and its
exit code tells how it ended (:mod:`trm_model.lifeline`), so that every launcher can tell it too.
:class:`LocalProcess` runs jobs on this machine, :class:`Torchrun` as several processes each.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from trm_model import ranks
from trm_model.lifeline import (
    CRASHED,
    DIVERGED,
    ERROR,
    INTERRUPTED,
    KILLED,
    NO_MEMORY,
    PARENT_VARIABLE,
    REFUSED,
)
from trm_model.names import GROUP_VARIABLES

_LAST_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A program of this project, to be run somewhere.

    :param module: its module's name; it is run as ``python -m MODULE ARGUMENTS``.
    :param grace_seconds: time it gets to keep what it has when it is stopped; then it is killed.
    :param progress: a folder that gets new entries as the job gets on; None: there is none.
    """

    module: str
    arguments: tuple[str, ...] = ()
    grace_seconds: float = 60.0
    progress: Path | None = None


class Ending(Enum):
    """The ways in which a job ends."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    """It was told to stop and kept what it had; it can be continued."""
    REFUSED = "refused"
    """A mistake of the user's or of the machine's, which the message names."""
    DIVERGED = "diverged"
    """What it computed is not finite, which the message tells."""
    CRASHED = "crashed"


_CERTAIN = {REFUSED: Ending.REFUSED, DIVERGED: Ending.DIVERGED}
"""Exit codes with which a job would end again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    :param message: one line; of a job that finished it is empty, unless there is something to tell.
    :param killed: whether SIGKILL ended it, with which Linux ends what takes too much memory.
    """

    ending: Ending
    message: str = ""
    killed: bool = False


def _ignore(_line: str) -> None:
    pass


class Running(Protocol):
    """A job under way. As a context manager it is stopped, if it still runs, when the context
    ends."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def lines(self) -> Iterator[str]:
        """The lines that it prints, as they come, until it has ended."""
        ...

    def wait(self, report: Callable[[str], None] = ...) -> Outcome:
        """Wait until it has ended. An exception that is raised meanwhile, such as an interrupt,
        stops it and is then raised again.

        :param report: told every line that it prints.
        """
        ...

    def stop(self, report: Callable[[str], None] = ...) -> Outcome:
        """Tell it to stop, wait for the job's ``grace_seconds``, then kill it; nothing where it
        has ended.

        :param report: told every line that it prints meanwhile.
        """
        ...


class Launcher(Protocol):
    """Starts jobs somewhere."""

    def start(self, job: Job) -> Running: ...


@dataclass(frozen=True, slots=True)
class LocalProcess:
    """Runs each job as a child process on this machine, which dies with the process that started
    it (:mod:`trm_model.lifeline`).

    Start it and wait for it in one thread, the main one where signals shall interrupt the waiting:
    Linux takes the end of the thread that started a child for the end of its parent.

    :param poll_seconds: longest time for which a waiting process looks away, and so the longest
        that a signal waits for its handler.
    """

    poll_seconds: float = 0.2

    def start(self, job: Job) -> "RunningProcess":
        """Start the job's process, with this one's interpreter, folder and environment. The
        process belongs to no group of processes, whatever this one belongs to."""
        inherited = {name: os.environ[name] for name in os.environ if name not in GROUP_VARIABLES}
        process = subprocess.Popen(
            [sys.executable, "-m", job.module, *job.arguments],
            env={**inherited, PARENT_VARIABLE: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Out of reach of the terminal's Ctrl-C, which this process passes on.
            start_new_session=True,
        )
        return RunningProcess(process, job, self.poll_seconds)


@dataclass(frozen=True, slots=True)
class Torchrun:
    """Runs each job as several processes that find one another (:mod:`trm_model.ranks`), which
    another launcher starts on one machine.

    :param processes: the number of processes of each job.
    """

    processes: int
    launcher: Launcher = LocalProcess()

    def start(self, job: Job) -> Running:
        """Start the processes; when one of them dies, all are started again."""
        told = (str(self.processes), str(job.grace_seconds), str(job.progress or ""))
        return self.launcher.start(
            replace(
                job,
                module=ranks.__name__,
                arguments=(*told, job.module, *job.arguments),
                # It waits for them that long, and has then to kill them.
                grace_seconds=job.grace_seconds + ranks.MARGIN,
            )
        )


class RunningProcess:
    """A job that :class:`LocalProcess` has started."""

    def __init__(self, process: "subprocess.Popen[bytes]", job: Job, poll_seconds: float) -> None:
        assert process.stdout is not None
        self.process, self.job = process, job
        self._poll_seconds = poll_seconds
        self._output = process.stdout
        self._begun = b""
        self._last: deque[str] = deque(maxlen=_LAST_LINES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def lines(self) -> Iterator[str]:
        """See :class:`Running`."""
        return self._lines(float("inf"))

    def wait(self, report: Callable[[str], None] = _ignore) -> Outcome:
        """See :class:`Running`."""
        try:
            for line in self.lines():
                report(line)
        finally:
            outcome = self.stop(report)
        return outcome

    def stop(self, report: Callable[[str], None] = _ignore) -> Outcome:
        """See :class:`Running`."""
        try:
            if self.process.poll() is None:
                self.process.terminate()
                for line in self._lines(time.monotonic() + self.job.grace_seconds):
                    report(line)
        finally:
            if self.process.poll() is None:
                # With all that it has started: the process leads a session of its own.
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self._output.close()
        return self._outcome()

    def _lines(self, deadline: float) -> Iterator[str]:
        """Lines until the process has ended or ``deadline`` (of the monotonic clock) has passed.

        The end of the pipe is not waited for: something that the process has started may hold it
        open.
        """
        ended = self._output.closed
        while not ended and time.monotonic() < deadline:
            # Asked before reading: all that it printed before its end is then read.
            ended = self.process.poll() is not None
            more = self._read(0.0 if ended else self._poll_seconds)
            yield from self._take_lines()
            ended = ended and not more
        if ended and self._begun:
            self._begun += b"\n"
            yield from self._take_lines()

    def _read(self, seconds: float) -> bool:
        """Read what is there or comes within ``seconds``; False where nothing does."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            if not selector.select(seconds):
                return False
        data = os.read(self._output.fileno(), 1 << 16)
        self._begun += data
        if not data:
            # The pipe's end is always ready to be read, and the process may live on without it.
            time.sleep(seconds)
        return bool(data)

    def _take_lines(self) -> Iterator[str]:
        """The complete lines that were read; one at a time, so that none is lost where the reader
        stops in between."""
        while b"\n" in self._begun:
            line, _, self._begun = self._begun.partition(b"\n")
            text = line.decode("utf-8", errors="replace").rstrip()
            self._last.append(text)
            yield text

    def _outcome(self) -> Outcome:
        code = self.process.returncode
        if code == 0:
            return Outcome(Ending.FINISHED)
        if code in (INTERRUPTED, -signal.SIGTERM, -signal.SIGINT):
            return Outcome(Ending.INTERRUPTED, f"{self.job.module} was interrupted")
        mistakes = [line.removeprefix(ERROR) for line in self._last if line.startswith(ERROR)]
        if code in _CERTAIN:
            return Outcome(_CERTAIN[code], mistakes[-1] if mistakes else " ".join(self._last))
        if code in (CRASHED, NO_MEMORY) and mistakes:
            return Outcome(Ending.CRASHED, mistakes[-1])
        killed = code in (KILLED, -signal.SIGKILL)
        how = f"exit code {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"
        said = next((line for line in reversed(self._last) if line), "nothing")
        return Outcome(
            Ending.CRASHED, f"{self.job.module} crashed ({how}); its last line was: {said}", killed
        )
