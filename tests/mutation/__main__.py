"""A trial of the tests: are small changes of the code noticed by the tests of the changed module?

``python -m tests.mutation [PATH …] [--count N] [--seed S]`` draws mutants of the modules under the
paths, runs the tests of each changed module in a copy of the tree, and prints what nobody noticed.
Written here, because mutmut changes functions only, through trampolines that numba and torch cannot
compile, and neither it nor cosmic-ray draws a sample or starts without importing torch each time.
"""

import argparse
import importlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.mutation.mutants import Mutant, places

ROOT = Path(__file__).resolve().parents[2]
MODEL = "tests/trm_model/model"
TESTS = {
    "storage": ["tests/storage"],
    "trm_model/choices.py": [
        "tests/trm_model/test_choices.py",
        "tests/trm_model/test_plain_data.py",
    ],
    "trm_model/noise.py": ["tests/trm_model/test_noise.py", f"{MODEL}/test_corruption.py"],
    "trm_model/seeding.py": ["tests/trm_model/test_noise.py"],
    "trm_model/optimizers": ["tests/trm_model/optimizers", f"{MODEL}/test_model.py"],
    "trm_model/model": [MODEL],
    "trm_model/model/kernels": [f"{MODEL}/test_fused.py"],
    "trm_model/training": ["tests/trm_model/training", f"{MODEL}/test_model.py"],
    "trm_model/evaluation": ["tests/trm_model/evaluation"],
    "trm_model/puzzles/arc/votes.py": [
        "tests/trm_model/puzzles/test_voting.py",
        "tests/trm_model/puzzles/test_vote_ties.py",
    ],
    "assets/evaluation/metrics.py": ["tests/assets/evaluation"],
    "assets/tables.py": ["tests/assets/test_tables.py"],
}
"""What is changed -> the tests that are to notice it."""
PRELOADED = ("torch", "numba", "zarr", "polars", "scipy.ndimage", "webdataset", "dagster")
"""Imported once, before the processes that run tests are forked off."""
TEST_SECONDS = 20.0
"""Tests of one room to run for a mutant: the quickest, up to this many seconds in all."""
WARM_UP = [f"{MODEL}/test_fused.py", "tests/trm_model/training/test_metrics.py"]
"""Run first: they compile, which would else be counted as the time of tests that are quick."""
LEAST_TIMEOUT = 120.0
"""For modules whose change makes numba compile."""
LOG = "mutation.log"
"""What pytest printed last, in the copy of the tree."""


OUTCOMES = {"failed": "noticed", "crashed": "crashed", "timeout": "timeout", "passed": "survived"}
"""How tests end -> what became of the mutant."""


class _Durations:
    """A pytest plugin that adds up the seconds that each test takes which does not fail or skip."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if not report.passed:
            self.failed.add(report.nodeid)

    def passed(self) -> dict[str, float]:
        return {test: self.seconds[test] for test in self.seconds.keys() - self.failed}


def _in_child(tree: Path, tests: list[str], found: Connection) -> None:
    os.setsid()
    with (tree / LOG).open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.chdir(tree)
    os.environ["PYTHONPATH"] = sys.path[0] = str(tree)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    durations = _Durations()
    options = ["-q", "-m", "not slow and not browser", "-p", "no:cacheprovider"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # Of what is preloaded.
    code = pytest.main([*options, *tests], plugins=[durations])
    found.send((int(code), durations.passed()))


class Result(NamedTuple):
    """How tests ended: ``passed``, ``failed``, ``crashed`` or ``timeout``, and the seconds of each
    that passed."""

    ended: str
    seconds: dict[str, float]


def run_tests(tree: Path, tests: list[str], timeout: float | None = None) -> Result:
    """Run tests of a copy of the project in a process of their own."""
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(
        target=_in_child, args=(tree, tests, theirs)
    )
    child.start()
    theirs.close()
    try:
        if not ours.poll(timeout):
            return Result("timeout", {})
        code, seconds = ours.recv()
        return Result("passed" if code == pytest.ExitCode.OK else "failed", seconds)
    except EOFError:
        return Result("crashed", {})
    finally:
        child.join(1.0)
        if child.is_alive():
            os.killpg(child.pid or 0, signal.SIGKILL)
        child.join()


def room_of(module: str) -> str:
    """The key of :data:`TESTS` for a module, the most specific one."""
    rooms = [room for room in TESTS if module == room or module.startswith(f"{room}/")]
    return max(rooms, key=len)


def quickest(seconds: dict[str, float]) -> list[str]:
    """The quickest tests that take :data:`TEST_SECONDS` in all, in order."""
    chosen: list[str] = []
    total = 0.0
    for test in sorted(seconds, key=lambda test: seconds[test]):
        total += seconds[test]
        if total > TEST_SECONDS:
            break
        chosen.append(test)
    return chosen


def read_reasons() -> set[tuple[str, str, str]]:
    """Of the mutants that no test can notice: module, line of the source, change."""
    entries = tomllib.loads((Path(__file__).parent / "reasons.toml").read_text("utf-8"))["mutant"]
    return {(entry["module"], entry["line"], entry["change"]) for entry in entries}


def copy_tree(target: Path) -> None:
    """What git knows or would add, without what it ignores."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)


