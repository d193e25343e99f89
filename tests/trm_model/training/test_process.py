"""The training process, called in this one: what it waits for, refuses, records and returns."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage import lock as locking
from storage.examples import VALIDATION
from tests.trm_model.training.recipes import tiny_spec
from trm_model.lifeline import DIVERGED, ERROR, NO_MEMORY, REFUSED
from trm_model.training import checkpoint, process
from trm_model.training.checkpoint import Checkpoint, Progress, save
from trm_model.training.figures import WAITING
from trm_model.training.folders import step_reached
from trm_model.training.run import CodeSpan, RunSpec, run_store


@pytest.fixture(autouse=True)
def _ours(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """This process outlives its parent, and handles its own signals again afterwards."""
    monkeypatch.setattr(process, "die_with_parent", lambda: None)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def spec(tmp_path: Path, tiny: tuple[object, Path, str]) -> RunSpec:
    return tiny_spec(tmp_path, tiny[1], tiny[2], steps=3)


def test_trains_to_the_last_step_and_has_nothing_to_do_afterwards(
    tmp_path: Path, spec: RunSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    spec.write(tmp_path)
    assert process.main([str(tmp_path)]) == 0
    assert step_reached(tmp_path) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("starting: ")
    assert "step 3/3" in lines[-1]
    # Also where it is named by the pointer that lies beside runs.
    store = run_store(tmp_path)
    store.point(store.key(tmp_path / "current"), store.key(tmp_path))
    assert process.main([str(tmp_path / "current")]) == 0
    assert "finished already, at step 3: kept" in capsys.readouterr().out
    assert process.main([str(tmp_path / "run.json" / "run")]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}/run.json: a file, expected a ")
    # Finished under whatever code: nothing is refused, and nothing is recorded.
    other = replace(spec, code=(CodeSpan(version="other"),))
    other.write(tmp_path)
    assert process.main([str(tmp_path)]) == 0
    assert RunSpec.read(tmp_path) == other
    assert capsys.readouterr().out.splitlines()[1:] == ["finished already, at step 3: kept"]


def test_validates_with_the_puzzles_named_and_without_where_they_are_gone(
    tmp_path: Path, tiny: tuple[object, Path, str], spec: RunSpec,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "validation").mkdir()
    shutil.copytree(tiny[1] / "test.zarr", tmp_path / "validation" / VALIDATION)
    key = run_store(tmp_path).key(tmp_path / "validation")
    replace(spec, validation=key).write(tmp_path)
    assert process.main([str(tmp_path)]) == 0
    assert "of the validation puzzles (step 3)" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "validation")
    again = tmp_path / "again"
    again.mkdir()
    replace(spec, validation=key).write(again)
    assert process.main([str(again)]) == 0
    assert "no validation, the training goes on without: " in capsys.readouterr().out


def test_initial_weights_that_are_missing_are_refused(
    tmp_path: Path, spec: RunSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(spec, initial="0123456789abcdef").write(tmp_path)
    assert process.main([str(tmp_path)]) == REFUSED
    (line,) = capsys.readouterr().err.splitlines()
    assert "initial.safetensors" in line
    assert "materialize the checkpoint again" in line


def test_other_code_is_refused_unless_asked_for_and_recorded(
    tmp_path: Path, spec: RunSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    began = replace(spec, code=(CodeSpan(version="other"),))
    began.write(tmp_path)
    assert process.main([str(tmp_path)]) == REFUSED == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{ERROR}this run was to be trained by code version other, and")
    assert process.main([str(tmp_path), "--continue-other-code"]) == 0
    (version,) = {span.version for span in spec.code}
    assert RunSpec.read(tmp_path).code == (
        CodeSpan(version="other"),
        CodeSpan(version=version, from_step=0),
    )
    assert "trained by several code versions: other from step 0" in capsys.readouterr().out


def test_who_has_trained_it_stays_on_record_where_no_checkpoint_is_whole(
    tmp_path: Path, spec: RunSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    """They may be put back from a copy."""
    spans = (*spec.code, CodeSpan(version="other", from_step=2))
    replace(spec, code=spans).write(tmp_path)
    checkpoint = save(tmp_path, Checkpoint({}, {}, {}, {}, Progress(step=2)))
    (checkpoint / "progress.json").unlink()
    assert process.main([str(tmp_path)]) == REFUSED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{ERROR}{checkpoint / 'progress.json'}: missing")
    assert f"or remove {checkpoint.parent} to train from the start" in line
    assert RunSpec.read(tmp_path).code == spans


def test_how_long_it_waits_for_run_and_device(
    tmp_path: Path, spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute for the orphan of a killed step, a week for the device."""
    asked: list[tuple[str, float]] = []

    @contextlib.contextmanager
    def lock(path: Path, *, wait_seconds: float, **_: Any) -> Generator[None]:
        asked.append((path.name, wait_seconds))
        yield

    monkeypatch.setattr(locking, "lock", lock)
    monkeypatch.setattr("storage.store.lock", lock)
    replace(spec, device_locks=("devices/cpu",)).write(tmp_path)
    assert process.main([str(tmp_path)]) == 0
    assert asked == [("lock", 60.0), ("cpu", 604_800.0)]


