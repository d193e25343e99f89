"""Shared fixtures: tiny data sets, and the folders that not every machine has."""

import gc
from pathlib import Path

import pytest

from assets.data.datasets import write_dataset
from assets.families.sudoku import GeneratedSudoku
from storage.store import LocalStore

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_configure() -> None:
    """Look for garbage less often: among the many objects of all tests and modules it took a tenth
    of the time."""
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _store(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All temporary folders of the tests lie in one store, runs and the data they are trained on
    among them."""
    LocalStore.create(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def real_sudoku() -> Path:
    """The folder of real puzzles; tests that need it skip where it is missing."""
    folder = SHARED / "data" / "sudoku"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: real puzzles are not part of the repository")
    return folder


@pytest.fixture(scope="session")
def real_arc() -> Path:
    """The folder of ConceptARC; tests that need it skip where it is missing."""
    folder = SHARED / "data" / "arc"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: it is not part of the repository")
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalStore, Path, str]:
    """A stored 4 x 4 data set: 40 training puzzles with 3 augmentations each, 20 test puzzles.
    (store, folder, hash)."""
    store = LocalStore(tmp_path_factory.mktemp("tiny"))
    entry = GeneratedSudoku(digits=4, train=40, test=20, extra_clues=(1, 4))
    key, content_hash = write_dataset(
        store, "tiny", entry.puzzles().frame, entry, augmentations=3, seed=0
    )
    return store, store.open(key), content_hash
