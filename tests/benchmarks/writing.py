"""The full-size data sets, and a process that does nothing but write one, for its speed and its
peak memory: ``python -m tests.benchmarks.writing NAME FOLDER AUGMENTATIONS`` prints
:class:`Written` as JSON.

Imports no more than writing needs.
"""

import gzip
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from storage.examples import write_examples
from trm_model.puzzles import arc, sudoku
from trm_model.puzzles.arc.examples import make_examples
from trm_model.puzzles.sudoku.examples import SudokuExamples

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
"""Real puzzles, where they are there."""


@dataclass(frozen=True, slots=True)
class Written:
    """``seconds``: CPU time of all threads, which is time on one core; ``peak_mib``: memory of the
    process since it started."""

    examples: int
    seconds: float
    peak_mib: float


def sudoku_examples(copies: int) -> SudokuExamples:
    """A thousand generated 9 x 9 puzzles, each followed by shuffled versions."""
    shape = sudoku.SHAPES[9]
    made = sudoku.generate(1_000, shape, seed=0)
    return SudokuExamples(made.puzzles, made.answers, shape, copies, seed=0)


def arc_tasks() -> tuple[list[arc.Task], list[arc.Task]]:
    """ARC-AGI-1 and, where it is there, ConceptARC: the tasks that are only trained on, and those
    that are evaluated."""
    train = [*arc.packaged_tasks("arc_agi_1/training")]
    path = SHARED / "arc" / "conceptarc.json.gz"
    if path.exists():
        train += arc.to_tasks(path.name, arc.parse_object(gzip.decompress(path.read_bytes())))
    return train, [*arc.packaged_tasks("arc_agi_1/evaluation")]


def sudoku_writer(augmentations: int) -> Callable[[Path], int]:
    """A function that shuffles the puzzles and writes the examples into a folder; returns their
    number."""
    source = sudoku_examples(augmentations)
    return lambda folder: write_examples(
        folder / "train.zarr", source, codec="bitshuffle", workers=1
    )


def arc_writer(augmentations: int) -> Callable[[Path], int]:
    """A function that plans the versions of all tasks and writes the examples of both splits into a
    folder; returns their number."""
    train, test = arc_tasks()

    def write(folder: Path) -> int:
        splits = make_examples(train, test, augmentations=augmentations, seed=0)
        return sum(
            write_examples(folder / f"{name}.zarr", split, codec="plain", workers=1)
            for name, split in zip(("train", "test"), splits, strict=True)
        )

    return write


WRITERS = {"sudoku": sudoku_writer, "arc": arc_writer}


def main(name: str, folder: str, augmentations: str) -> None:
    """Write the data set called ``name`` into ``folder``."""
    with tempfile.TemporaryDirectory() as small:
        WRITERS[name](1)(Path(small))  # loads the compiled code
    write = WRITERS[name](int(augmentations))
    started = time.process_time()
    examples = write(Path(folder))
    seconds = time.process_time() - started
    print(
        json.dumps(
            asdict(
                Written(
                    examples, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                )
            )
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