def drawn(paths: list[str], count: int, seed: int) -> list[tuple[str, Mutant]]:
    """``count`` mutants of the modules under ``paths``: places drawn without replacement, with one
    of the mutants of each."""
    files = {
        file
        for path in paths
        for file in ([ROOT / path] if path.endswith(".py") else (ROOT / path).rglob("*.py"))
    }
    found = [
        (file.relative_to(ROOT).as_posix(), place)
        for file in sorted(files)
        for place in places(file.read_bytes())
    ]
    rng = random.Random(seed)
    sample = rng.sample(found, min(count, len(found)))
    return sorted((module, rng.choice(place)) for module, place in sample)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", nargs="*", metavar="PATH", help="modules or folders")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # So that the child ends with us.
    reasons = read_reasons()
    outcomes = dict.fromkeys((*OUTCOMES.values(), "explained"), 0)
    rooms: dict[str, tuple[list[str], float]] = {}
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        tree = Path(folder) / "tree"
        copy_tree(tree)
        # By default the cache belongs to the bytes of many modules: each mutant would compile anew.
        os.environ["NUMBA_CACHE_DIR"] = str(Path(folder) / "numba")
        for name in PRELOADED:
            importlib.import_module(name)
        run_tests(tree, WARM_UP)
        for module, mutant in drawn(
            arguments.paths or list(TESTS), arguments.count, arguments.seed
        ):
            room = room_of(module)
            if room not in rooms:
                rooms[room] = _without_mutant(tree, room)
            tests, usual = rooms[room]
            file, began = tree / module, time.monotonic()
            original = file.read_bytes()
            file.write_bytes(mutant.applied(original))
            result = run_tests(tree, tests, max(4.0 * usual, LEAST_TIMEOUT))
            file.write_bytes(original)
            outcome = OUTCOMES[result.ended]
            line = original.splitlines()[mutant.line - 1].decode().strip()
            if outcome == "survived" and (module, line, mutant.change) in reasons:
                outcome = "explained"
            outcomes[outcome] += 1
            seconds = time.monotonic() - began
            print(
                f"{outcome:9} {module}:{mutant.line}: {mutant.change} ({seconds:.1f} s)", flush=True
            )
    total = sum(outcomes.values())
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    share = (total - outcomes["survived"]) / max(total, 1)
    print(f"seed {arguments.seed}: {total} mutants, {counts}: {share:.0%} noticed or explained")


def _without_mutant(tree: Path, room: str) -> tuple[list[str], float]:
    """The tests to run for a room's mutants, and the seconds that they take."""
    found = run_tests(tree, ["--continue-on-collection-errors", *TESTS[room]])
    if found.ended != "passed":
        print((tree / LOG).read_text("utf-8")[-2000:])
        print(f"{room}: tests fail without any mutant; going on with the others", flush=True)
    tests = quickest(found.seconds)
    began = time.monotonic()
    if not tests or run_tests(tree, ["-x", *tests]).ended != "passed":
        print((tree / LOG).read_text("utf-8")[-2000:])
        sys.exit(f"{room}: its tests fail without any mutant; make them pass first")
    seconds = time.monotonic() - began
    print(f"{room}: {len(tests)} of {len(found.seconds)} tests, {seconds:.1f} s", flush=True)
    return ["-x", *tests], seconds


if __name__ == "__main__":
    main()
