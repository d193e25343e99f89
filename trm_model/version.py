"""Which code made a result: a hash of the modules that a piece of work imports.

What a module imports is read from its source, so that nothing has to be imported to know it, and
only what is imported counts: a new variant, a published figure or a solver does not change the
version of a training. What is found by its name while a program runs (a choice of a variant, for
instance) is not written in an import; whoever uses it names its module as a root.
"""

import ast
import functools
import hashlib
import importlib.util
import os
import sys
from importlib import metadata
from pathlib import Path

from trm_model.errors import ConfigurationError

LIBRARIES = ("torch", "numpy", "numba")
"""Libraries that compute; their versions are part of a code version."""
PACKAGES: tuple[str, ...] = ("trm_model", "storage", "assets")
"""The packages of this project whose modules count."""
_ROOT = Path(__file__).parent.parent


def code_version(*roots: str) -> str:
    """Hash of the source of ``roots`` and of all that they import (:func:`closure`), and of the
    versions of :data:`LIBRARIES`: equal versions compute equally.

    It is made of the files as they are now, since that is what a process that starts now will
    import.

    :param roots: names of modules.
    :returns: 16 hexadecimal digits.
    :raises ConfigurationError: a root that is no file.
    """
    digest = hashlib.sha256(
        " ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES).encode()
    )
    for name, path in sorted(closure(*roots).items()):
        digest.update(name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def closure(*roots: str) -> dict[str, Path]:
    """The modules ``roots`` and all that they import, directly or through others, with their files.

    Only modules of :data:`PACKAGES` and of the roots' own packages are followed; libraries count by
    their version. Imports anywhere in a module count, but for those under ``if TYPE_CHECKING``. The
    ``__init__`` of a package counts where something is imported from it, and not where a module in
    the package is: in this project it only names things.

    :param roots: names of modules; one outside this project must have been imported already.
    :raises ConfigurationError: a root that is no file.
    """
    homes = dict.fromkeys(PACKAGES, _ROOT)
    for root in roots:
        top = root.partition(".")[0]
        if top not in homes:
            homes[top] = _home(root)
    file_of = functools.cache(functools.partial(_file, homes))
    found: dict[str, Path] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        path = file_of(name)
        if path is None:
            if name in roots:
                raise _no_file(name)
            continue
        if name in found:
            continue
        found[name] = path
        state = path.stat()
        waiting += [
            full if file_of(full) is not None else module
            for module, full in _imports(name, path, state.st_mtime_ns, state.st_size)
        ]
    return found


def _no_file(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name}: this module is no file, so that its version cannot be known and no other process "
        "can import it; put it into a file that Python can import"
    )


def _home(root: str) -> Path:
    """The folder in which Python found the package of a root."""
    loaded = getattr(sys.modules.get(root), "__file__", None)
    if loaded is None:
        raise _no_file(root)
    path = Path(loaded)
    return path.parents[root.count(".") + (path.name == "__init__.py")]


def _file(homes: dict[str, Path], name: str) -> Path | None:
    """The file of a module in one of the packages that count."""
    home = homes.get(name.partition(".")[0])
    if home is None:
        return None
    # Plain strings: the definitions ask for a thousand names when they load.
    base = os.path.join(home, *name.split("."))  # noqa: PTH118
    candidates = (f"{base}.py", os.path.join(base, "__init__.py"))  # noqa: PTH118
    return next((Path(path) for path in candidates if os.path.isfile(path)), None)  # noqa: PTH113


class _Imports(ast.NodeVisitor):
    """Collects the imports of one module as pairs: the module, and the module with the name that is
    imported from it, which may be a module too."""

    _HOLD_STATEMENTS = (ast.mod, ast.stmt, ast.excepthandler, ast.match_case)

    def __init__(self, package: str) -> None:
        self.package = package
        self.found: list[tuple[str, str]] = []

    def visit_If(self, node: ast.If) -> None:
        """Leave out what only type checkers read."""
        only_types = ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for child in node.orelse if only_types else ast.iter_child_nodes(node):
            self.visit(child)

    def generic_visit(self, node: ast.AST) -> None:
        """Leave out expressions, which are most of a program and hold no import."""
        if isinstance(node, self._HOLD_STATEMENTS):
            super().generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.found += [(alias.name, alias.name) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = importlib.util.resolve_name("." * node.level + (node.module or ""), self.package)
        self.found += [(module, f"{module}.{alias.name}") for alias in node.names]


@functools.lru_cache(maxsize=1024)
def _imports(name: str, path: Path, _modified: int, _size: int) -> tuple[tuple[str, str], ...]:
    """The imports of a module, read again only where its file has changed."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imports = _Imports(package)
    imports.visit(ast.parse(path.read_bytes(), path))
    return tuple(imports.found)
