"""What lies in the store and how large it is, and the removal of what nothing refers to."""

from itertools import groupby
from operator import attrgetter
from pathlib import Path

from assets.pruning import Stored, prune, sizes, stored
from pipelines.place import data_folder
from storage.store import LocalStore
from trm_model.texts import counted, in_bytes

_DAY = 24 * 3600.0


def tell_prunable(*, older_than: float, every: bool, remove: bool) -> int:
    """Print what nothing refers to, and remove it when told so; returns the exit code.

    :param older_than: days since it was changed.
    :param every: print what is kept too, with the reason.
    :raises StoreError, CorruptDataError, TableError: no store, or a table that cannot be read, so
        that nobody knows what it refers to.
    """
    store = LocalStore.containing(Path(data_folder()))
    found = sorted(stored(store), key=attrgetter("kind", "key"))
    by_folder = sizes(store)
    print(f"{store.root}: {in_bytes(sum(by_folder.values()))} in all")
    for folder, size in by_folder.items():
        print(f"  {folder}/: {in_bytes(size)}")
    useless = [item for item in found if not item.kept and item.age >= older_than * _DAY]
    for kind, items in groupby(found, attrgetter("kind")):
        parts = list(items)
        of_kind = in_bytes(sum(item.size for item in parts))
        print(f"{kind}: {len(parts)}, {of_kind} in all")
    for item in found if every else useless:
        print(f"  {_line(item)}{f': {item.kept}' if item.kept else ''}")
    total = in_bytes(sum(item.size for item in useless))
    what = counted(len(useless), "thing")
    if not useless:
        print("nothing to remove; trm prune --all says why each thing is kept")
    elif not remove:
        print(
            f"{what} with {total} may be removed, since no table, no pointer and no unfinished "
            "training needs them: trm prune --remove"
        )
    else:
        gone = prune(store, {item.key for item in useless})
        freed = in_bytes(sum(item.size for item in gone))
        print(f"removed {counted(len(gone), 'thing')}, {freed}")
    return 0


def _line(item: Stored) -> str:
    return f"{item.key} ({item.kind}, {in_bytes(item.size)}, {item.age / _DAY:.1f} days old)"
