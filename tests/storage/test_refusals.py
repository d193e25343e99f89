"""What the operating system refuses is one line with the path and the remedy."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from storage.lock import lock
from storage.refusals import naming, refusal, require_writable
from storage.tables import write_file
from tests.storage.test_tables import Whole

ROWS = pl.DataFrame({"number": [1, 2]})


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EROFS, "expected a path that this user may read and write; change its mount"),
        (errno.EACCES, "expected a path that this user may read and write; change its mount"),
        (errno.ENOSPC, "expected room on the disk; make some"),
        (errno.ENOTDIR, "expected a path whose every part but the last is a folder"),
        (errno.EEXIST, "expected a folder there, or nothing yet; name another"),
        (errno.EISDIR, "expected a file there, or nothing yet; name another"),
        (errno.ENAMETOOLONG, "expected a path of shorter names; name another"),
        (errno.ENOLCK, "expected a file system with locks"),
    ],
)
def test_known_refusals_name_the_remedy(number: int, expected: str) -> None:
    text = refusal(OSError(number, os.strerror(number), "/some/where"))
    assert text.startswith(f"/some/where: {os.strerror(number)}; {expected}")
    assert "\n" not in text


def test_others_are_said_as_they_are() -> None:
    assert refusal(OSError("something\nelse")) == "something else"
    missing = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/x")
    assert refusal(missing) == f"/x: {os.strerror(errno.ENOENT)}"


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("fcntl.flock", failing(number))
    path = tmp_path / "x.lock"
    with (
        pytest.raises(OSError, match=str(path)) as error,
        lock(path, label="me", wait_seconds=0, waiting=print),
    ):
        pytest.fail("locked without locks")
    text = refusal(error.value)
    assert text.startswith(f"{path}: ")
    assert "file system with locks (flock); mount it with them" in text


def test_whether_a_path_may_be_written_is_known_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_writable(tmp_path / "not" / "there" / "yet")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("storage.refusals.TemporaryFile", failing(errno.EROFS))
    with pytest.raises(OSError, match="Read-only") as error:
        require_writable(tmp_path / "not" / "there" / "yet")
    assert refusal(error.value).startswith(f"{tmp_path}: Read-only")


def test_an_error_of_writing_names_the_file(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="No space left") as error, naming(tmp_path / "x"):
        raise full
    assert refusal(error.value).startswith(f"{tmp_path / 'x'}: No space left on device; expected")
    with pytest.raises(OSError, match="of a library") as error, naming(tmp_path / "x"):
        raise OSError("y: a text of a library's")
    assert refusal(error.value) == "y: a text of a library's"


def test_a_table_on_a_full_disk_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """polars does not always give the reason; the operating system is asked for it."""

    def no_reason(*_: object, **__: object) -> None:
        raise pl.exceptions.ComputeError("parquet: File out of specification: transport error")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", no_reason)
    with pytest.raises(OSError, match="transport error"):
        write_file(tmp_path / "x.parquet", Whole, ROWS)
    monkeypatch.setattr("storage.refusals.TemporaryFile", full)
    with pytest.raises(OSError, match="No space left") as error:
        write_file(tmp_path / "x.parquet", Whole, ROWS)
    assert refusal(error.value).startswith(f"{tmp_path}: No space left on device; expected room")
