"""Data sets built shard by shard: a build that was interrupted continues from the shards it had
finished."""

import contextlib
import json
import posixpath
from collections.abc import Callable, Generator
from pathlib import Path

from storage.atomic import remove, write_text
from storage.manifest import CorruptDataError, Listing, list_file, verify_manifest, write_manifest
from storage.store import Store

PREFIX = ".building-"
WAIT_SECONDS = 24 * 3600.0


class Build:
    """A data set under way: ``folder`` is where to write; nothing reads it there.

    :func:`storage.examples.write_examples` asks ``finished`` before it writes a file and calls
    ``on_file`` afterwards.
    """

    def __init__(self, store: Store, parent: str, key: str) -> None:
        self._store, self._parent = store, parent
        folder = store.open(posixpath.join(parent, f"{PREFIX}{key}"))
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._log = folder.with_name(f"{folder.name}.finished")
        self._earlier = self._read()
        self._known: dict[str, Listing] = {}
        # What an earlier build has not finished may be half a file, or a writer's temporary one.
        for path in folder.rglob("*"):
            if path.is_file() and path.relative_to(folder).as_posix() not in self._earlier:
                path.unlink()
        write_text(self._log, "".join(f"{json.dumps(entry)}\n" for entry in self._earlier.items()))

    def _read(self) -> dict[str, Listing]:
        found: dict[str, Listing] = {}
        text = self._log.read_text("utf-8", errors="replace") if self._log.exists() else ""
        for line in text.splitlines():
            try:
                name, listing = json.loads(line)
                found[name] = listing
            except (ValueError, TypeError):
                break  # The line that a killed build was writing.
        return found

    def finished(self, file: Path) -> bool:
        """Whether an earlier build has written ``file`` and it is still as written."""
        name = file.relative_to(self.folder).as_posix()
        if name not in self._earlier or not file.exists() or list_file(file) != self._earlier[name]:
            return False
        self._known[name] = self._earlier[name]
        return True

    def on_file(self, file: Path, listing: Listing) -> None:
        """Remember a file as finished."""
        name = file.relative_to(self.folder).as_posix()
        self._known[name] = listing
        # One short write in append mode: lines of several threads do not mix.
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps([name, listing]) + "\n")

    def publish(self) -> tuple[str, str]:
        """Write the manifest and move the folder to its name, the start of its content hash;
        returns its key in the store and the whole hash.

        An equal, undamaged data set that is there already is left alone: somebody may be reading
        it.
        """
        content_hash = write_manifest(self.folder, self._known)
        target = posixpath.join(self._parent, content_hash[:16])
        if not _intact(self._store.open(target)):
            self._store.publish_folder(self.folder, target)
        return target, content_hash

    def discard(self) -> None:
        """Remove what is left of the build."""
        remove(self.folder)
        remove(self._log)


def _intact(folder: Path) -> bool:
    try:
        return folder.exists() and bool(verify_manifest(folder))
    except CorruptDataError:
        return False


@contextlib.contextmanager
def building(
    store: Store, parent: str, key: str, waiting: Callable[[str], None] = lambda _: None
) -> Generator[Build]:
    """Build below ``parent``, a key of the store, what ``key`` determines to the byte. An error
    leaves the finished shards for the next attempt.

    Builds below one ``parent`` run one after the other. Remains of builds of other keys, which
    nobody will continue, are removed.

    :param key: hash of everything the bytes depend on: source files, plan, seed, code.
    :param waiting: told if another process is building there.
    """
    mine = f"{PREFIX}{key}"
    with store.lock(
        posixpath.join(parent, ".lock"),
        label=f"building {posixpath.join(parent, mine)}",
        wait_seconds=WAIT_SECONDS,
        waiting=waiting,
    ):
        for other in store.open(parent).glob(f"{PREFIX}*"):
            if not other.name.startswith(mine):
                remove(other)
        build = Build(store, parent, key)
        yield build
        build.discard()
