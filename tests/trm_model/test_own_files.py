"""Files of the user's own: each sound one is read, whatever is wrong with the others."""

from pathlib import Path

import pytest

from trm_model.errors import ConfigurationError
from trm_model.own_files import SUFFIXES, files_of, read_all


def number(path: Path) -> int:
    return int(path.read_text())


def test_of_two_files_for_one_name_none_is_taken(tmp_path: Path) -> None:
    for name in ("twice.yaml", "twice.yml", "once.yaml"):
        (tmp_path / name).write_text("1")
    files = files_of(tmp_path, default=Path("numbers"), variable="NUMBERS")
    found = read_all(files, "number", "trm numbers", number)
    assert found.known == {"once": 1}
    said = f"{tmp_path / 'twice.yml'}: another file stands for the number 'twice' too; rename one"
    assert found.broken == {"twice": said}
    with pytest.raises(ConfigurationError, match="rename one"):
        found.named("twice")
    with pytest.raises(ConfigurationError, match="no number 'two': see: trm numbers"):
        found.named("two")


@pytest.mark.parametrize("text", ["one", "", "\ud800"])
def test_a_broken_file_stops_none_of_the_others(tmp_path: Path, text: str) -> None:
    broken, sound = tmp_path / "broken.yaml", tmp_path / "sound.yaml"
    broken.write_bytes(text.encode("utf-8", "surrogatepass"))
    sound.write_text("2")
    # A folder is no file, and a name has its rule.
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "1st.yaml").write_text("1")
    (tmp_path / ".hidden.yaml").write_text("1")
    (tmp_path / "other.txt").write_text("1")
    files = files_of(tmp_path, default=Path("numbers"), variable="NUMBERS")
    assert {path.suffix for path in files} <= set(SUFFIXES)
    found = read_all(files, "number", "trm numbers", number)
    assert found.known == {"sound": 2}
    assert set(found.broken) == {"broken", "folder", "1st"}
    assert all("\n" not in said for said in found.broken.values())
