"""Which modules a code version covers, and when it changes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assets.data.datasets import write_dataset
from assets.families.sudoku import GeneratedSudoku
from storage.store import LocalStore
from trm_model.errors import ConfigurationError
from trm_model.puzzles.plans import examples_modules
from trm_model.training import process
from trm_model.training.recipe import Recipe
from trm_model.training.run import WEIGHTS, choice_modules, training_version
from trm_model.variants import VARIANTS
from trm_model.version import closure, code_version

ROOT = Path(__file__).parents[2]
COVERED = [
    "storage.examples",
    "storage.manifest",
    "trm_model.choices",
    "trm_model.errors",
    "trm_model.noise",
    "trm_model.seeding",
    "trm_model.model.batch",
    "trm_model.model.reasoner",
    "trm_model.model.state",
    "trm_model.model.variant",
    "trm_model.model.kernels.instructions",
    "trm_model.model.kernels.swiglu",
    "trm_model.optimizers.adamw",
    "trm_model.puzzles.plans",
    "trm_model.training.checkpoint",
    "trm_model.training.initial",
    "trm_model.training.loop",
    "trm_model.training.losses",
    "trm_model.training.recipe",
    "trm_model.training.sampler",
    "trm_model.training.supervision",
    "trm_model.training.trainer",
]
EXEMPT = {
    "trm_model.evaluation": "validation on the way tests weights and changes none",
    "trm_model.training.validator": "the same",
    "trm_model.lifeline": "ends the process with the one that started it",
    "trm_model.training.process": "says when to begin and to stop, which no weight depends on",
    "trm_model.training.run": "describes a training, which is part of the key by itself",
    "trm_model.trackers": "send figures elsewhere, which no weight depends on",
    "trm_model.training.tracked": "the same",
    "trm_model.training.plan": "says what a training takes",
    "trm_model.training.memory": "the same",
    "trm_model.model.cost": "the same",
    "trm_model.model.kept": "the same",
    "trm_model.version": "computes the version that tells codes apart",
}
"""What the training process imports although it makes no weights, and why."""
NOT_COVERED = [
    "assets",
    "pipelines",
    "storage.build",
    "storage.shards",
    "storage.tables",
    "trm_model",
    "trm_model.authors",
    "trm_model.launching",
    "trm_model.puzzles.arc.votes",
    "trm_model.puzzles.questions",
    "trm_model.solving",
    "trm_model.training.job",
    "trm_model.variants",
    *EXEMPT,
]
SOLVERS = [
    "trm_model.puzzles.sudoku.generation",
    "trm_model.puzzles.sudoku.lanes",
    "trm_model.puzzles.sudoku.search",
    "trm_model.puzzles.maze.solving",
    "trm_model.puzzles.arc.votes",
]


def training_closure(variant: str = "trm_mlp") -> set[str]:
    return set(closure(*WEIGHTS, *choice_modules(VARIANTS[variant], Recipe())))


def within(names: set[str], room: str) -> set[str]:
    """The modules that are ``room`` or in it."""
    return {name for name in names if name == room or name.startswith(f"{room}.")}


def test_a_training_is_versioned_by_what_it_imports_and_nothing_else() -> None:
    found = training_closure()
    assert set(COVERED) <= found
    # ``trm_model`` itself names what users call; what is in it counts by itself.
    assert "trm_model" not in found
    rooms = [room for room in NOT_COVERED if room != "trm_model"]
    assert {room: within(found, room) for room in rooms} == {room: set[str]() for room in rooms}


def test_solvers_and_generators_are_not_covered() -> None:
    covered = training_closure()
    assert not set(SOLVERS) & covered
    assert not any(name.startswith("trm_model.puzzles.sudoku") for name in covered)


@pytest.mark.parametrize("online", [False, True])
def test_computed_examples_are_covered(tmp_path: Path, online: bool) -> None:
    origin = GeneratedSudoku(digits=4, train=4, test=2, extra_clues=(1, 4))
    store, frame = LocalStore.create(tmp_path), origin.puzzles().frame
    key, _ = write_dataset(store, "x", frame, origin, augmentations=1, seed=0, online=online)
    computed = examples_modules(store.open(key) / "train.zarr")
    assert computed == (["trm_model.puzzles.sudoku.examples"] if online else [])
    plain = training_version(VARIANTS["trm_mlp"], Recipe())
    assert (training_version(VARIANTS["trm_mlp"], Recipe(), computed) != plain) == online


def test_choices_are_covered_where_they_are_used() -> None:
    noisy = "trm_model.model.starts.noisy"
    assert noisy in training_closure("drm")
    assert noisy not in training_closure("trm_mlp")
    versions = [training_version(VARIANTS[name], Recipe()) for name in ("drm", "trm_mlp", "no_ema")]
    assert versions[0] != versions[1] == versions[2]


IMPORTED = """
import sys
from trm_model.training import process
process.main(["/there/is/no/run"])
from trm_model.choices import Choice
def choices(cls):
    for choice in cls.__subclasses__():
        yield choice.__module__
        yield from choices(choice)
