"""Locks: one holder at a time, named to those who wait, free once the holder is gone."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage.lock import LockedError, is_held, lock
from storage.store import LocalStore

HOLD = """
import sys, time
from pathlib import Path
from storage.lock import lock
with lock(Path(sys.argv[1]), label="a test", wait_seconds=9, waiting=print):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(path: Path) -> "subprocess.Popen[str]":
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    path, told = tmp_path / "locks" / "x.lock", list[str]()
    with hold(path) as holder:
        with (
            pytest.raises(LockedError, match="after 0 s of waiting; end that process") as error,
            lock(path, label="me", wait_seconds=0.3, waiting=told.append),
        ):
            pytest.fail("locked twice")
        assert is_held(path)
        name = f"{path} is locked by process {holder.pid} (a test)"
        assert told == [f"waiting until it is free: {name}"]
        assert str(error.value).startswith(name)
        holder.kill()
    assert not is_held(path)
    assert not is_held(tmp_path / "never locked")
    with lock(path, label="me", wait_seconds=5, waiting=told.append):
        assert path.read_text() == f"process {os.getpid()} (me)\n"


def test_waiting_ends_when_told_to_stop(tmp_path: Path) -> None:
    path, began = tmp_path / "x.lock", time.monotonic()
    with (
        lock(path, label="one", wait_seconds=1, waiting=print),
        pytest.raises(LockedError, match=r"\(one\)"),
        lock(path, label="two", wait_seconds=60, waiting=lambda _: None, stop=lambda: True),
    ):
        pytest.fail("locked twice")
    assert time.monotonic() - began < 10


def test_a_lock_is_free_after_its_context_and_the_file_stays(tmp_path: Path) -> None:
    path, told = tmp_path / "x.lock", list[str]()
    with (
        pytest.raises(RuntimeError, match="midway"),
        lock(path, label="one", wait_seconds=0, waiting=told.append),
    ):
        raise RuntimeError("midway")
    with LocalStore(tmp_path).lock("x.lock", label="2", wait_seconds=0, waiting=told.append):
        assert path.exists()
    assert told == []


def test_a_forked_child_does_not_free_its_parents_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    program = (
        "import os, sys, time\nfrom pathlib import Path\nfrom storage.lock import lock\n"
        "with lock(Path(sys.argv[1]), label='parent', wait_seconds=0, waiting=print):\n"
        "    child = os.fork()\n"
        "    if child == 0: os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(LockedError),
            lock(path, label="me", wait_seconds=0.2, waiting=lambda _: None),
        ):
            pytest.fail("locked twice")
        holder.kill()
