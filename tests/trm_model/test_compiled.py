"""The cache of compiled loops is keyed by everything that is compiled, and by nothing else."""

import ast
from pathlib import Path

from tests.test_architecture import ROOT, parsed
from trm_model.compiled import compiled_sources

PACKAGE = ROOT / "trm_model"


def modules(path: Path) -> set[str]:
    """The modules that a file imports from."""
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def uses_numba(path: Path) -> bool:
    names = modules(path)
    return "trm_model.compiled" in names or any(name.split(".")[0] == "numba" for name in names)


def test_numba_comes_with_its_cache() -> None:
    """Parts of numba that compile nothing may be imported from numba itself."""
    importing = [
        path
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(parsed(path))
        if (isinstance(node, ast.Import) and any(alias.name == "numba" for alias in node.names))
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "numba"
            and {alias.name for alias in node.names} != {"types"}
        )
    ]
    assert importing == [PACKAGE / "compiled.py"]


def test_the_key_covers_what_is_compiled_and_its_constants() -> None:
    covered = set(compiled_sources())
    compiling = {path for path in PACKAGE.rglob("*.py") if uses_numba(path)}
    assert PACKAGE / "model" / "kernels" / "swiglu.py" in compiling
    assert compiling <= covered
    constants = {
        PACKAGE.parent / Path(*name.split(".")).with_suffix(".py")
        for path in compiling
        for name in modules(path)
        if name.startswith("trm_model.")
    }
    assert covered == compiling | {path for path in constants if path.exists()}
    assert PACKAGE / "puzzles" / "maze" / "tokens.py" in covered
    assert PACKAGE / "puzzles" / "command.py" not in covered