def test_what_is_done_or_refused_does_not_wait_for_the_device(
    tmp_path: Path, spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec.write(tmp_path)
    assert process.main([str(tmp_path)]) == 0

    def lock(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("storage.store.lock", lock)
    locked = replace(spec, device_locks=("devices/cpu",))
    locked.write(tmp_path)
    assert process.main([str(tmp_path)]) == 0
    replace(locked, data_version="other").write(tmp_path)
    assert process.main([str(tmp_path)]) == REFUSED


def test_while_it_waits_for_the_device_its_folder_says_so(
    tmp_path: Path, spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    @contextlib.contextmanager
    def lock(_path: Path, *, waiting: Callable[[str], None], **_: Any) -> Generator[None]:
        waiting("for another training")
        told.append((tmp_path / WAITING).read_text("utf-8"))
        yield

    monkeypatch.setattr("storage.store.lock", lock)
    replace(spec, device_locks=("devices/cpu",)).write(tmp_path)
    assert process.main([str(tmp_path)]) == 0
    assert told == ["for another training"]
    assert not (tmp_path / WAITING).exists()


@pytest.mark.parametrize(
    ("break_it", "arguments", "message"),
    [
        (lambda run: (run / "run.json").unlink(), [], "run.json: [Errno 2] No such file"),
        (
            lambda run: None,
            ["--import", "nowhere.at_all"],
            "nowhere.at_all: No module named 'nowhere'",
        ),
    ],
)
def test_a_users_mistake_is_one_line(
    tmp_path: Path,
    spec: RunSpec,
    capsys: pytest.CaptureFixture[str],
    break_it: Callable[[Path], object],
    arguments: list[str],
    message: str,
) -> None:
    spec.write(tmp_path)
    break_it(tmp_path)
    assert process.main([str(tmp_path), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(ERROR)
    assert message in line


def test_numbers_that_are_not_finite_end_it_in_one_line(
    tmp_path: Path, spec: RunSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = replace(spec.recipe, learning_rate=1e38, warmup_steps=0)
    replace(spec, recipe=recipe).write(tmp_path)
    assert process.main([str(tmp_path)]) == DIVERGED == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{ERROR}{tmp_path}: step ")
    assert line.endswith("in the recipe, or change its on_nonfinite, which begins a new run")
    assert step_reached(tmp_path) == 0


def test_a_missing_compiler_is_told_in_one_line(tmp_path: Path, spec: RunSpec) -> None:
    """By a process of its own: what torch has compiled in this one needs no compiler."""
    replace(spec, execution=replace(spec.execution, compile=True)).write(tmp_path)
    caches = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"), "CXX": "/no/such/compiler"}
    command = [sys.executable, "-m", process.__name__, str(tmp_path)]
    environment = os.environ | caches
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == REFUSED
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{ERROR}torch could not compile the model (")
    assert "/no/such/compiler" in line
    assert line.endswith("give compile=false")


def test_one_process_in_place_of_several_says_so_and_knows_what_it_takes(
    tmp_path: Path,
    spec: RunSpec,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    several = replace(spec, execution=replace(spec.execution, processes=2))
    several.write(tmp_path)
    assert process.main([str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "processes: 1, as it was started, in place of the 2 of run.json" in said

    def fail(_path: Path) -> object:
        raise MemoryError

    monkeypatch.setattr(checkpoint, "load_file", fail)
    replace(several, recipe=replace(spec.recipe, steps=5)).write(tmp_path)
    assert process.main([str(tmp_path)]) == NO_MEMORY
    size = spec.recipe.batch_size
    assert f" with micro_batch={size // 2} (it is {size})" in capsys.readouterr().err


def test_data_of_another_version_are_refused(
    tmp_path: Path, spec: RunSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(spec, data_version="0" * 64).write(tmp_path)
    assert process.main([str(tmp_path)]) == 2
    assert f"content hash {spec.data_version[:16]}, expected {'0' * 16};" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            MemoryError("no 8 GiB"),
            NO_MEMORY,
            "weights.safetensors: no 8 GiB); end other programs, or lower what this training "
            "takes, about ",
        ),
        (
            RuntimeError("can't allocate memory"),
            NO_MEMORY,
            "weights.safetensors: can't allocate memory); end",
        ),
        (
            OSError(errno.EIO, "Input/output error", "x"),
            REFUSED,
            "error; expected a disk",
        ),
    ],
)
def test_what_is_not_the_datas_fault_passes_over_no_checkpoint(
    tmp_path: Path,
    spec: RunSpec,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: int,
    message: str,
) -> None:
    spec.write(tmp_path)
    assert process.main([str(tmp_path)]) == 0
    longer = replace(spec, recipe=replace(spec.recipe, steps=5))
    longer.write(tmp_path)
    capsys.readouterr()

    def fail(_path: Path) -> object:
        raise error

    monkeypatch.setattr(checkpoint, "load_file", fail)
    assert process.main([str(tmp_path)]) == code
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith(ERROR)
    assert message in line
    assert "damaged" not in printed.out + printed.err
    assert step_reached(tmp_path) == 3
