"""Rules about the code itself."""

import ast
import gc
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORDER = ("storage", "trm_model", "assets", "pipelines")
SOURCES = [path for package in ORDER for path in sorted((ROOT / package).rglob("*.py"))]


@cache
def parsed(path: Path) -> ast.Module:
    """A file's syntax tree.

    Without garbage collection meanwhile: Python 3.11 raises SystemError ("AST constructor recursion
    depth mismatch") when a collection runs Python code in the middle, as hypothesis's callback does
    (cpython issue 106905).
    """
    gc.disable()
    try:
        return ast.parse(path.read_text("utf-8"))
    finally:
        gc.enable()


def imported(path: Path) -> set[str]:
    """Top-level names of the modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    above = set(ORDER[ORDER.index(package) + 1 :]) | {"tests"}
    assert not imported(path) & above
    if package in ("storage", "trm_model"):
        assert "dagster" not in imported(path)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_global_randomness_and_no_pickle(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = parsed(path)
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    global_numpy = {
        name
        for name in calls
        if name.startswith("np.random.") and name not in ("np.random.Generator", "np.random.Philox")
    }
    assert not global_numpy
    assert not calls & {
        "torch.manual_seed",
        "torch.seed",
        "random.seed",
        "random.random",
        "pickle.load",
        "pickle.loads",
    }
    # State dicts of other projects are read as tensors alone.
    loads = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert all(
        {ast.unparse(word) for word in node.keywords} >= {"weights_only=True"} for node in loads
    )
    from_pickle = {
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "pickle"
    }
    assert from_pickle <= {"from pickle import UnpicklingError"}
    assert "random" not in imported(path)
    assert "import pickle" not in text.replace("from pickle import", "")


BARE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        absent = "dagster dagster_pipes polars pandera matplotlib webdataset assets pipelines".split()
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)
sys.meta_path.insert(0, Refuse())
import pkgutil, importlib, trm_model
for module in pkgutil.walk_packages(trm_model.__path__, "trm_model."):
    importlib.import_module(module.name)
from trm_model.training import process as train
sys.exit(train.main([sys.argv[1]]))
"""


def test_trains_where_only_torch_numpy_numba_safetensors_and_zarr_are(
    tmp_path: Path, tiny: tuple[object, Path, str]
) -> None:
    from tests.trm_model.training.recipes import tiny_spec

    _, folder, content_hash = tiny
    tiny_spec(tmp_path, folder, content_hash, steps=6).write(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "checkpoints" / "step-00000006").is_dir()
