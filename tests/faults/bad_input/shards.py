"""Ways in which webdataset shards can be wrong."""

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from storage.manifest import write_manifest
from tests.faults.bad_input.damage import (
    Damage,
    Kinds,
    flipped,
    into_folder,
    on_bytes,
    on_json,
    put,
    remove,
    to_bytes,
    without,
)
from tests.faults.bad_input.stored import changed

KINDS = Kinds()
kind = KINDS.add

SHARD = "tar/shard-000001.tar"


def retar(
    change: Callable[[dict[str, bytes]], object], *, name: Callable[[str], str] = lambda name: name
) -> Damage:
    """Alter the members of a shard, and list it in the manifest as if it had been written so."""

    def damage(folder: Path) -> None:
        with tarfile.open(folder / SHARD) as tar:
            members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        change(members)
        with tarfile.open(folder / SHARD, "w") as tar:
            for member, data in members.items():
                info = tarfile.TarInfo(name(member))
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        write_manifest(folder / "tar")

    return damage


def on_member(suffix: str, change: Callable[[bytes], bytes]) -> Callable[[dict[str, bytes]], None]:
    def alter(members: dict[str, bytes]) -> None:
        name = next(name for name in members if name.endswith(suffix))
        members[name] = change(members[name])

    return alter


def on_npy(suffix: str, change: Callable[[Any], Any]) -> Callable[[dict[str, bytes]], None]:
    def alter(data: bytes) -> bytes:
        out = io.BytesIO()
        np.save(out, change(np.load(io.BytesIO(data))))
        return out.getvalue()

    return on_member(suffix, alter)


def on_sample(change: Callable[[Any], object]) -> Callable[[dict[str, bytes]], None]:
    def alter(data: bytes) -> bytes:
        value = json.loads(data)
        change(value)
        return json.dumps(value).encode()

    return on_member("json", alter)


def drop(suffix: str) -> Callable[[dict[str, bytes]], object]:
    return lambda members: members.pop(next(name for name in members if name.endswith(suffix)))


for name, damage in (
    ("empty", to_bytes(SHARD, b"")),
    ("cut in its first header", on_bytes(SHARD, lambda d: d[:100])),
    ("cut after a header", on_bytes(SHARD, lambda d: d[:512])),
    ("cut in the middle", on_bytes(SHARD, lambda d: d[: len(d) // 2])),
    ("cut at the end", on_bytes(SHARD, lambda d: d[:-1])),
    ("longer", on_bytes(SHARD, lambda d: d + b"\0")),
    ("zeros", on_bytes(SHARD, lambda d: bytes(len(d)))),
    ("text", to_bytes(SHARD, b"not a tar " * 200)),
    ("gzip", on_bytes(SHARD, gzip.compress)),
    ("another shard's bytes", lambda f: shutil.copy(f / "tar/shard-000000.tar", f / SHARD)),
    ("flipped in a name", on_bytes(SHARD, lambda d: flipped(d, 3))),
    ("flipped in a size", on_bytes(SHARD, lambda d: flipped(d, 130))),
    ("flipped in an array", on_bytes(SHARD, lambda d: flipped(d, 512 + 130))),
    ("not there", remove(SHARD)),
    ("a folder", into_folder(SHARD)),
    ("no inputs", retar(drop("inputs.npy"))),
    ("no labels", retar(drop("labels.npy"))),
    ("no puzzles", retar(drop("puzzles.npy"))),
    ("no json", retar(drop("json"))),
    ("other member names", retar(lambda _: None, name=lambda name: name.replace("npy", "bin"))),
    ("no array", retar(on_member("inputs.npy", lambda _: b"array"))),
    ("array cut", retar(on_member("inputs.npy", lambda d: d[:-5]))),
    ("array's header cut", retar(on_member("inputs.npy", lambda d: d[:20]))),
    (
        "array's header damaged",
        retar(on_member("labels.npy", lambda d: d.replace(b"descr", b"des'r"))),
    ),
    (
        "array of an unknown version",
        retar(on_member("labels.npy", lambda d: d[:6] + b"\x09" + d[7:])),
    ),
    ("array of objects", retar(on_member("labels.npy", lambda d: d.replace(b"|u1", b"|O ")))),
    (
        "array of huge shape",
        retar(on_member("labels.npy", lambda d: d.replace(b"16)", b"9" * 18 + b")"))),
    ),
    ("json no JSON", retar(on_member("json", lambda _: b"{"))),
    ("json binary", retar(on_member("json", lambda _: b"\xff\xfe"))),
):
    kind("tar", name, damage, f"{SHARD}: ")
for name, change, says in (
    ("json a list", on_member("json", lambda _: b"[]"), "example-"),
    ("no header", on_sample(without("header")), "no 'header'"),
    ("header a list", on_sample(put("header", [])), "example-"),
    ("header without grid", on_sample(without("header", "grid")), "no 'grid'"),
    ("header with more", on_sample(put("header", "x", 1)), "'x'"),
    ("grid text", on_sample(put("header", "grid", "44")), "header's grid is"),
    ("vocabulary too small", on_sample(put("header", "vocabulary", ["a"])), "inputs has token"),
    ("inputs of 64 bits", on_npy("inputs.npy", lambda v: v.astype(np.int64)), "inputs is int64"),
    ("labels narrower", on_npy("labels.npy", lambda v: v[:, 1:]), "labels is uint8"),
    ("fewer labels", on_npy("labels.npy", lambda v: v[1:]), "labels is uint8"),
    ("inputs a number", on_npy("inputs.npy", lambda _: np.uint8(3)), "example-"),
    ("tokens too large", on_npy("labels.npy", lambda v: changed(v, 0, 99)), "labels has token 99"),
    (
        "puzzles of floats",
        on_npy("puzzles.npy", lambda v: v.astype(float)),
        "puzzles.npy is float64",
    ),
    ("puzzles narrower", on_npy("puzzles.npy", lambda v: v[:, :2]), "puzzles.npy is int64"),
    ("puzzles flat", on_npy("puzzles.npy", lambda v: v.ravel()), "puzzles.npy is int64"),
    ("too few puzzles", on_npy("puzzles.npy", lambda v: v[1:]), "puzzles.npy is int64"),
):
    kind("tar", name, retar(change), f"{SHARD}: ", says)
kind(
    "tar",
    "groups out of order",
    retar(on_npy("puzzles.npy", lambda v: changed(v, (0, 0), 99))),
    "groups that do not follow",
)
kind(
    "tar",
    "negative group",
    retar(on_npy("puzzles.npy", lambda v: changed(v, (0, 0), -3))),
    "groups that do not follow",
)
kind(
    "tar",
    "puzzle id too large",
    retar(on_npy("puzzles.npy", lambda v: changed(v, (0, 1), 9))),
    "puzzle_ids of 0..9",
)
kind(
    "tar",
    "a negative number of examples",
    retar(on_npy("puzzles.npy", lambda v: changed(changed(v, (0, 2), -1), (1, 2), 3))),
    "example_offs",
)
kind("tar", "no manifest", remove("tar/manifest.json"), "tar/manifest.json: ")
kind("tar", "manifest cut", on_bytes("tar/manifest.json", lambda d: d[:50]), "tar/manifest.json: ")
kind(
    "tar",
    "manifest without a shard",
    on_json("tar/manifest.json", without("files", "shard-000001.tar")),
    "list of files was changed",
)
kind("tar", "no folder", remove("tar"), "tar/manifest.json: ")
kind(
    "tar",
    "no shards",
    lambda f: ([p.unlink() for p in (f / "tar").glob("*.tar")], write_manifest(f / "tar")),
    "tar: no samples",
)
