"""Jobs as child processes: what they print, how they end, and that none outlives its launcher."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trm_model.launching import Ending, Job, LocalProcess, Outcome, Running, Torchrun
from trm_model.lifeline import PARENT_VARIABLE

LAUNCHER = LocalProcess(poll_seconds=0.05)
Write = Callable[[str], Job]

KEEPS = """
import signal, sys, time
def keep(*_):
    print("kept", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, keep)
print("ready", flush=True)
time.sleep(60)
"""
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(os.getpid(), helper.pid, flush=True)
time.sleep(60)
"""
LAUNCHES = """
import sys
from trm_model.launching import Job, LocalProcess
LocalProcess().start(Job(module=sys.argv[1])).wait(lambda line: print(line, flush=True))
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Makes a job of the text of a program."""
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(root)]))

    def make(text: str) -> Job:
        (tmp_path / "a_job.py").write_text(text)
        return Job(module="a_job", grace_seconds=10.0)

    return make


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10.0
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.01)


def test_progress_comes_while_it_runs(write: Write) -> None:
    # Where a shell starts the tests in the background, SIGINT is ignored, Dagster gives SIGTERM the
    # handler of SIGINT, and a child inherits that.
    text = "import signal; signal.signal(signal.SIGTERM, signal.SIG_DFL); print('one', flush=True)"
    job = write(f"{text}; import time; time.sleep(60)")
    with LAUNCHER.start(job) as running:
        assert next(iter(running.lines())) == "one"
        assert running.process.poll() is None
    assert running.process.returncode == -signal.SIGTERM


def test_finished_with_every_line_of_both_streams(write: Write) -> None:
    told: list[str] = []
    text = """
import sys
for number in range(20_000):
    print(number, file=(sys.stdout, sys.stderr)[number % 2], flush=True)
print("\\u2713 last, without an end", end="")
"""
    outcome = LAUNCHER.start(write(text)).wait(told.append)
    assert outcome == Outcome(Ending.FINISHED)
    assert told == [*map(str, range(20_000)), "✓ last, without an end"]


def test_it_gets_its_arguments_environment_and_parent(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setenv("COLOUR", "blue")
    # Of the group that this process may be of.
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    job = write(
        "import os, sys; "
        f"print(sys.argv[1:], os.environ['COLOUR'], os.environ['{PARENT_VARIABLE}'], "
        "os.environ.get('RANK'), os.environ.get('WORLD_SIZE'))"
    )
    job = Job(module=job.module, arguments=("a b", "--c"))
    LAUNCHER.start(job).wait(told.append)
    assert told == [f"['a b', '--c'] blue {os.getpid()} None None"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "import sys; print('error: no such run; give another', file=sys.stderr)\n"
            "print('something after it'); sys.exit(2)",
            Outcome(Ending.REFUSED, "no such run; give another"),
        ),
        (
            "import sys; print('error: not enough memory', file=sys.stderr); sys.exit(1)",
            Outcome(Ending.CRASHED, "not enough memory"),
        ),
        (
            "import sys; print('error: not enough memory', file=sys.stderr); sys.exit(3)",
            Outcome(Ending.CRASHED, "not enough memory"),
        ),
        (
            "import sys; print('error: the loss is not finite', file=sys.stderr); sys.exit(4)",
            Outcome(Ending.DIVERGED, "the loss is not finite"),
        ),
        ("raise SystemExit(143)", Outcome(Ending.INTERRUPTED, "a_job was interrupted")),
        (
            "print('step 3', flush=True); import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            Outcome(Ending.CRASHED, "a_job crashed (killed by SIGSEGV); its last line was: step 3"),
        ),
        (
            "1 / 0",
            Outcome(
                Ending.CRASHED,
                "a_job crashed (exit code 1); its last line was: ZeroDivisionError: division by "
                "zero",
            ),
        ),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            Outcome(
                Ending.CRASHED,
                "a_job crashed (killed by SIGKILL); its last line was: nothing",
                killed=True,
            ),
        ),
    ],
)
def test_how_it_ended(write: Write, text: str, expected: Outcome) -> None:
    running = LAUNCHER.start(write(text))
    assert running.wait() == expected
    # Asked again, it says the same.
    assert running.stop() == running.wait() == expected


def test_stopped_in_time(write: Write) -> None:
    told: list[str] = []
    running = LAUNCHER.start(write(KEEPS))
    lines = running.lines()
    assert next(lines) == "ready"
    assert running.stop(told.append).ending is Ending.INTERRUPTED
    assert told == ["kept"]


def test_killed_with_all_it_started_when_it_does_not_stop(write: Write) -> None:
    job = write(STUBBORN)
    running = LAUNCHER.start(Job(module=job.module, grace_seconds=0.3))
    pids = [int(word) for word in next(running.lines()).split()]
    started = time.monotonic()
    outcome = running.stop()
    assert 0.3 <= time.monotonic() - started < 5.0
    assert outcome.ending is Ending.CRASHED
    assert "killed by SIGKILL" in outcome.message
    for pid in pids:
        until_gone(pid)


def test_what_outlives_it_and_holds_its_output_is_not_waited_for(write: Write) -> None:
    text = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
