"""Which families there are. A built-in one is one line here; a family from elsewhere is made known
by :func:`register`.

A built-in family is imported when it is asked for, so that a training depends on no family but that
of its data.
"""

import importlib
from typing import TypeVar

from storage.examples import Header
from trm_model.errors import ConfigurationError, require
from trm_model.puzzles.family import Family, Grid

_F = TypeVar("_F", bound=type[Family])

BUILT_IN = {
    "sudoku": "trm_model.puzzles.sudoku.family:Sudoku",
    "maze": "trm_model.puzzles.maze.family:Maze",
    "arc": "trm_model.puzzles.arc.family:Arc",
    "sequence": "trm_model.puzzles.sequence.family:Addition",
}
_registered: dict[str, type[Family]] = {}


def register(family: _F) -> _F:
    """Make a family known by its name; usable as a decorator of the class.

    :raises ConfigurationError: another family has this name.
    """
    home = f"{family.__module__}:{family.__qualname__}"
    known = _registered.get(family.name, family)
    taken = BUILT_IN.get(family.name, f"{known.__module__}:{known.__qualname__}")
    require(
        taken == home,
        f"family {family.name!r}: {taken} has this name already; choose another for {home}",
    )
    _registered[family.name] = family
    return family


def names() -> tuple[str, ...]:
    """The names of all families."""
    return tuple({**BUILT_IN, **_registered})


def family_named(name: str) -> type[Family]:
    """The family of this name.

    :raises ConfigurationError: there is none.
    """
    require(name in names(), f"family {name!r}: expected one of {', '.join(names())}")
    if name in BUILT_IN:
        module, _, family = BUILT_IN[name].partition(":")
        return getattr(importlib.import_module(module), family)
    return _registered[name]


def families_at(grid: Grid) -> list[Family]:
    """Every family that has puzzles of this size."""
    found = (family_named(name).at(grid) for name in names())
    return [family for family in found if family is not None]


def family_of(header: Header, name: str | None = None) -> Family:
    """The family of the examples with this header: the one whose size and vocabulary they have.

    :param name: of the family, where size and vocabulary leave it open.
    :raises ConfigurationError: no family, or several, fit.
    """
    fitting = [
        family for family in families_at(header.grid) if family.vocabulary == header.vocabulary
    ]
    rows, columns = header.grid
    return only_family(
        fitting, name, f"a vocabulary of {', '.join(header.vocabulary)} on {rows} x {columns}"
    )


def only_family(candidates: list[Family], name: str | None, found: str) -> Family:
    """The one of the candidates that has the name (None: whatever its name).

    :param found: what the candidates were found for, for the message.
    :raises ConfigurationError: there is none, or there are several.
    """
    chosen = [family for family in candidates if name in (None, family.name)]
    if len(chosen) == 1:
        return chosen[0]
    fitting = " or ".join(family.name for family in candidates) or "no puzzle known here"
    raise ConfigurationError(
        f"{found}, which is {fitting}: expected {'one kind' if name is None else name}; give the "
        "kind or other sizes"
    )
