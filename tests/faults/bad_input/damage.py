"""Ways to damage a file."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Damage = Callable[[Path], object]


@dataclass(frozen=True)
class Kind:
    """One way to be wrong; ``says``: where, besides the folder, and what (parts of the message)."""

    container: str
    name: str
    damage: Damage
    says: tuple[str, ...]


class Kinds(list[Kind]):
    """The ways to be wrong of a theme."""

    def add(self, container: str, name: str, damage: Damage, *says: str) -> None:
        self.append(Kind(container, name, damage, says))


def on_bytes(file: str, change: Callable[[bytes], bytes]) -> Damage:
    return lambda folder: (folder / file).write_bytes(change((folder / file).read_bytes()))


def to_bytes(file: str, data: bytes) -> Damage:
    return on_bytes(file, lambda _: data)


def remove(file: str) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / file
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

    return damage


def into_folder(file: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / file).unlink()
        (folder / file).mkdir()

    return damage


def flipped(data: bytes, place: int) -> bytes:
    place %= len(data)
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def on_json(file: str, change: Callable[[Any], object]) -> Damage:
    """``change`` alters the value in place."""

    def damage(folder: Path) -> None:
        value = json.loads((folder / file).read_bytes())
        change(value)
        (folder / file).write_text(json.dumps(value))

    return damage


def put(*path: Any) -> Callable[[Any], None]:
    """Set the value at the path ``path[:-1]`` to ``path[-1]``."""

    def change(value: Any) -> None:
        for key in path[:-2]:
            value = value[key]
        value[path[-2]] = path[-1]

    return change


def without(*path: Any) -> Callable[[Any], None]:
    def change(value: Any) -> None:
        for key in path[:-1]:
            value = value[key]
        del value[path[-1]]

    return change
