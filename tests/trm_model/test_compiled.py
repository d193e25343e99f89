"""The cache of compiled loops is keyed by everything that is compiled, and by nothing else; and
processes fill it together."""

import ast
import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core import caching

from tests.test_architecture import ROOT, parsed
from trm_model.compiled import FileByKey, compiled_sources
from trm_model.model.kernels import attention, instructions, swiglu, tiles
from trm_model.model.kernels.tiles import padded, threads_reached

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


def file_of(folder: Path, function: str = "f", stamp: float = 1.0) -> FileByKey:
    """As a process has it that compiles a function."""
    return FileByKey(str(folder), f"{function}-1.py3", stamp)


def test_what_is_compiled_is_found_by_its_key_alone(tmp_path: Path) -> None:
    """numba gave the next free number to each, and two processes could take the same."""
    one, other = file_of(tmp_path), file_of(tmp_path)
    assert one.load("int") is None
    one.save("int", b"of int")
    other.save("float", b"of float")
    one.save("int", b"of int again")
    for each in (one, other, file_of(tmp_path)):
        assert (each.load("int"), each.load("float")) == (b"of int again", b"of float")
    assert len([*tmp_path.iterdir()]) == 2
    assert file_of(tmp_path, stamp=2.0).load("int") is None


def test_a_file_that_is_no_piece_of_its_key_is_made_again(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    file.save("int", b"of int")
    [of_int] = tmp_path.iterdir()
    file.save("float", b"of float")
    (of_float,) = set(tmp_path.iterdir()) - {of_int}
    of_float.write_bytes(of_int.read_bytes())
    assert file.load("float") is None
    whole = of_int.read_bytes()
    changed = (whole[:place] + b"?" + whole[place + 1 :] for place in range(len(whole)))
    for damaged in (b"", b"no code", whole[:9], *changed):
        of_int.write_bytes(damaged)
        assert file.load("int") == (b"of int" if damaged == whole else None)
    file.save("int", b"of int")
    assert file.load("int") == b"of int"
    file_of(tmp_path, "g").save("int", b"of g")
    file.flush()
    assert file.load("int") is None
    assert file_of(tmp_path, "g").load("int") == b"of g"


def test_a_full_disk_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compiled is in memory all the same."""

    def full(_self: FileByKey, _path: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FileByKey, "_open_for_write", full)
    file = file_of(tmp_path)
    with pytest.warns(UserWarning, match=r"nbc: No space left .* made anew by each process$"):
        file.save("int", b"of int")
    assert file.load("int") is None


def test_numba_keeps_compiled_loops_so() -> None:
    assert caching.IndexDataCacheFile is FileByKey
    loop: Any = padded
    assert loop(3) >= 3
    files = [path.name for path in Path(loop.stats.cache_path).glob("tiles.padded-*.nbc")]
    assert any(re.search(r"\.[0-9a-f]{16}\.nbc$", name) for name in files)


AT_ONCE = """
import torch
from trm_model.model.kernels.swiglu import post_norm_swiglu
generator = torch.Generator().manual_seed(0)
x, gate_up, down = (
    torch.randn(shape, generator=generator).requires_grad_()
    for shape in ((40, 64), (1024, 64), (64, 512))
)
post_norm_swiglu(x, gate_up, down, 1e-5).square().mul(x.detach()).sum().backward()
print(*(each.grad.double().abs().sum().item() for each in (x, gate_up, down)))
"""


@pytest.mark.slow
@pytest.mark.skipif(not threads_reached(), reason="torch's threads are not OpenMP's here")
def test_processes_that_compile_at_once_leave_what_computes_the_same(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", AT_ONCE]
    together = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(3)
    ]
    told = [process.communicate()[0] for process in together]
    afterwards = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT
    )
    found = [np.array(text.split(), float) for text in (*told, afterwards.stdout)]
    assert all(np.allclose(each, found[0], rtol=1e-5) for each in found)


def test_compiled_functions_have_names_of_their_own() -> None:
    """Machine code that is kept is linked by names, whichever process has made it."""
    compiled = {
        id(each): f"{each.py_func.__module__}.{each.py_func.__qualname__}"
        for module in (instructions, tiles, swiglu, attention)
        for each in vars(module).values()
        if hasattr(each, "py_func")
    }
    names = [*compiled.values()]
    assert "trm_model.model.kernels.instructions.set_product" in names
    assert len(set(names)) == len(names)
    assert not [name for name in names if "<locals>" in name]
