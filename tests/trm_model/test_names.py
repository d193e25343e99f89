"""The names that users call: :mod:`trm_model` itself."""

import doctest
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import trm_model
from storage.examples import open_header
from storage.store import LocalStore
from tests.trm_model.training.recipes import tiny_spec
from trm_model.puzzles.plans import open_examples
from trm_model.training.loop import train

ROOT = Path(__file__).resolve().parents[2]


def test_examples_of_the_docstring(tiny: tuple[LocalStore, Path, str], tmp_path: Path) -> None:
    _, folder, content_hash = tiny
    spec = tiny_spec(tmp_path, folder, content_hash, steps=1)
    replace(spec, header=open_header(folder / "train.zarr")).write(tmp_path)
    examples = open_examples(folder / "train.zarr")
    train(tmp_path, spec.variant, spec.recipe, examples, spec.seed, spec.execution)
    result = doctest.testmod(trm_model, extraglobs={"run": str(tmp_path)})
    assert result.attempted >= 12
    assert result.failed == 0


def test_every_name_is_there_and_explained() -> None:
    for name in trm_model.__all__:
        assert getattr(trm_model, name) is not None
        assert name in dir(trm_model)
        assert f"``{name}``" in (trm_model.__doc__ or "")


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'trm_model' has no attribute 'nothing'"):
        _ = trm_model.nothing


def test_names_are_loaded_on_demand() -> None:
    program = (
        "import sys, trm_model; heavy = {'torch', 'numpy', 'numba', 'zarr', 'dagster', 'click'}; "
        "print(sorted(sys.modules.keys() & heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
