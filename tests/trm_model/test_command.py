"""The library's command line where it is alone, and its former names."""

import subprocess
import sys
from pathlib import Path

import pytest

from trm_model.command import main

ROOT = Path(__file__).resolve().parents[2]
ALONE = """
import runpy, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("dagster", "dagster_pipes", "polars", "assets", "pipelines"):
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)
sys.meta_path.insert(0, Refuse())
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__")
"""


def call(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m module`` where neither Dagster nor polars is installed."""
    return subprocess.run(
        [sys.executable, "-c", ALONE, module, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "words", [["trm_model", "variants", "trm_n8_t4"], ["trm_model.variant", "trm_n8_t4"]]
)
def test_variants(words: list[str]) -> None:
    done = call(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "72 layers per supervision step: 36 calls x 2" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trm_model", "solve", "nowhere", "1"], "nowhere: no such checkpoint"),
        (["trm_model.solve", "nowhere", "1"], "nowhere: no such checkpoint"),
        (["trm_model", "conformance", "nowhere"], "expected configs.json"),
        (["trm_model.conformance", "nowhere"], "expected configs.json"),
        (["trm_model.train", "nowhere"], "nowhere/run.json"),
        (["trm_model", "train"], "No such command 'train'; see python -m trm_model --help"),
    ],
)
def test_every_name_leads_to_its_command(words: list[str], message: str) -> None:
    done = call(*words)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_training_process_is_tied_to_its_parent_before_anything_heavy_loads() -> None:
    program = (
        "import sys, trm_model.train; "
        "print(sorted(sys.modules.keys() & {'torch', 'numpy', 'numba', 'zarr', 'dagster'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_help_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", "-h"]) == 0
    assert capsys.readouterr().out.startswith("Usage: python -m trm_model solve")
