"""Which code made a result."""

import functools
import hashlib
from importlib import metadata
from pathlib import Path

LIBRARIES = ("torch", "numpy", "numba")
_ROOT = Path(__file__).parent.parent


@functools.cache
def code_version(packages: tuple[str, ...] = ("trm_model", "storage")) -> str:
    """Hash of the packages' sources and of the versions of the libraries that compute: equal
    versions train equally."""
    digest = hashlib.sha256(
        " ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES).encode()
    )
    for package in packages:
        for path in sorted((_ROOT / package).rglob("*.py")):
            digest.update(path.relative_to(_ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
