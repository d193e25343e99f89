"""The command ``trm`` as a user types it."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from assets.benchmarks import BENCHMARKS
from assets.stages import SEEDS
from assets.titles import titles
from pipelines import command
from storage.lock import lock
from trm_model.terminal import MISTAKE, run

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "check",
    "compare",
    "conformance",
    "data",
    "demo",
    "evaluate",
    "inspect",
    "plan",
    "prune",
    "publish",
    "puzzles",
    "runs",
    "scores",
    "solve",
    "study",
    "test",
    "train",
    "ui",
    "variants",
}
HEAVY = ("torch", "numpy", "numba", "polars", "dagster", "zarr", "pydantic", "matplotlib", "yaml")
PROGRAM = """
import sys
from pipelines.command import main
try:
    main()
finally:
    print("heavy:", *(sys.modules.keys() & set({heavy!r})), file=sys.stderr)
"""


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``trm`` in a process that says last on standard error which heavy packages it has loaded."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(heavy=HEAVY), *arguments],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_list_of_commands_loads_nothing_heavy() -> None:
    done = call("--help")
    listed = done.stdout.partition("Commands:\n")[2].splitlines()
    assert {line.split()[0] for line in listed} == COMMANDS
    assert all(line.endswith(".") and not line.endswith("...") for line in listed), "summaries fit"
    assert done.stderr == "heavy:\n"


@pytest.mark.parametrize("name", sorted(COMMANDS - {"puzzles"}))
def test_the_help_of_a_command_loads_nothing_heavy(name: str) -> None:
    done = call(name, "--help")
    assert done.stdout.startswith(f"Usage: trm {name} ")
    assert done.stderr == "heavy:\n"


@pytest.mark.parametrize(
    "name", ["check", "compare", "data", "evaluate", "plan", "publish", "study", "train"]
)
def test_what_takes_settings_or_reads_runs_imports_ones_own_modules_first(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [name, "sudoku_4x4", "--import", "nowhere"]
    assert run(command.trm, arguments, program="trm") == MISTAKE
    assert capsys.readouterr().err.startswith("error: nowhere: No module named 'nowhere'; ")


def test_puzzles_are_mounted() -> None:
    pytest.importorskip("trm_model.puzzles.command")
    done = call("puzzles", "--help")
    assert done.stdout.startswith("Usage: trm puzzles ")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("trm ", COMMANDS),
        ("trm va", {"variants"}),
        ("trm data x --stage ", {"puzzles", "examples", "shards"}),
        ("trm data maze_", {"maze_small", "maze_hard", "maze_unique", "maze_csv"}),
        ("trm scores sudoku_4", {"sudoku_4x4"}),
        ("trm train x --partition 'trm|", {f"trm|{seed}" for seed in range(SEEDS)}),
        ("trm evaluate x --pa", {"--partition"}),
        ("trm solve --show", {"--show-steps"}),
    ],
)
def test_the_shell_completes_without_loading_anything_heavy(words: str, offered: set[str]) -> None:
    done = call(
        _TRM_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split(" ")) - 1),
    )
    assert {line.partition(",")[2] for line in done.stdout.split()} == offered
    assert done.stderr == "heavy:\n"


def test_the_shell_completes_variants() -> None:
    for context in (["variants"], ["train", "sudoku_4x4", "--partition"]):
        completion = ShellComplete(command.trm, {}, "trm", "_TRM_COMPLETE")
        offered = {item.value for item in completion.get_completions(context, "separate_n")}
        ending = "" if context == ["variants"] else "|0"
        assert offered == {f"separate_networks{ending}"}


def test_the_help_of_a_command_lists_the_benchmarks(capsys: pytest.CaptureFixture[str]) -> None:
    assert dict(titles()) == {name: entry.title for name, entry in BENCHMARKS.items()}
    for name in ("train", "data", "evaluate", "check", "scores"):
        assert run(command.trm, [name, "--help"], program="trm") == 0
        shown = capsys.readouterr().out
        assert re.search("sudoku_4x4 +4 x 4 Sudoku, generated: minutes on a laptop", shown)


def test_mistakes_are_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["solv"], "No such command 'solv'. Did you mean 'solve'?; see trm --help"),
        (["train"], "Missing argument 'BENCHMARK'; see trm train --help"),
        (["train", "sudoku"], "no benchmark 'sudoku': did you mean sudoku_4x4 or sudoku_6x6 or"),
        (["train", "sudoku_4x4"], "no partition: give --partition VARIANT|SEED"),
        (["evaluate", "sudoku_4x4"], "no partition: give --partition VARIANT|SEED"),
        (["train", "sudoku_4x4", "--stage", "shards"], "'shards' is not one of 'checkpoint'"),
        (["data", "sudoku_5x5"], "no benchmark 'sudoku_5x5': did you mean sudoku_"),
        (["data", "sudoku_4x4", "--set", "scores.x=1"], "--set scores.…: that stage is not run"),
        (["ui", "--port", "port"], "'port' is not a valid integer"),
        (["ui", "--port", "70000"], "port 70000 on 127.0.0.1 cannot be had"),
        (["variants", "nobody"], "no variant 'nobody': see: trm variants"),
        (["solve", "nowhere", "1"], "nowhere: no such checkpoint"),
    ):
        assert run(command.trm, arguments, program="trm") == MISTAKE, arguments
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert message in error
        assert error.count("\n") == 1


def test_a_lock_that_stays_taken_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lock"

    @click.group()
    def group() -> None: ...

    @group.command()
    def command() -> None:
        with lock(path, label="this", wait_seconds=0, waiting=lambda _: None):
            raise AssertionError

    with lock(path, label="a test", wait_seconds=0, waiting=lambda _: None):
        assert run(group, ["command"], program="trm") == MISTAKE
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path} is locked by process {os.getpid()} (a test)")
    assert error.count("\n") == 1


def test_a_port_in_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port: int = taken.getsockname()[1]
        assert run(command.trm, ["ui", "--port", str(port)], program="trm") == MISTAKE
    error = capsys.readouterr().err
    assert error.startswith(f"error: port {port} on 127.0.0.1 cannot be had (")
    assert error.count("\n") == 1


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command.trm, [], program="trm") == MISTAKE
    assert capsys.readouterr().err.startswith("Usage: trm [OPTIONS] COMMAND")
