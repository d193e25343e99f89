"""Every kind of bad input we know, one table: each is refused in one line that names the file, what
was expected and the remedy (tests/faults/bad_input)."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.benchmarks import BENCHMARKS
from assets.data.datasets import materialize_puzzles
from assets.failures import told_in_one_line
from assets.families.arc import ArcFilesConfig
from assets.families.file_origin import FileConfig
from storage.build import Build
from storage.examples import Examples
from storage.shards import read_shards
from storage.store import LocalStore
from tests.faults.bad_input import arc_files, compressed, csv_files, plans, shards, stored, written
from tests.faults.bad_input.good import CONTAINERS
from tests.faults.bad_input.shards import retar
from trm_model.puzzles import maze, sudoku
from trm_model.puzzles.arc.parsing import from_task
from trm_model.training.figures import keep_rows
from trm_model.training.run import RunSpec

REMEDY = re.compile(
    r"[;)] ?(or )?"
    r"(mend|remove|give|fetch|make|write|put|rename|add|save|train|materialize|compress)\b"
)

KINDS = [
    *csv_files.KINDS,
    *arc_files.KINDS,
    *compressed.KINDS,
    *stored.KINDS,
    *plans.KINDS,
    *shards.KINDS,
    *written.KINDS,
]


@pytest.fixture(scope="module")
def good_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each container's good files; they are readable."""
    root = tmp_path_factory.mktemp("good")
    for name, container in CONTAINERS.items():
        (root / name).mkdir()
        container.make(root / name)
        container.read(root / name)
    return root


def check_message(error: BaseException, *says: str) -> None:
    text = str(error)
    assert "\n" not in text
    assert len(text) < 900
    assert "expected" in text
    assert REMEDY.search(text), text
    for part in says:
        assert part in text


def test_there_are_many_kinds() -> None:
    names = {(each.container, each.name) for each in KINDS}
    assert len(names) == len(KINDS) >= 200
    assert {container for container, _ in names} == set(CONTAINERS)


@pytest.mark.parametrize("which", list(CONTAINERS))
def test_each_kind_is_one_line_with_file_expectation_and_remedy(
    which: str, good_files: Path, tmp_path: Path
) -> None:
    container, problems = CONTAINERS[which], []
    for number, each in enumerate(each for each in KINDS if each.container == which):
        folder = tmp_path / str(number)
        shutil.copytree(good_files / which, folder)
        each.damage(folder)
        before = sorted(folder.rglob("*"))
        try:
            container.read(folder)
        except container.error as error:
            try:
                check_message(error, str(folder), container.remedy, *each.says)
                assert sorted(folder.rglob("*")) == before
            except AssertionError as wrong:
                problems.append(f"{each.name}: {str(error)[:600]!r}: {wrong}")
        except Exception as error:  # noqa: BLE001  # all of them are listed at the end
            problems.append(f"{each.name}: {type(error).__name__}: {error}")
        else:
            problems.append(f"{each.name}: accepted")
    assert not problems, "\n".join(problems)


def describe(result: Any) -> object:
    """A comparable value of what a container's ``read`` returned."""
    if isinstance(result, np.ndarray | torch.Tensor):
        return result.tolist()
    if isinstance(result, pl.DataFrame):
        return result.rows()
    if isinstance(result, tuple | list):
        return [describe(part) for part in result]
    if isinstance(result, Examples):
        return [
            describe(part)
            for part in (
                result.inputs,
                result.labels,
                result.puzzle_ids,
                result.example_offsets,
                result.group_offsets,
            )
        ]
    return result


def meaning(which: str, result: Any) -> object:
    """What must be as in the good file, or (where a file holds no checksum) what must be right
    about any accepted one."""
    if which.endswith("csv gzip"):
        rows = result.take(np.arange(len(result)))
        return rows["form"].to_list(), rows["source"].to_list()
    if which == "arc json gzip":
        return [from_task(task) for task in result.tasks]
    if which.startswith("sudoku"):
        return bool(
            (sudoku.solve(result.puzzles, sudoku.SHAPES[4]).answers == result.answers).all()
        )
    if which.startswith("maze"):
        return bool(maze.check_examples(result.inputs, result.labels, result.side).shortest.all())
    if which.startswith("arc"):
        return all(task.train and task.test and task.side <= 30 for task in result.tasks)
    if which == "run":
        return isinstance(result, RunSpec)
    if which == "parquet":
        return set(result[0]["split"]) <= {"train", "test"}
    if "plan" in which:
        # What the header says is under the manifest's checksum alone; the arrays have their own.
        return describe((result[0].puzzle_ids, result[0].example_offsets, result[0].group_offsets))
    if which == "checkpoint":
        return describe(
            [list(result.weights.values()), list(result.carry.values())]
        ), result.progress
    return describe(result)


