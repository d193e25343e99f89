"""What a training takes over from another one, or from the authors', to fine-tune it: its weights,
and the puzzle rows of the puzzles that both know."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from storage.examples import Header, open_header
from storage.manifest import hash_file, read_content_hash
from trm_model import authors
from trm_model.errors import ConfigurationError, require
from trm_model.model.reasoner import build
from trm_model.model.weights import require_tensors
from trm_model.solving.loading import find_checkpoint, header_of, named_rows, read_identifiers
from trm_model.training import checkpoint as checkpoints
from trm_model.training.initial import find_source
from trm_model.training.run import Parent, RunSpec

IDENTIFIERS = "identifiers.json"
"""File of the authors' ARC data sets, looked for beside their checkpoint: the names of the puzzle
rows in their order."""
_ROWS = "puzzle_rows"


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a fine-tuned training begins with.

    :param weights: of the model, by name; puzzle rows that are not taken over are 0.
    :param rows, taken: the number of puzzles that have a row, and of those taken over.
    """

    weights: dict[str, Tensor]
    parent: Parent
    rows: int
    taken: int

    def __str__(self) -> str:
        return f"{self.parent}; {self.taken} of {self.rows} puzzle rows are taken over"


@dataclass(frozen=True, slots=True)
class _Source:
    """A checkpoint to begin with; ``names``: of its puzzle rows."""

    weights: dict[str, Tensor]
    names: dict[str, int]
    parent: Parent


def begin_from(path: str | Path, spec: RunSpec, data: Path) -> Beginning:
    """The weights, averaged where they are, of the checkpoint ``path``, for the training ``spec``.

    Rows of the puzzle table are taken over by the names of the puzzles; where all puzzles share one
    row, that one is.

    :param path: a run's folder (its newest checkpoint), a checkpoint's folder within a run, or a
        file of the authors'.
    :param data: the folder of the data set of ``spec``.
    :raises ConfigurationError: no such checkpoint, or one of another model or other puzzles; the
        message says what differs.
    :raises CorruptDataError: a damaged checkpoint.
    """
    what = f"start_from={path}"
    found = find_source(path)
    header = spec.header or open_header(data / "train.zarr")
    if found.is_file():
        source = _theirs(what, found, spec, header)
    else:
        source = _ours(what, found.resolve(), header)
    model = build(spec.variant, spec.recipe.size, header, spec.seed, spec.recipe.precision)
    expected = model.state_dict()
    table, theirs = expected[_ROWS], source.weights.get(_ROWS)
    require(
        theirs is not None and theirs.shape[1:] == table.shape[1:],
        f"{what}: puzzle rows of width {0 if theirs is None else theirs.shape[1]}, expected "
        f"{table.shape[1]} (puzzle_width of the recipe's size); give a checkpoint of this size",
    )
    assert theirs is not None
    rows = {0: 0}
    if len(table) > 1:
        mine = named_rows(data)
        rows = {row: source.names[name] for name, row in mine.items() if name in source.names}
    table = torch.zeros_like(table)
    table[list(rows)] = theirs[list(rows.values())]
    weights = {**source.weights, _ROWS: table}
    require_tensors(f"{what}: weights", weights, expected)
    # Row 0 of a table of several rows is the blank one, which belongs to no puzzle.
    return Beginning(weights, source.parent, max(1, len(table) - 1), len(rows))


def _ours(what: str, folder: Path, header: Header) -> _Source:
    origin, chosen = find_checkpoint(folder)
    spec = RunSpec.read(origin)
    theirs = header_of(origin, spec)
    for name in ("grid", "vocabulary"):
        found, wanted = getattr(theirs, name), getattr(header, name)
        require(
            found == wanted,
            f"{what}: trained on puzzles whose {name} is {found}, expected {wanted} as in the data "
            "set; give a checkpoint of such puzzles",
        )
    state = checkpoints.load(chosen)
    step, content = state.progress.step, read_content_hash(chosen)
    try:
        names = named_rows(spec.data_folder(origin))
    except ConfigurationError:  # A run that has been copied out of its store.
        names = {}
    parent = Parent(name=origin.name, step=step, checkpoint=content)
    return _Source(state.evaluated, names, parent)


def _theirs(what: str, file: Path, spec: RunSpec, header: Header) -> _Source:
    size = spec.recipe.size
    model = authors.load(file, heads=size.heads, length=header.length, prefix=size.prefix)
    require(
        model.vocabulary == len(header.vocabulary),
        f"{what}: {model.vocabulary} tokens, expected the {len(header.vocabulary)} of the data "
        "set; give a checkpoint of such puzzles",
    )
    identifiers = file.parent / IDENTIFIERS
    names: list[str] = []
    if identifiers.is_file():
        names = read_identifiers(identifiers, len(model.puzzle_rows))
    parent = Parent(name=file.name, step=None, checkpoint=hash_file(file))
    return _Source(dict(model.state_dict()), {name: row for row, name in enumerate(names)}, parent)
