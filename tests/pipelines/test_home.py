"""Dagster's settings in the home folder: ours are kept up to date, the user's are kept."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from pipelines import home as module
from pipelines.home import OURS, SETTINGS, VARIABLE, prepare_home
from trm_model.errors import ConfigurationError

SHIPPED = (Path(module.__file__).parent / "deployment" / SETTINGS).read_text("utf-8")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says about its home; nothing of it is on standard output."""
    prepare_home()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") <= 1
    return err


def test_a_new_home_gets_our_settings_without_a_word(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.rmdir()
    for _ in range(2):
        assert said(capsys) == ""
        assert (home / SETTINGS).read_text() == (home / OURS).read_text() == SHIPPED


def test_an_older_versions_settings_are_brought_up_to_date(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / SETTINGS).write_text("older: {}\n")
    (home / OURS).write_text("older: {}\n")
    assert "was an older version's, and is brought up to date" in said(capsys)
    assert (home / SETTINGS).read_text() == SHIPPED
    assert said(capsys) == ""
    # So are those from before there was a record.
    (home / OURS).unlink()
    (home / SETTINGS).write_text("ancient: {}\n")
    ancient = {hashlib.sha256(b"ancient: {}\n").hexdigest()}
    monkeypatch.setattr(module, "_BEFORE_OURS", ancient)
    assert "brought up to date" in said(capsys)
    assert (home / SETTINGS).read_text() == SHIPPED


@pytest.mark.parametrize("recorded", [None, "older: {}\n"])
def test_what_the_user_edited_is_kept_and_said_once(
    home: Path, capsys: pytest.CaptureFixture[str], recorded: str | None
) -> None:
    (home / SETTINGS).write_text("mine: {}\n")
    if recorded is not None:
        (home / OURS).write_text(recorded)
    assert f"{home / SETTINGS}: kept as it was edited" in said(capsys)
    assert said(capsys) == ""
    assert (home / SETTINGS).read_text() == "mine: {}\n"
    assert (home / OURS).read_text() == SHIPPED
    # Removed, as the message says, it is ours again.
    (home / SETTINGS).unlink()
    assert said(capsys) == ""
    assert (home / SETTINGS).read_text() == SHIPPED


def test_an_edit_of_our_settings_is_not_spoken_of(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_home()
    (home / SETTINGS).write_text(f"{SHIPPED}# mine\n")
    assert said(capsys) == ""
    assert (home / SETTINGS).read_text().endswith("# mine\n")


def test_a_home_that_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "home"))
    with pytest.raises(ConfigurationError, match=r"file/home: Not a directory; expected a folder"):
        prepare_home()

    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(module, "require_writable", refuse)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "home"))
    with pytest.raises(ConfigurationError, match=f"Read-only file .* another by {VARIABLE}"):
        prepare_home()
