"""What users define in YAML files of their own, one file each, named after what it holds."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from storage.reading import MALFORMED, one_line
from trm_model.errors import require
from trm_model.names import require_name, unknown_name

OF_OWN_CLASSES = (AttributeError, RuntimeError, TypeError)
"""What classes of the user's own may raise on values of other types, beside the usual."""
SUFFIXES = (".yaml", ".yml")

_T = TypeVar("_T")


class Named(NamedTuple, Generic[_T]):
    """Variants or studies by name.

    :param what: the kind, as messages call it: ``variant``.
    :param listed_by: the command that lists them.
    :param known: the sound ones.
    :param broken: of files that hold none: the name they stand for -> what is wrong, in one line
        that names the file.
    """

    what: str
    listed_by: str
    known: dict[str, _T]
    broken: dict[str, str]

    def named(self, name: str) -> _T:
        """The one of this name.

        :raises ConfigurationError: there is none, or its file is broken.
        """
        require(name not in self.broken, self.broken.get(name, ""))
        require(
            name in self.known,
            unknown_name(self.what, name, self.known, f"see: {self.listed_by}"),
        )
        return self.known[name]


def files_of(folder: Path, *, default: Path, variable: str) -> list[Path]:
    """The files in YAML of a folder of the user's own, in order.

    :param default: the folder that need not be there.
    :param variable: the environment variable that names another one.
    :raises ConfigurationError: the folder is a file, or is not there and not the default.
    """
    require(
        folder.is_dir() or (folder == default and not folder.exists()),
        f"{folder}: no such folder; expected the one with your own {default}, as {variable} names "
        "it; make it, or leave them out",
    )
    return [
        path
        for path in (sorted(folder.iterdir()) if folder.is_dir() else [])
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]


def read_all(
    files: Iterable[Path], what: str, listed_by: str, read: Callable[[Path], _T]
) -> Named[_T]:
    """What the files hold. A broken one stops none of the others; of two that stand for one name
    both are broken.

    :param what, listed_by: as of :class:`Named`.
    :param read: reads one.
    """
    found = Named[_T](what, listed_by, {}, {})
    for path in files:
        name = path.stem
        try:
            require_name(what, name)
            require(
                name not in (found.known.keys() | found.broken.keys()),
                f"another file stands for the {what} {name!r} too; rename one",
            )
            found.known[name] = read(path)
        except (*MALFORMED, OSError, *OF_OWN_CLASSES) as error:
            found.known.pop(name, None)
            found.broken[name] = f"{path}: {one_line(error)}"
    return found
