"""The two commands for a GPU work on the CPU, so that they do the first time that there is one."""

import shutil
import subprocess
import sys

import pytest

from tests.gpu import bench


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for a CPU with g++")
def test_the_check_passes_against_the_cpu_itself() -> None:
    """In a process of its own: torch's compiler warns, and fails where a warning is an error."""
    command = [sys.executable, "-m", "tests.gpu.check", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, last = done.stdout.splitlines()
    assert last == "0 comparisons out of their bounds"
    assert sum(line.endswith(" ok") for line in lines) > 225


@pytest.mark.parametrize("name", ["sudoku_mlp", "sudoku_hrm"])
def test_the_bench_prints_its_figures(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["cpu", name]) == 0
    figures = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    case = f"{name}_eager_B4"
    assert figures == [
        "best_bfloat16_rate",
        "token_product_97_padded_B4",
        "token_product_97_not_padded_B4",
        case,
        *(f"{case}_{what}" for what in ("examples", "share", "first_step")),
        f"{name}_plain_eager_B4",
    ]
