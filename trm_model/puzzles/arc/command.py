"""ARC's actions on the command line."""

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from storage.reading import reading
from trm_model.errors import ConfigurationError, require
from trm_model.puzzles.actions import output_options, write
from trm_model.puzzles.arc.augmentation import Augmentation
from trm_model.puzzles.arc.drawing import preview
from trm_model.puzzles.arc.packaged import PACKAGED, packaged_tasks
from trm_model.puzzles.arc.parsing import from_task, parse_object, to_tasks
from trm_model.puzzles.arc.tasks import Task, TaskError
from trm_model.puzzles.arc.versions import draw_versions

_C = TypeVar("_C", bound=Callable[..., Any])


def _read(place: str, name: str | None) -> list[Task]:
    """The tasks of a packaged set or a file, or the one of them with this name."""
    if place in PACKAGED:
        tasks = packaged_tasks(place)
    else:
        with reading(
            ConfigurationError,
            place,
            f"a JSON file of tasks, plain or gzip, or one of {', '.join(PACKAGED)}",
            zlib.error,
        ):
            data = Path(place).read_bytes()
            data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        try:
            tasks = to_tasks(place, parse_object(data))
        except TaskError as error:
            raise ConfigurationError(f"{place}: {error}") from error
    chosen = [task for task in tasks if name is None or task.name == name]
    if not chosen:
        names = [task.name for task in tasks]
        raise ConfigurationError(
            f"{place}: no task {name!r}; expected one of "
            f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
        )
    return chosen


def _formatted(tasks: Sequence[tuple[str, Task]], form: str) -> str:
    """Tasks under the names that drawings show."""
    if form == "json":
        return json.dumps({task.name: from_task(task) for _, task in tasks}) + "\n"
    return "".join(f"{preview(task, name)}\n\n" for name, task in tasks)


def _task_options(command: _C) -> _C:
    command = output_options("text", "json")(command)
    command = click.option("--task", metavar="ID", help="Only this one.")(command)
    return click.option(
        "--tasks",
        required=True,
        metavar="NAME|FILE",
        help=f"JSON file, plain or gzip, or one of {', '.join(PACKAGED)}.",
    )(command)


@click.group()
def arc() -> None:
    """ARC tasks: show, augment."""


@arc.command()
@_task_options
def show(tasks: str, task: str | None, form: str, out: Path | None) -> None:
    """Show tasks as they are."""
    write(_formatted([(found.name, found) for found in _read(tasks, task)], form), out)


@arc.command()
@_task_options
@click.option(
    "--count",
    type=int,
    default=3,
    show_default=True,
    help="Versions of each task; fewer where there are not so many different ones.",
)
@click.option("--seed", type=int, default=0, show_default=True)
def augment(
    tasks: str, task: str | None, form: str, out: Path | None, count: int, seed: int
) -> None:
    """Make versions of tasks: other colours, another symmetry."""
    require(count >= 1, f"--count {count}: expected at least 1")
    require(seed >= 0, f"--seed {seed}: expected at least 0")
    made: list[tuple[str, Task]] = []
    for original in _read(tasks, task):
        versions = draw_versions([original], count, seed)
        for dihedral, colours in zip(
            versions.dihedrals[1:].tolist(), versions.colours[1:].tolist(), strict=True
        ):
            augmentation = Augmentation(original.name, dihedral, tuple(colours))
            made.append((augmentation.name, augmentation.apply_to_task(original)))
    write(_formatted(made, form), out)
