"""What the user has to mend, said in one line; of what the operating system refuses: the path, the
reason, what was expected and the remedy."""

import contextlib
import errno
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryFile

_WRITABLE = (
    "a path that this user may read and write; change its mount or permissions, or copy the store "
    "and name the copy by TRM_DATA"
)
_ANOTHER = "; name another, that of the store by TRM_DATA"
_FOLDERS = f"a path whose every part but the last is a folder, or may become one{_ANOTHER}"
_FOLDER = f"a folder there, or nothing yet{_ANOTHER}"
_FILE = f"a file there, or nothing yet{_ANOTHER}"
_SHORTER = f"a path of shorter names{_ANOTHER}"
_ROOM = "room on the disk; make some and repeat the command"
_LOCKS = (
    "a file system with locks (flock); mount it with them, or put the store on another disk and "
    "name it by TRM_DATA"
)
_EXPECTED = {
    errno.EACCES: _WRITABLE,
    errno.EPERM: _WRITABLE,
    errno.EROFS: _WRITABLE,
    errno.EEXIST: _FOLDER,
    errno.EISDIR: _FILE,
    errno.ENAMETOOLONG: _SHORTER,
    errno.ENOTDIR: _FOLDERS,
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EIO: "a disk that works; look into the system's log, and copy the store to another disk",
    errno.ENOLCK: _LOCKS,
    errno.ENOSYS: _LOCKS,
    errno.EOPNOTSUPP: _LOCKS,
}


class UserError(Exception):
    """The base of errors that the user has to mend: a command ends with their message alone, which
    says how."""


def refusal(error: OSError) -> str:
    """The error on one line, with what was expected and the remedy where we know them."""
    text = str(error) if error.filename is None else f"{error.filename}: {error.strerror}"
    expected = _EXPECTED.get(error.errno or 0)
    return " ".join((text if expected is None else f"{text}; expected {expected}").split())


@contextlib.contextmanager
def naming(path: Path) -> Generator[None]:
    """Errors of the operating system that name no file, as those of writing do, name ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename = error.filename or str(path)
        raise


def require_writable(path: Path, size: int = 0) -> None:
    """Find out whether ``path`` may be written, before work is done for it or after a library has
    failed without a reason.

    :param size: bytes for which there must be room.
    :raises OSError: it may not.
    """
    folder = next(parent for parent in path.parents if parent.is_dir())
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(bytes(size))
    except OSError as error:
        error.filename = str(folder)
        raise
