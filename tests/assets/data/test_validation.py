"""Puzzles to validate trainings with."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import dagster as dg
import numpy as np
import polars as pl
import pytest

from assets import keys
from assets.benchmarks import BENCHMARKS, Benchmark
from assets.checks import checks_of
from assets.data.datasets import find_further, write_validation
from assets.families.arc import ArcFiles, ArcFilesConfig, ArcTasks, rows, tasks_of
from assets.families.file_origin import FileConfig, PuzzleFile
from assets.families.maze import GeneratedMaze, MazeFile
from assets.families.origin import Imported, Origin, more_than
from assets.families.puzzle_files import PuzzleFileError
from assets.families.sequence import GeneratedAddition
from assets.families.sudoku import GeneratedSudoku, SudokuFile, SudokuRows
from assets.graph import build_benchmark
from assets.partitions import variant_seed_partitions
from assets.store import StoreResource
from storage.examples import VALIDATION, open_header, read_examples
from storage.manifest import verify_manifest
from storage.store import LocalStore
from tests.assets.test_checkpoint_asset import Here
from tests.trm_model.puzzles.test_arc import random_task
from tests.trm_model.training.recipes import TINY
from trm_model.puzzles.arc import from_task
from trm_model.puzzles.arc.tasks import Task
from trm_model.puzzles.plans import open_examples
from trm_model.training.execution import Execution
from trm_model.training.loop import METRICS, train
from trm_model.training.run import RunSpec
from trm_model.training.validation import read_validated
from trm_model.training.validator import validator
from trm_model.variants import VARIANTS

GENERATED: tuple[Origin, ...] = (
    GeneratedSudoku(digits=4, train=200, test=50, extra_clues=(1, 5)),
    GeneratedMaze(side=8, longer_than=10, train=60, test=20),
    GeneratedAddition(digits=2, train=100, test=50),
)


def further_of(found: Imported, count: int) -> pl.DataFrame:
    assert found.further is not None
    return found.further(count)


def assert_unlike(origin: Origin, frame: pl.DataFrame, further: pl.DataFrame) -> None:
    """The family's own check, which does not trust the forms in the table; of mazes, it compares
    the walls."""
    number = pl.int_range(len(frame), len(frame) + pl.len())
    both = pl.concat(
        [
            frame.with_columns(split=pl.lit("train")),
            further.with_columns(split=pl.lit("test"), puzzle=number),
        ]
    )
    assert all(outcome.passed for outcome in origin.check_puzzles(both).values())


@pytest.mark.parametrize("origin", GENERATED)
def test_they_are_neither_trained_on_nor_tested(origin: Origin) -> None:
    found = origin.puzzles()
    further = further_of(found, 30)
    assert len(further) == 30
    assert further.equals(further_of(origin.puzzles(), 30))
    assert_unlike(origin, found.frame, further)


def test_they_are_stored_apart_from_the_data(tmp_path: Path) -> None:
    store, origin = LocalStore.create(tmp_path), GENERATED[0]
    found = origin.puzzles()
    further = further_of(found, 20).with_columns(split=pl.lit("test"))
    targets: list[str | None] = []
    for data in ("examples/tiny/a", "examples/tiny/b", "examples/tiny/a"):
        write_validation(store, "tiny", found.frame, further, origin, data, augmentations=3, seed=0)
        targets.append(store.follow(keys.validation_of("tiny", data)))
    assert targets[0] == targets[2] != targets[1]
    folder = store.open(cast(str, targets[0]))
    assert folder.parent == store.open("validation/tiny")
    verify_manifest(folder)
    assert len(read_examples(folder / VALIDATION).inputs) == 20
    assert open_header(folder / VALIDATION).sources == {"examples": "a"}


def test_where_there_are_none() -> None:
    said: list[str] = []

    def find(found: Imported, origin: Origin, count: int = 500) -> int:
        entry = Benchmark(title="tiny", origin=origin, recipe=TINY)
        return len(find_further(found, origin, checks_of("puzzles", entry), count, said.append))

    sudoku, digits = GENERATED[0], GeneratedAddition(digits=1, train=20, test=5)
    found = sudoku.puzzles()
    assert find(found, sudoku, 20) == 20
    assert find(found, sudoku, 0) == 0
    assert find(Imported(found.frame), sudoku) == 0
    assert said == []
    assert find(digits.puzzles(), digits) == 0
    assert "no puzzles to validate trainings with: " in said[0]
    unclear = pl.lit("1" + "." * 15)
    bad = replace(
        found, further=lambda count: found.frame.head(count).with_columns(question=unclear)
    )
    assert find(bad, sudoku) == 0
    assert "those found fail unique_solution" in said[1]


def test_their_number_is_no_part_of_the_data() -> None:
    entry = BENCHMARKS["sudoku_4x4"]
    assert replace(entry, validation=7).data_hash == entry.data_hash


# Files

SUDOKU = GeneratedSudoku(digits=4, train=90, test=30, extra_clues=(1, 5))
MAZES = GeneratedMaze(side=8, longer_than=10, train=90, test=30)


def write(path: Path, frame: pl.DataFrame) -> str:
    frame.select("source", "question", "answer", rating="difficulty").write_csv(path)
    return str(path)


def two_files(folder: Path, frame: pl.DataFrame) -> dict[str, Any]:
    return {
        "path": write(folder / "train.csv", frame.filter(split="train")),
        "test_path": write(folder / "test.csv", frame.filter(split="test")),
    }


@pytest.mark.parametrize(
    ("origin", "source"), [(SudokuFile(side=4), SUDOKU), (MazeFile(side=8), MAZES)]
)
def test_of_a_file_they_are_rows_that_the_draw_left_over(
    tmp_path: Path, origin: PuzzleFile, source: Origin
) -> None:
    made = source.puzzles().frame
    files = two_files(tmp_path, made)
    found = origin.puzzles(FileConfig(**files, train_puzzles=30, test_puzzles=20))
    further = further_of(found, 25)
    assert len(further) == 25
    assert further["question"].is_in(made.filter(split="train")["question"].implode()).all()
    assert_unlike(origin, found.frame, further)
    # They are those that the draw would have taken next.
    drawn = origin.puzzles(FileConfig(**files, train_puzzles=55)).frame
    assert drawn.head(30)["question"].equals(found.frame.head(30)["question"])
    assert set(further["question"]) == set(drawn["question"][30:55])
    assert len(further_of(found, 1000)) == 60
    assert origin.puzzles(FileConfig(**files)).further is None

    one = origin.puzzles(FileConfig(path=files["path"], train_puzzles=30, test_share=0.2))
    assert_unlike(origin, one.frame, further_of(one, 25))
    assert len(further_of(one, 1000)) == 90 - 18 - 30


def test_rows_equal_to_others_are_left_out_and_bad_ones_do_not_matter(tmp_path: Path) -> None:
    origin, made = SudokuFile(side=4), SUDOKU.puzzles().frame
    config = FileConfig(**two_files(tmp_path, made), train_puzzles=30)
    found = origin.puzzles(config)
    first, second = further_of(found, 2).rows(named=True)

    def changed(**values: str) -> Imported:
        """With another row in place of the first left over."""
        is_first = pl.col("question") == first["question"]
        whole = made.filter(split="train").with_columns(
            **{
                name: pl.when(is_first).then(pl.lit(new)).otherwise(name)
                for name, new in values.items()
            }
        )
        write(tmp_path / "train.csv", whole)
        other = origin.puzzles(config)
        assert other.frame.equals(found.frame)
        return other

    tested = found.frame.filter(split="test").row(0, named=True)
    other = changed(question=tested["question"], answer=tested["answer"])
    assert further_of(other, 1)["question"].to_list() == [second["question"]]
    blank = changed(question="." * 16)
    with pytest.raises(PuzzleFileError, match="has more than one solution"):
        further_of(blank, 1)


def test_of_a_large_file_few_rows_are_read_in_depth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = two_files(tmp_path, SUDOKU.puzzles().frame)
    taken: list[int] = []
    take = SudokuRows.take

    def counted(self: SudokuRows, rows: Any) -> pl.DataFrame:
        taken.append(len(rows))
        return take(self, rows)

    monkeypatch.setattr(SudokuRows, "take", counted)
    found = SudokuFile(side=4).puzzles(FileConfig(**files, train_puzzles=5, test_puzzles=7))
    assert taken == [5, 7]
    further_of(found, 3)
    assert taken == [5, 7, more_than(3)]


def test_of_real_files(real_sudoku: Path) -> None:
    origin = SudokuFile(side=9)
    found = origin.puzzles(
        FileConfig(
            path=str(real_sudoku / "hard_train.csv.gz"),
            test_path=str(real_sudoku / "hard_test.csv.gz"),
            train_puzzles=200,
            test_puzzles=100,
        )
    )
    # As on the day before there were validation puzzles.
    content_hash = hashlib.sha256(found.frame.write_csv().encode()).hexdigest()
    assert content_hash.startswith("d485264de8b154bb")
    further = further_of(found, 100)
    assert len(further) == 100
    assert_unlike(origin, found.frame, further)


# ARC

TRAINED = [random_task(f"t{number}", 1, tests=1 + number % 2) for number in range(12)]
EVALUATED = [random_task(f"e{number}", 2) for number in range(3)]


def write_tasks(path: Path, tasks: Sequence[Task]) -> str:
    path.write_text(json.dumps({task.name: from_task(task) for task in tasks}))
    return str(path)


def import_tasks(folder: Path, trained: Sequence[Task], count: int) -> Imported:
    return ArcFiles().puzzles(
        ArcFilesConfig(
            train=[write_tasks(folder / "train.json", trained)],
            test=write_tasks(folder / "test.json", EVALUATED),
            validation_tasks=count,
        )
    )


def pairs_in(tasks: Sequence[Task], which: str = "pairs") -> set[tuple[str, str]]:
    return {
        (pair.input.tobytes().hex(), pair.output.tobytes().hex())
        for task in tasks
        for pair in getattr(task, which)
    }


def test_of_tasks_the_test_pairs_are_held_out(tmp_path: Path) -> None:
    plain = import_tasks(tmp_path, TRAINED, 0)
    assert plain.further is None
    expected = [
        rows(TRAINED, str(tmp_path / "train.json"), evaluated=False),
        rows(tasks_of(plain.frame)[1], str(tmp_path / "test.json"), evaluated=True),
    ]
    assert plain.frame.drop("puzzle").equals(pl.concat(expected))

    found = import_tasks(tmp_path, TRAINED, 4)
    assert found.frame.equals(import_tasks(tmp_path, TRAINED, 4).frame)
    assert found.sources == {**plain.sources, "validation_tasks": "4"}
    further = further_of(found, 1)
    held = [task for task in TRAINED if task.name in set(further["task"])]
    assert len(held) == 4
    trained, evaluated = tasks_of(found.frame)
    assert {task.name for task in trained} == {task.name for task in TRAINED}
    assert pairs_in(tasks_of(further)[1]) == pairs_in(held, "test")
    assert pairs_in(trained) == pairs_in(TRAINED) - pairs_in(held, "test")
    assert pairs_in(evaluated) == pairs_in(EVALUATED)
    assert all(outcome.passed for outcome in ArcFiles().check_puzzles(found.frame).values())


def test_held_out_pairs_have_the_puzzle_ids_of_their_tasks(tmp_path: Path) -> None:
    origin = ArcFiles()
    found = import_tasks(tmp_path, TRAINED, 4)
    further = further_of(found, 1)
    ids: set[tuple[int, ...]] = set()
    for augmentations in (0, 5):
        made = origin.augmented(found.frame, "train", augmentations, 7, {})
        examples = origin.validation(found.frame, further, augmentations, 7, {"examples": "x"})
        assert made.names is not None
        assert examples.header == replace(made.examples.header, sources={"examples": "x"})
        names = dict(zip(made.names, made.examples.puzzle_ids.tolist(), strict=True))
        tasks = further["task"].unique(maintain_order=True).to_list()
        assert examples.puzzle_ids.tolist() == [names[task] for task in tasks]
        ids.add(tuple(examples.puzzle_ids.tolist()))
        assert np.diff(examples.example_offsets).tolist() == [
            len(tasks_of(further.filter(task=task))[1][0].test) for task in tasks
        ]
        # As in the test split: each pair as it is, in the corner.
        asked = origin.augmented(
            pl.concat([found.frame.filter(split="train"), further]), "test", 0, 7, {}
        ).examples
        everything = np.arange(len(further))
        for ours, theirs in zip(examples.rows(everything), asked.rows(everything), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert len(ids) == 2


def test_more_tasks_than_there_are_is_refused(tmp_path: Path) -> None:
    shown = Task("shown", TRAINED[0].train[:1], TRAINED[1].test)
    itself = Task("itself", TRAINED[2].train[:2], TRAINED[2].train[:1])
    tested = Task("tested", TRAINED[3].train, EVALUATED[0].test)
    tasks = [*TRAINED[:2], shown, itself, tested]
    # t0 alone: the answer of t1 is that of "shown", and the others' are known too.
    found = import_tasks(tmp_path, tasks, 1)
    assert set(further_of(found, 1)["task"]) == {"t0"}
    with pytest.raises(PuzzleFileError, match=r"validation_tasks=2: only 1 can be held out"):
        import_tasks(tmp_path, tasks, 2)
    with pytest.raises(PuzzleFileError, match=r"only 0 can .*puzzles\.train=\[FILE\]"):
        ArcFiles().puzzles(
            ArcFilesConfig(test=write_tasks(tmp_path / "test.json", EVALUATED), validation_tasks=1)
        )


@pytest.mark.filterwarnings("ignore::dagster.PreviewWarning", "ignore::dagster.BetaWarning")
def test_a_training_is_validated_on_tasks_held_out(tmp_path: Path) -> None:
    """Benchmark arc_demo, from the setting to the rows of figures."""
    store = LocalStore.create(tmp_path)
    name, partition = "arc_demo", "trm|0"
    entry = replace(BENCHMARKS[name], recipe=replace(TINY, steps=4))
    graph = build_benchmark(name, entry, VARIANTS, variant_seed_partitions(VARIANTS))
    launcher = Here()

    def make(*stages: str, **config: dict[str, Any]) -> None:
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                graph,
                selection=[dg.AssetKey([name, stage]) for stage in stages],
                resources={"store": StoreResource(root=str(tmp_path)), "launcher": launcher},
                instance=instance,
                partition_key=partition if "checkpoint" in stages else None,
                run_config={
                    "ops": {f"{name}__{stage}": {"config": told} for stage, told in config.items()}
                },
            )
        assert result.success

    def trained() -> RunSpec:
        make("checkpoint", checkpoint={"device": "cpu"})
        return RunSpec.read(Path(launcher.jobs[-1].arguments[0]))

    make("puzzles", "examples")
    assert trained().validation is None
    make("puzzles", "examples", puzzles={"validation_tasks": 3}, examples={"augmentations": 2})
    spec = trained()
    assert spec.validation is not None
    folder = store.open(spec.validation)
    assert open_header(folder / VALIDATION).sources == {"examples": Path(spec.data).name}
    data = open_header(store.open(spec.data) / "train.zarr")
    assert open_header(folder / VALIDATION).num_puzzle_ids == data.num_puzzle_ids
    # Of other augmentations, and so with other puzzle ids, they are others.
    make("examples", examples={"augmentations": 1})
    assert trained().validation not in (None, spec.validation)

    run = tmp_path / "trained"
    run.mkdir()
    train(
        run,
        spec.variant,
        spec.recipe,
        open_examples(store.open(spec.data) / "train.zarr"),
        spec.seed,
        Execution(log_steps=2, validate_steps=2),
        validation=validator(open_examples(folder / VALIDATION), spec.recipe),
    )
    found = read_validated(run / METRICS)
    assert [each.step for each in found] == [2, 4]
    assert 0 < found[-1].cells < 1


def test_arc_demo_takes_tasks_that_its_limit_leaves_over() -> None:
    origin = BENCHMARKS["arc_demo"].origin
    assert isinstance(origin, ArcTasks)
    plain = origin.puzzles()
    found = origin.puzzles(origin.config(validation_tasks=5))
    assert (
        found.frame.filter(split="test")
        .drop("puzzle")
        .equals(plain.frame.filter(split="test").drop("puzzle"))
    )
    held = set(further_of(found, 1)["task"])
    assert len(held) == 5
    assert held.isdisjoint(plain.frame["task"])
    assert set(found.frame["task"]) == {*plain.frame["task"], *held}
