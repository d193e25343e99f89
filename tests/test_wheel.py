"""The wheel: everything that a program needs is in it, and it works where the repository is not."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipelines", "assets", "trm_model", "storage")


def sources() -> set[str]:
    """Every file of the packages, as its path in the repository."""
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, since setuptools writes beside what it builds."""
    copy, made = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for package in (*PACKAGES, "tests"):
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__", "*.npz")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, copy / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(made)]
    done = subprocess.run([*command, str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = made.glob("*.whl")
    return found


def test_every_file_of_the_packages_is_in_the_wheel_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    about = {name for name in names if ".dist-info/" in name}
    assert names - about == sources()
    (entry_points,) = (name for name in about if name.endswith("/entry_points.txt"))
    assert "trm = pipelines.command:main" in zipfile.ZipFile(wheel).read(entry_points).decode()
    assert any(name.endswith("/licenses/LICENSE") for name in about)


def test_it_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """What it depends on is lent by this environment; the packages come from the wheel."""
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python, script = environment / "bin" / "python", environment / "bin" / "trm"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps"]
    subprocess.run([*install, "--no-index", str(wheel)], check=True, capture_output=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    # A path in a .pth file lends the modules there; the .pth files there, such as that of an
    # editable installation of this repository, are not read.
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def call(*command: str) -> str:
        variables = dict(os.environ)
        for name in ("PYTHONPATH", "DAGSTER_HOME", "TRM_DATA", "TRM_VARIANTS"):
            variables.pop(name, None)
        done = subprocess.run(
            command, cwd=elsewhere, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    for package in PACKAGES:
        origin = call(str(python), "-c", f"import {package}; print({package}.__file__)")
        assert Path(origin.strip()).is_relative_to(packages)
    assert call(str(script), "--help").startswith("Usage: trm [OPTIONS] COMMAND")
    assert "42 layers per supervision step: 21 calls x 2" in call(
        str(script), "variants", "trm_mlp"
    )
    program = (
        "from pipelines.definitions import defs; "
        "print(len(defs.resolve_asset_graph().get_all_asset_keys()))"
    )
    assert int(call(str(python), "-c", program)) > 100
    call(str(python), "-m", "pipelines.home")
    assert (elsewhere / ".dagster" / "dagster.yaml").is_file()
    program = "from pipelines.ui import WORKSPACE; print(WORKSPACE.is_file())"
    assert call(str(python), "-c", program).strip() == "True"
