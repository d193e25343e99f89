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


def test_the_bench_prints_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    figures = {name: float(value) for name, value, *_ in map(str.split, lines)}
    cases = [f"{name}_eager_B4" for name in bench.CASES]
    assert figures.keys() == {
        "best_bfloat16_rate",
        "token_product_97_padded_B4",
        "token_product_97_not_padded_B4",
        *cases,
        *(
            f"{case}_{what}"
            for case in cases
            for what in ("best", "share", "examples", "first_step")
        ),
        *(f"{name}_plain_eager_B4" for name in bench.CASES),
    }
    for case in cases:
        share = figures[f"{case}_best"] / figures[case]
        assert figures[f"{case}_share"] == pytest.approx(share, rel=0.01)
