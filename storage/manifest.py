"""A folder's checksums: what was written, and proof that it still is.

``manifest.json`` lists every file of the folder with its size and SHA-256. The hash of that list is
the folder's content hash: the data version in Dagster, and what a score refers back to.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from storage.atomic import write_text
from storage.reading import json_object, reading
from storage.refusals import UserError

MANIFEST = "manifest.json"
AGAIN = "put back what was written, or write it again"
"""The remedy where nobody knows what the folder is. Who does gives a better one."""
Listing = dict[str, int | str]
"""What a manifest says of one file: its size as ``bytes``, its checksum as ``sha256``."""


class CorruptDataError(UserError):
    """Stored bytes are not the ones that were written; the message names the file and the
    remedy."""


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> dict[str, Path]:
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def _content_hash(listing: dict[str, Listing]) -> str:
    return hashlib.sha256(json.dumps(listing, sort_keys=True).encode()).hexdigest()


def list_file(path: Path) -> Listing:
    """A file's size and checksum."""
    return {"bytes": path.stat().st_size, "sha256": hash_file(path)}


def write_manifest(folder: Path, known: Mapping[str, Listing] | None = None) -> str:
    """List the folder's files with their checksums and return the content hash.

    :param known: listings of files that need not be read again, by name relative to ``folder``.
    """
    known = known or {}
    listing = {
        name: known[name] if name in known else list_file(path)
        for name, path in _files(folder).items()
    }
    content_hash = _content_hash(listing)
    write_text(
        folder / MANIFEST, json.dumps({"content_hash": content_hash, "files": listing}, indent=1)
    )
    return content_hash


def parse_manifest(
    where: object, data: bytes, remedy: str = AGAIN
) -> tuple[dict[str, Listing], str]:
    """The listing of each file and the content hash, from the bytes of a manifest.

    :param where: what the message names as the place of the bytes.
    :param remedy: what the message says is to be done.
    :raises CorruptDataError: bytes that are no manifest, or were changed since they were written.
    """
    with reading(CorruptDataError, where, f"a readable manifest; {remedy}"):
        manifest = json_object(json.loads(data), "the manifest", ("files", "content_hash"))
        listing, recorded = json_object(manifest["files"], "files"), manifest["content_hash"]
        if _content_hash(listing) != recorded:
            raise ValueError("its list of files was changed after writing")
        for name, entry in listing.items():
            file = json_object(entry, f"the entry {name!r}", ("bytes", "sha256"))
            if type(file["bytes"]) is not int or type(file["sha256"]) is not str:
                raise ValueError(f"{name!r} is listed as {file}")
    return listing, recorded


def _read(folder: Path, remedy: str) -> tuple[dict[str, Listing], str]:
    path = folder / MANIFEST
    with reading(CorruptDataError, path, f"a readable manifest; {remedy}"):
        data = path.read_bytes()
    return parse_manifest(path, data, remedy)


def read_content_hash(folder: Path, remedy: str = AGAIN) -> str:
    """The content hash in the folder's manifest, without reading the files.

    :param remedy: what the message says is to be done.
    :raises CorruptDataError: no readable manifest.
    """
    return _read(folder, remedy)[1]


def verify_manifest(folder: Path, remedy: str = AGAIN) -> str:
    """Compare every file with the manifest and return the content hash.

    :param remedy: what the message says is to be done.
    :raises CorruptDataError: a file that is missing, changed or not listed, by name.
    """
    listing, recorded = _read(folder, remedy)
    found = _files(folder)
    for name in sorted(set(found) | set(listing)):
        path = folder / name
        if name not in found:
            raise CorruptDataError(f"{path}: missing, expected it as {MANIFEST} lists it; {remedy}")
        if name not in listing:
            raise CorruptDataError(
                f"{path}: not listed in {MANIFEST}, expected only what it lists; remove it, or "
                f"else {remedy}"
            )
        with reading(CorruptDataError, path, f"it as {MANIFEST} lists it; {remedy}"):
            size = path.stat().st_size
            same = size == listing[name]["bytes"] and hash_file(path) == listing[name]["sha256"]
        if size != listing[name]["bytes"]:
            raise CorruptDataError(
                f"{path}: {size} bytes, expected {listing[name]['bytes']}; {remedy}"
            )
        if not same:
            raise CorruptDataError(
                f"{path}: its bytes changed since they were written (SHA-256 differs), expected "
                f"the same; {remedy}"
            )
    return recorded