"""
    told: list[str] = []
    started = time.monotonic()
    assert LAUNCHER.start(write(text)).wait(told.append).ending is Ending.FINISHED
    assert time.monotonic() - started < 30.0
    os.kill(int(told[0]), signal.SIGKILL)


class Recording:
    """A launcher that starts nothing."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def start(self, job: Job) -> Running:
        self.jobs.append(job)
        return LAUNCHER.start(Job(module="this", arguments=()))


def test_several_processes_are_one_job_of_another_launcher(tmp_path: Path) -> None:
    recording = Recording()
    job = Job(module="a_job", arguments=("a b",), grace_seconds=7.0, progress=tmp_path)
    with Torchrun(3, recording).start(job):
        pass
    [started] = recording.jobs
    assert started.module == "trm_model.ranks"
    assert started.arguments == ("3", "7.0", str(tmp_path), "a_job", "a b")
    assert started.grace_seconds == 17.0


ENDS_FIRST = """
import os, sys, time
if os.environ["RANK"] == "0":
    time.sleep(60)
print("error: rank", os.environ["RANK"], "of", os.environ["WORLD_SIZE"], flush=True)
sys.exit({code})
"""


def test_processes_that_die_again_and_again_are_given_up(write: Write) -> None:
    """One of two dies each time, without progress; the other one is ended with it."""
    job = write(ENDS_FIRST.format(code=9))
    told: list[str] = []
    outcome = Torchrun(2, LAUNCHER).start(job).wait(told.append)
    assert outcome == Outcome(Ending.CRASHED, "rank 1 of 2")
    assert told[-1].endswith("exit code 9), again without progress")
    assert sum(line.endswith(": all start again") for line in told) == 3


@pytest.mark.parametrize(
    ("code", "ending"), [(2, Ending.REFUSED), (3, Ending.CRASHED), (4, Ending.DIVERGED)]
)
def test_what_one_process_would_end_with_again_is_that_of_all(
    write: Write, code: int, ending: Ending
) -> None:
    told: list[str] = []
    outcome = Torchrun(2, LAUNCHER).start(write(ENDS_FIRST.format(code=code))).wait(told.append)
    assert outcome == Outcome(ending, "rank 1 of 2")
    assert told == ["error: rank 1 of 2"]


DIES_BESIDE_A_STUBBORN_ONE = """
import os, signal, sys, time
if os.environ["RANK"] == "0":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
time.sleep(0.5)
sys.exit(9)
"""


@pytest.mark.slow
def test_one_that_is_killed_because_another_died_is_not_what_was_killed(write: Write) -> None:
    """Four times, each after the thirty seconds that torch gives it."""
    job = write(DIES_BESIDE_A_STUBBORN_ONE)
    job = Job(module=job.module, grace_seconds=1.0)
    outcome = Torchrun(2, LAUNCHER).start(job).wait()
    assert (outcome.ending, outcome.killed) == (Ending.CRASHED, False)


KILLED_WHILE_IT_WRITES = """
import os, signal, sys
from pathlib import Path
from storage.atomic import staging
with staging(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_is_never_written_to_its_end_is_no_progress(write: Write, tmp_path: Path) -> None:
    progress = tmp_path / "checkpoints"
    job = write(KILLED_WHILE_IT_WRITES)
    job = Job(module=job.module, arguments=(str(progress),), progress=progress)
    told: list[str] = []
    outcome = Torchrun(1, LAUNCHER).start(job).wait(told.append)
    assert (outcome.ending, outcome.killed) == (Ending.CRASHED, True)
    assert told[-1] == "a process died (signal 9), again without progress"
    assert len(told) == 4


class Interrupt(BaseException):
    """As Dagster's."""


@pytest.fixture
def alarm() -> Iterator[None]:
    """Raises Interrupt in the main thread, half a second after it is set."""

    def ring(*_: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("alarm")
def test_an_interrupt_stops_it_and_goes_on(write: Write) -> None:
    told: list[str] = []

    def report(line: str) -> None:
        told.append(line)
        if line == "ready":
            signal.setitimer(signal.ITIMER_REAL, 0.2)

    running = LAUNCHER.start(write(KEEPS))
    with pytest.raises(Interrupt):
        running.wait(report)
    assert told == ["ready", "kept"]
    assert running.process.returncode == 143


@pytest.mark.usefixtures("alarm")
def test_a_second_interrupt_kills_it(write: Write) -> None:
    text = KEEPS.replace("sys.exit(143)", "time.sleep(60)")

    def report(_line: str) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.2)

    running = LAUNCHER.start(write(text))
    with pytest.raises(Interrupt):
        running.wait(report)
    assert running.process.returncode == -signal.SIGKILL


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="parents' deaths are Linux's")
@pytest.mark.parametrize(("keeps", "grace"), [("sys.exit(143)", 60.0), ("time.sleep(60)", 0.2)])
def test_it_ends_when_its_launcher_is_killed(write: Write, keeps: str, grace: float) -> None:
    """By itself, and even if it does not listen."""
    text = KEEPS.replace("sys.exit(143)", keeps).replace(
        'print("ready"', "import os; print(os.getpid()"
    )
    job = write(f"from trm_model.lifeline import die_with_parent\ndie_with_parent({grace})\n{text}")
    parent = subprocess.Popen(
        [sys.executable, "-c", LAUNCHES, job.module], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until_gone(pid)
