"""Rules about the code itself."""

import ast
import gc
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from grimp import ImportGraph, Layer, PackageDependency, build_graph

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipelines", "assets", "trm_model", "storage")
"""From the top down; a package imports those after it and no other."""
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


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


ALIASES = ("train", "solve", "variant", "conformance")
GROUND = (
    "choices",
    "compiled",
    "devices",
    "errors",
    "finite",
    "launching",
    "lifeline",
    "names",
    "noise",
    "own_files",
    "pretrained",
    "ranks",
    "seeding",
    "terminal",
    "texts",
    "version",
)
FLOORS = (
    Layer("__main__", *ALIASES, independent=True),
    Layer("command"),
    Layer("inspection"),
    Layer("solving"),
    Layer("authors"),
    Layer("training"),
    Layer("evaluation", "variants", independent=True),
    Layer("model"),
    Layer("optimizers", "puzzles", "schedules", "trackers", independent=True),
    Layer(*GROUND, independent=False),
)
"""Those of ``trm_model``, from the top down; independent ones do not import each other."""


@pytest.fixture(scope="module")
def imports() -> ImportGraph:
    """Every import of one of our modules by another, those in functions and under TYPE_CHECKING
    included.
    """
    return build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)


def described(violations: Iterable[PackageDependency]) -> list[str]:
    return sorted(
        f"{' or '.join(sorted(route.heads))} imports "
        f"{' -> '.join([*route.middle, ' or '.join(sorted(route.tails))])}"
        for violation in violations
        for route in violation.routes
    )


def test_packages_import_one_way(imports: ImportGraph) -> None:
    layers = [Layer(package) for package in PACKAGES]
    assert described(imports.find_illegal_dependencies_for_layers(layers)) == []


def test_floors_of_the_library_import_downwards(imports: ImportGraph) -> None:
    floors = {f"trm_model.{name}" for floor in FLOORS for name in floor.module_tails}
    rooms = imports.find_children("trm_model")
    assert rooms - floors == set(), "a room without a floor: add it to FLOORS"
    assert floors - rooms == set(), "a floor without a room: remove it from FLOORS"
    found = imports.find_illegal_dependencies_for_layers(FLOORS, containers={"trm_model"})
    assert described(found) == []


def test_no_module_imports_itself_by_way_of_others(imports: ImportGraph) -> None:
    """The standard library's sorter names a circle where there is one."""
    modules = TopologicalSorter(
        {module: imports.find_modules_directly_imported_by(module) for module in imports.modules}
    )
    modules.prepare()


def test_no_circles_between_the_rooms_of_a_package(imports: ImportGraph) -> None:
    ours = set(PACKAGES).union(*map(imports.find_descendants, PACKAGES))
    circles = {package: imports.nominate_cycle_breakers(package) for package in ours}
    assert {package: breakers for package, breakers in circles.items() if breakers} == {}


def test_only_the_graph_imports_dagster(imports: ImportGraph) -> None:
    users = imports.find_modules_that_directly_import("dagster")
    assert {user.split(".")[0] for user in users} == {"assets", "pipelines"}


def test_only_commands_import_click(imports: ImportGraph) -> None:
    """Training runs where click is not installed."""
    users = imports.find_modules_that_directly_import("click")
    assert users
    assert {user.split(".")[-1] for user in users} == {"actions", "command", "terminal"}
    importers = set[str]().union(*map(imports.find_modules_that_directly_import, users))
    assert {name.split(".")[-1] for name in importers} <= {
        "actions",
        "command",
        "materialize",
        "terminal",
        "__main__",
        *ALIASES,
    }


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
import importlib, pkgutil, sys
ABSENT = sys.argv[2].split()
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)
sys.meta_path.insert(0, Refuse())
import trm_model
for module in pkgutil.walk_packages(trm_model.__path__, "trm_model."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        # Commands are not part of training, and torch for GPUs brings Triton.
        if error.name not in ("click", "triton"):
            raise
from trm_model.training import process
sys.exit(process.main([sys.argv[1]]))
"""
ABSENT = "dagster dagster_pipes polars pandera matplotlib webdataset click assets pipelines"


def test_trains_where_only_torch_numpy_numba_safetensors_and_zarr_are(
    tmp_path: Path, tiny: tuple[object, Path, str]
) -> None:
    from tests.trm_model.training.recipes import tiny_spec

    _, folder, content_hash = tiny
    tiny_spec(tmp_path, folder, content_hash, steps=6).write(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(tmp_path), ABSENT],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "checkpoints" / "step-00000006").is_dir()
