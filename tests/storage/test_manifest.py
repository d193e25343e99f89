"""The listing of a folder, and the hash that stands for all of it."""

import hashlib
import json
from pathlib import Path

import pytest

from storage.manifest import (
    MANIFEST,
    CorruptDataError,
    list_file,
    parse_manifest,
    read_content_hash,
    verify_manifest,
    write_manifest,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "below").mkdir()
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "below" / "b").write_bytes(b"")
    return tmp_path


def test_the_content_hash_is_of_the_listing(folder: Path) -> None:
    listing = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in (("a", b"one"), ("below/b", b""))
    }
    expected = hashlib.sha256(json.dumps(listing, sort_keys=True).encode()).hexdigest()
    assert write_manifest(folder) == expected
    assert read_content_hash(folder) == verify_manifest(folder) == expected
    assert parse_manifest("x", (folder / MANIFEST).read_bytes()) == (listing, expected)
    assert list_file(folder / "a") == listing["a"]


def test_known_listings_are_taken_as_they_are(folder: Path) -> None:
    write_manifest(folder, {"a": {"bytes": 3, "sha256": "known"}})
    assert json.loads((folder / MANIFEST).read_text())["files"]["a"]["sha256"] == "known"
    with pytest.raises(CorruptDataError, match="its bytes changed"):
        verify_manifest(folder)


def test_reading_the_hash_reads_no_file(folder: Path) -> None:
    written = write_manifest(folder)
    (folder / "a").unlink()
    assert read_content_hash(folder) == written
    with pytest.raises(CorruptDataError, match="missing, expected it as manifest.json lists it"):
        verify_manifest(folder)


def test_a_listing_that_was_changed_is_refused(folder: Path) -> None:
    write_manifest(folder)
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"bytes": 3', '"bytes": 4'))
    with pytest.raises(CorruptDataError, match="its list of files was changed after writing"):
        read_content_hash(folder)
    for wrong in ({"bytes": True, "sha256": "x"}, {"bytes": 1, "sha256": 2}):
        files = {"a": wrong}
        content_hash = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
        data = json.dumps({"files": files, "content_hash": content_hash}).encode()
        with pytest.raises(CorruptDataError, match="'a' is listed as"):
            parse_manifest("x", data)