ours = {name for name in sys.modules if name.startswith(("trm_model.", "storage."))}
print("imported:", *(ours - set(choices(Choice))))
"""


def test_everything_that_the_process_imports_is_covered() -> None:
    """But for :data:`EXEMPT`, and for choices, which are imported to find them by name; those used
    are covered."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], capture_output=True, text=True, cwd=ROOT, check=True
    )
    imported = {
        name
        for name in {*done.stdout.partition("imported:")[2].split(), *closure(process.__name__)}
        if not (ROOT / name.replace(".", "/") / "__init__.py").exists()
    }
    assert len(imported) > 30
    exempt = {name for room in EXEMPT for name in within(imported, room)}
    assert imported - exempt <= training_closure()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of a user's own, imported."""
    folder = tmp_path / "versioned_package"
    (folder / "inner").mkdir(parents=True)
    for name, text in {
        "__init__": "",
        "root": (
            "from typing import TYPE_CHECKING\n"
            "from .sibling import thing\n"
            "from versioned_package import inner\n"
            "if TYPE_CHECKING:\n    import versioned_package.types_only\n"
            "def f():\n    import versioned_package.inner.late\n"
            "    from storage.lock import lock\n"
        ),
        "sibling": "import json\nthing = 1\n",
        "types_only": "",
        "unused": "",
        "inner/__init__": "",
        "inner/late": "from ..sibling import thing\n",
    }.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    __import__("versioned_package.root")
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


def test_imports_are_followed_wherever_they_stand(package: Path) -> None:
    found = closure("versioned_package.root")
    assert set(found) == {
        "versioned_package.root",
        "versioned_package.sibling",
        "versioned_package.inner",
        "versioned_package.inner.late",
        *closure("storage.lock"),
    }
    assert "storage.lock" in found
    assert found["versioned_package.inner"] == package / "inner" / "__init__.py"


def test_it_changes_with_what_it_covers(package: Path) -> None:
    before = code_version("versioned_package.root")
    assert before == code_version("versioned_package.root")
    assert len(before) == 16
    (package / "unused.py").write_text("x = 1\n")
    (package / "types_only.py").write_text("x = 1\n")
    assert code_version("versioned_package.root") == before
    (package / "inner" / "late.py").write_text("import versioned_package.unused\n")
    after = code_version("versioned_package.root")
    assert after != before
    (package / "unused.py").write_text("x = 2\n")
    assert code_version("versioned_package.root") not in (before, after)


@pytest.mark.parametrize("name", ["trm_model.nothing", "no_such_package.module", "__main__"])
def test_a_root_that_is_no_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with pytest.raises(ConfigurationError, match=f"{name}: this module is no file"):
        code_version(name)