@st.composite
def edits(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A few changes to a file's bytes: set, remove, repeat or move some, or cut the rest off."""

    def change(data: bytes) -> bytes:
        for _ in range(draw(st.integers(1, 3))):
            start = draw(st.integers(0, len(data)))
            stop = min(len(data), start + draw(st.sampled_from([1, 1, 2, 7, 60])))
            part = data[start:stop]
            new = draw(
                st.sampled_from(
                    [
                        b"",
                        part * 2,
                        part[::-1],
                        bytes(len(part)),
                        b"\xff" * len(part),
                        b"9",
                        b'"',
                        b"\n",
                        b",",
                        b"-",
                    ]
                )
            )
            data = (
                data[:start]
                + (draw(st.binary(max_size=4)) if draw(st.booleans()) else new)
                + data[stop:]
            )
            if draw(st.integers(0, 9)) == 0:
                data = data[: draw(st.integers(0, len(data)))]
        return data

    return change


@pytest.mark.parametrize("which", list(CONTAINERS))
def test_any_change_is_harmless_or_refused_in_one_line(
    which: str, good_files: Path, tmp_path: Path
) -> None:
    container = CONTAINERS[which]
    expected = meaning(which, container.read(good_files / which))
    folder = tmp_path / "x"
    shutil.copytree(good_files / which, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())

    @settings(
        max_examples=60, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(data=st.data())
    def property_holds(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(files))
        before = path.read_bytes()
        path.write_bytes(data.draw(edits())(before))
        try:
            result = container.read(folder)
        except container.error as error:
            check_message(error, str(folder))
        else:
            assert meaning(which, result) == expected
        finally:
            path.write_bytes(before)

    property_holds()


@pytest.mark.parametrize(
    ("benchmark", "which"),
    [
        ("sudoku_csv", "sudoku csv"),
        ("maze_csv", "maze csv"),
        ("arc_files", "arc json"),
        ("arc_files", "arc kaggle"),
    ],
)
def test_an_import_of_a_bad_file_writes_nothing(
    benchmark: str, which: str, good_files: Path, tmp_path: Path
) -> None:
    """The asset's own function; tests/pipelines/test_end_to_end.py does the same with the command
    line."""
    store, entry = LocalStore(tmp_path / "data"), BENCHMARKS[benchmark]
    store.root.mkdir()
    for number, each in enumerate([each for each in KINDS if each.container == which][::6]):
        folder = tmp_path / str(number)
        shutil.copytree(good_files / which, folder)
        each.damage(folder)
        path = str(next(iter(sorted(folder.glob("*.*"))), folder / "x.csv"))
        config = ArcFilesConfig(test=path) if benchmark == "arc_files" else FileConfig(path=path)
        with (
            dg.build_asset_context() as context,
            pytest.raises(dg.Failure) as caught,
            told_in_one_line(),
        ):
            materialize_puzzles(context, store, benchmark, entry, config)
        description = caught.value.description or ""
        assert str(folder) in description
        assert "\n" not in description
        assert list(store.root.iterdir()) == []


def test_a_pickle_in_a_tar_is_not_run(good_files: Path, tmp_path: Path) -> None:
    """Its bytes say: make a folder. webdataset's own decoder would."""
    shutil.copytree(good_files / "tar" / "tar", tmp_path / "tar")
    made = tmp_path / "made"
    evil = f"cos\nmkdir\n(V{made}\ntR.".encode()

    def add(members: dict[str, bytes]) -> None:
        key = list(members)[-1].partition(".")[0]
        members[f"{key}.pyd"] = evil

    retar(add)(tmp_path)
    assert describe(read_shards(str(tmp_path / "tar"))) == describe(
        read_shards(str(good_files / "tar" / "tar"))
    )
    assert not made.exists()


@pytest.mark.parametrize(
    "line", [b"5", b"[1]", b"null", b'{"loss": 1}', b"\xff\xfe", b'[["a"], 1]', b'"ab']
)
def test_what_a_killed_writer_left_is_passed_over(line: bytes, tmp_path: Path) -> None:
    """Lines of a training's metrics and of a build's finished files after which nothing can be
    trusted."""
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_bytes(b'{"step": 1}\n' + line + b"\n" + b'{"step": 2}\n')
    keep_rows(metrics, 5)
    assert metrics.read_text() == '{"step": 1}\n'
    (tmp_path / ".building-x.finished").write_bytes(
        b'["a", {"bytes": 1, "sha256": ""}]\n' + line + b"\n"
    )
    folder = tmp_path / ".building-x"
    folder.mkdir()
    (folder / "a").write_text("x")
    assert not Build(LocalStore(tmp_path), "", "x").finished(folder / "a")
