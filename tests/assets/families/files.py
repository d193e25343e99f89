"""Files of puzzles, read whole."""

from typing import TypeVar

from assets.families.puzzle_files import RowsOfFile, every_row

_T = TypeVar("_T", bound=RowsOfFile)


def checked(file: _T) -> _T:
    """The file, all of whose rows are good.

    :raises PuzzleFileError: they are not.
    """
    assert len(file.take(every_row(len(file)))) == len(file)
    return file
