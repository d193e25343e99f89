"""Import of maze files in the format of sapientinc/maze-30x30-hard-1k
(:mod:`assets.data.puzzle_files`): grids as strings of ``# SGo``."""

from dataclasses import dataclass
from math import isqrt

from assets.data.puzzle_files import (
    Choose,
    SourceError,
    characters,
    every_row,
    read_table,
    refuse,
    refuse_repeated,
    row_name,
)
from trm_model.puzzles import maze


@dataclass(frozen=True, slots=True)
class MazeTable:
    """Valid mazes: tokens uint8 [N, side * side] of mazes and labels, moves of a shortest path [N],
    sources, canonical forms, and the file's hash."""

    inputs: maze.Tokens
    labels: maze.Tokens
    side: int
    path_length: maze.Ints
    sources: list[str]
    forms: maze.Tokens
    file_hash: str


def read_maze_csv(path: str, choose: Choose = every_row) -> MazeTable:
    """Read a file of square mazes of one size and check the chosen rows: every answer must be its
    question with a shortest path marked.

    :raises SourceError: the first thing that is wrong.
    """
    frame, file_hash = read_table(path)
    length = len(frame["question"][0])
    side = isqrt(length)
    if side * side != length or not 2 <= side <= maze.MAX_SIDE:
        raise SourceError(
            f"{path}: {row_name(0)}: question has {length} characters, expected a square grid of "
            f"2 to {maze.MAX_SIDE} cells a side; "
            "mend or remove the row"
        )
    symbols = maze.CHARACTERS[maze.WALL :]
    rows = choose(len(frame))
    inputs = maze.from_characters(
        characters(path, frame, "question", length, symbols[: maze.GOAL])
    )[rows]
    labels = maze.from_characters(characters(path, frame, "answer", length, symbols))[rows]
    for token, name in ((maze.START, "start S"), (maze.GOAL, "goal G")):
        refuse(
            path,
            rows,
            (inputs == token).sum(axis=1) != 1,
            f"question has not exactly one {name}, expected one",
        )
        refuse(
            path,
            rows,
            (labels == token).sum(axis=1) != 1,
            f"answer has not exactly one {name}, expected one",
        )
    checked = maze.check_examples(inputs, labels, side)
    refuse(
        path,
        rows,
        ~checked.keeps_input,
        "answer differs from the question, expected the same cells but for o on free cells",
    )
    lengths = maze.shortest_length(inputs, side)
    refuse(path, rows, lengths < 0, "question has no way from S to G, expected one")
    refuse(
        path,
        rows,
        ~checked.shortest,
        "answer's o are not the inner cells of a shortest path from S to G, expected those",
    )
    forms = maze.canonical(inputs, side)
    refuse_repeated(path, rows, forms, "maze")
    return MazeTable(
        inputs, labels, side, lengths, frame["source"].gather(rows).to_list(), forms, file_hash
    )
