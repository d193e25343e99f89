"""What the commands of families have in common: puzzles in files, one a row, and the actions on
them."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from trm_model.errors import ConfigurationError, require
from trm_model.texts import read_text

_C = TypeVar("_C", bound=Callable[..., Any])


class Row(NamedTuple):
    """One line of a puzzle file; ``answer`` and ``rating`` are empty where they are not known."""

    source: str
    question: str
    answer: str = ""
    rating: str = ""


def read_rows(path: str) -> Iterator[tuple[int, Row]]:
    """Line numbers and rows of a file, or of standard input for ``-``.

    :raises ValueError: nothing to read, or a row with the wrong number of fields.
    """
    text = read_text(path)
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


def each_row(path: str, work: Callable[[Row], Row]) -> list[Row]:
    """``work`` on every row of a file.

    :raises ConfigurationError: the first thing that is wrong, with the file and the line.
    """
    rows: list[Row] = []
    try:
        for line, row in read_rows(path):
            try:
                rows.append(work(row))
            except ValueError as error:
                raise ValueError(f"line {line}: {error}; mend or remove the row") from error
    except (ValueError, csv.Error) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return rows


def write(text: str, out: Path | None) -> None:
    """Write to a file; None: to standard output."""
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")


def output_options(*forms: str) -> Callable[[_C], _C]:
    """The options ``--format`` (one of ``forms``, the first by default) and ``--out``, given to a
    command as ``form`` and ``out``."""

    def add(command: _C) -> _C:
        out = click.option(
            "--out", type=click.Path(path_type=Path), help="File to write [standard output]."
        )
        form = click.option(
            "--format", "form", type=click.Choice(forms), default=forms[0], show_default=True
        )
        return form(out(command))

    return add


def generate_options(command: _C) -> _C:
    """The options that every ``generate`` has, given to a command as ``count``, ``seed``, ``form``
    and ``out``."""
    command = output_options("text", "drawing", "csv")(command)
    command = click.option("--seed", type=int, default=0, show_default=True)(command)
    return click.option("--count", type=int, default=10, show_default=True)(command)


@dataclass(frozen=True, slots=True)
class TextPuzzles:
    """Actions on puzzles that are a question and an answer in text. The functions raise ValueError
    with one line for a puzzle that is wrong.

    :param solve: question -> (answer, rating).
    :param check: (question, answer; an empty string: a question alone) -> nothing.
    :param draw: question or answer -> lines of text.
    """

    solve: Callable[[str], tuple[str, str]]
    check: Callable[[str, str], None]
    draw: Callable[[str], str]

    def formatted(self, rows: Sequence[Row], form: str, *, answers: bool) -> str:
        """Rows as text; lines and drawings show the answer where ``answers``, else the question."""
        if form == "csv":
            out = io.StringIO(newline="")
            csv.writer(out, lineterminator="\n").writerows([Row._fields, *rows])
            return out.getvalue()
        texts = [row.answer if answers else row.question for row in rows]
        if form == "drawing":
            return "".join(f"{self.draw(text)}\n\n" for text in texts)
        return "".join(f"{text}\n" for text in texts)

    def write_generated(
        self, make: Callable[[], list[Row]], seed: int, form: str, out: Path | None
    ) -> None:
        """The action ``generate``: write the rows that ``make`` makes."""
        require(seed >= 0, f"--seed {seed}: expected at least 0")
        write(self.formatted(make(), form, answers=False), out)

    def add_to(self, group: click.Group) -> None:
        """Add the actions ``solve`` and ``check`` to a family's command."""

        @group.command("solve")
        @click.argument("file", default="-")
        @output_options("text", "drawing", "csv")
        def solve(file: str, form: str, out: Path | None) -> None:
            """Answer the questions in FILE: CSV or lines of text; - is standard input (default)."""

            def answered(row: Row) -> Row:
                answer, rating = self.solve(row.question)
                return row._replace(answer=answer, rating=rating)

            write(self.formatted(each_row(file, answered), form, answers=True), out)

        @group.command("check")
        @click.argument("file", default="-")
        def check(file: str) -> None:
            """Check that the questions in FILE are puzzles, and the answers theirs: CSV or lines of
            text; - is standard input (default)."""

            def checked(row: Row) -> Row:
                self.check(row.question, row.answer)
                return row

            rows = each_row(file, checked)
            answers = sum(bool(row.answer) for row in rows)
            write(f"{file}: {len(rows)} puzzles are right, {answers} with answers\n", None)

        del solve, check
