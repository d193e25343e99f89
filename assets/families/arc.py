"""ARC in the graph."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandera.polars as pa
import polars as pl
from matplotlib.colors import ListedColormap
from pandera.typing.polars import Series

from assets import benchmarks
from assets.checks import Verdict
from assets.configs import ArcConfig, ArcFilesConfig
from assets.data.checks import all_pass
from assets.data.puzzle_files import SourceError
from assets.families.arc_files import read_arc
from assets.families.family import Augmented, Imported, Overlap
from assets.tables import Puzzles
from storage.examples import Bytes2d, Codec
from trm_model.puzzles.arc.canonical_form import canonical
from trm_model.puzzles.arc.checks import check_examples
from trm_model.puzzles.arc.examples import make_examples
from trm_model.puzzles.arc.leaks import KNOWN_LEAKS, leaks
from trm_model.puzzles.arc.tasks import Pair, Task
from trm_model.puzzles.arc.tokens import SIDE, Grid
from trm_model.seeding import numpy_generator

# By token: pad, end of grid, then the colours as the ARC site shows them.
_COLOURS = ListedColormap(
    [
        "#dddddd",
        "#aaaaaa",
        "#000000",
        "#0074d9",
        "#ff4136",
        "#2ecc40",
        "#ffdc00",
        "#888888",
        "#f012be",
        "#ff851b",
        "#7fdbff",
        "#870c25",
    ]
)


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
    """Rows of :class:`assets.families.arc.ArcPuzzles`; of ``evaluated`` tasks the test pairs are in
    the test split, all others in training."""
    described = [
        {
            "split": "test" if evaluated and number >= len(task.train) else "train",
            "name": f"{source}:{task.name}#{number}",
            "question": to_text(pair.input),
            "answer": to_text(pair.output),
            "difficulty": pair.output.size,
            "form": hashlib.sha256(form).hexdigest()[:32],
            "source": source,
            "colours": len(np.union1d(pair.input, pair.output)),
            "task": task.name,
            "pair": number,
        }
        for task in tasks
        for form in (canonical(task.pairs),)
        for number, pair in enumerate(task.pairs)
    ]
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
    """What of tasks that are evaluated is trained on."""
    return [Task(task.name, task.train, ()) for task in evaluated]


class ArcKind:
    """ARC tasks on frames of one size."""

    schema: ClassVar[type[Puzzles]] = ArcPuzzles
    codec: ClassVar[Codec] = "plain"
    distributions: ClassVar[Mapping[str, str]] = {
        "difficulty": "cells of the output",
        "colours": "colours of a pair",
    }
    # Black everywhere, which is half of the cells.
    chance = 0.5

    def __init__(self, source: benchmarks.ArcTasks | benchmarks.ArcFiles) -> None:
        self.side = source.side if isinstance(source, benchmarks.ArcTasks) else SIDE

    def puzzles(
        self,
        source: benchmarks.ArcTasks | benchmarks.ArcFiles,
        config: ArcConfig | ArcFilesConfig,
        log: Callable[[str], None],
    ) -> Imported:
        if isinstance(source, benchmarks.ArcFiles):
            assert isinstance(config, ArcFilesConfig)
            trained, evaluated = [*config.train], config.test
        else:
            assert isinstance(config, ArcConfig)
            if source.files and not config.train and not config.without_files:
                raise SourceError(
                    "no further tasks: this benchmark trains on ConceptARC too; expected its "
                    "file, give puzzles.train=[FILE], "
                    "or puzzles.without_files=true to do without"
                )
            trained, evaluated = [*source.train, *config.train], source.test
        frames: list[pl.DataFrame] = []
        hashes: dict[str, str] = {}
        for name in (*trained, evaluated):
            log(f"reading {name}")
            found = read_arc(name)
            tasks = [task for task in found.tasks if task.side <= self.side]
            if isinstance(source, benchmarks.ArcTasks) and source.tasks is not None:
                tasks = tasks[: source.tasks]
            if name == evaluated:
                # In random order: the first so many are a fair sample.
                tasks = [
                    tasks[place]
                    for place in numpy_generator(source.seed, "order").permutation(len(tasks))
                ]
                for task in tasks:
                    if not (task.train and task.test):
                        raise SourceError(
                            f"{name}: task {task.name!r} is evaluated, expected demonstrations "
                            "and test pairs; remove it"
                        )
            if name in hashes:
                raise SourceError(f"{name}: given twice, expected each source once; remove one")
            hashes[name] = found.source_hash
            if tasks:
                frames.append(rows(tasks, name, evaluated=name == evaluated))
        if not frames or "test" not in frames[-1]["split"]:
            raise SourceError(
                f"{evaluated}: no task that fits on {self.side} x {self.side}; expected at least "
                "one to evaluate"
            )
        return Imported(pl.concat(frames).with_columns(puzzle=pl.int_range(pl.len())), hashes)

    def puzzle_checks(self, frame: pl.DataFrame, source: object) -> dict[str, Verdict]:
        del source
        trained, evaluated = tasks_of(frame)
        grids = [grid for task in (*trained, *evaluated) for pair in task.pairs for grid in pair]
        found = [leak for leak in leaks(trained, evaluated) if leak.kind == "pair"]
        among = [
            leak for leak in leaks(demonstrations(evaluated), evaluated) if leak.kind == "pair"
        ]
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
        bounds = np.array(
            [
                grid.ndim == 2
                and 1 <= min(grid.shape) <= max(grid.shape) <= self.side
                and grid.max() <= 9
                for grid in grids
            ]
        )
        return {"grid_bounds": all_pass(bounds, "grid"), "no_leakage": Verdict(not new, figures)}

    def overlap(self, one: pl.DataFrame, other: pl.DataFrame) -> Overlap:
        (trained, evaluated), (_, tested) = tasks_of(one), tasks_of(other)
        seen = {
            leak.test
            for leak in leaks([*trained, *demonstrations(evaluated)], tested)
            if leak.kind == "pair"
        }
        return Overlap(
            len(tested),
            sorted(seen),
            len({leak.test for leak in leaks([*trained, *evaluated], tested)}),
        )

    def augmented(
        self,
        frame: pl.DataFrame,
        split: str,
        augmentations: int,
        seed: int,
        sources: dict[str, str],
    ) -> Augmented:
        trained, evaluated = tasks_of(frame)
        both = make_examples(
            trained,
            evaluated,
            augmentations=augmentations,
            seed=seed,
            side=self.side,
            sources=sources,
        )
        source = both[split == "test"]
        described = frame.group_by("task", maintain_order=True).agg(
            pl.col("difficulty").max(), pl.col("source").first()
        )
        groups = (
            pl.DataFrame({"task": source.tasks})
            .join(described, on="task", maintain_order="left")
            .rename({"task": "name"})
        )
        return Augmented(source, groups, source.names())

    def example_checks(self, inputs: Bytes2d, labels: Bytes2d) -> dict[str, npt.NDArray[np.bool_]]:
        return {"grid_bounds": check_examples(inputs, labels)}

    def draw(self, axes: Any, question: Bytes2d, shown: Bytes2d, label: Bytes2d) -> None:
        del question, label
        axes.imshow(
            shown.reshape(self.side, self.side),
            cmap=_COLOURS,
            vmin=0,
            vmax=_COLOURS.N - 1,
            interpolation="nearest",
        )
