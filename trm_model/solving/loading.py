"""Trained models from their files: runs of ours, and checkpoints of the authors'."""

import importlib.util
import json
import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from storage.examples import Header, open_header
from storage.manifest import CorruptDataError
from storage.store import A_POINTER, follow_pointers
from trm_model import authors, pretrained
from trm_model.devices import open_device
from trm_model.errors import ConfigurationError, require
from trm_model.model.reasoner import build
from trm_model.puzzles.arc.augmentation import Augmentation, parse_name
from trm_model.puzzles.arc.tasks import SEPARATOR
from trm_model.puzzles.registry import families_at, family_of, only_family
from trm_model.solving.trained import TrainedModel, Versions
from trm_model.training import checkpoint as checkpoints
from trm_model.training.folders import saved
from trm_model.training.run import RUN_FILE, RunSpec

PUBLISHED_STEPS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorsFile:
    """What the shapes in a checkpoint of the authors do not tell; see
    :func:`trm_model.authors.checkpoints.load`.

    :param length: cells per puzzle, L: 81 for Sudoku, 900 for mazes and ARC.
    :param latent_updates, cycles: n and T; None: as published for Sudoku (mazes and ARC were
        published with n=4).
    :param identifiers: ``identifiers.json`` of the ARC data set it was trained on: puzzle names in
        the order of the puzzle table.
    """

    heads: int
    length: int
    prefix: int | None = None
    latent_updates: int | None = None
    cycles: int | None = None
    identifiers: Path | None = None


def load(
    path: str | Path,
    *,
    device: str = "auto",
    kind: str | None = None,
    theirs: AuthorsFile | None = None,
) -> TrainedModel:
    """A model from a run's folder (its newest checkpoint), a checkpoint's folder within a run, or a
    file of the authors', or a pretrained one by its name.

    :param path: such as ``data/runs/sudoku_4x4/trm_mlp/0/current`` or ``sudoku_4x4``.
    :param device: ``auto``: the first GPU, else the CPU.
    :param kind: the family of puzzles, where size and vocabulary leave it open.
    :param theirs: for a file of the authors', and for that alone.
    :raises ConfigurationError: no such checkpoint, or one that cannot be used; the message says
        what to change.
    :raises CorruptDataError: a damaged checkpoint.
    """
    found = follow_pointers(pretrained.find(path))
    if found.is_file():
        require(
            authors.written_by_torch(found),
            f"{found}: neither {A_POINTER}, nor a checkpoint of the authors'; if it was a run's "
            "pointer, give the run's folder beside it, or remove it and train again (trm train)",
        )
        if theirs is None:
            raise ConfigurationError(
                f"{found}: a file, hence a checkpoint of the authors': expected --heads and "
                "--length, which its weights do not tell (published: 8 heads, the baseline 12; 81 "
                "cells for Sudoku, 900 for mazes and ARC)"
            )
        model = _load_theirs(found, kind, theirs)
    else:
        pointing = "" if found == Path(path) else f", to which {path} points"
        require(
            found.is_dir(),
            f"{found}: no such checkpoint{pointing}; expected {pretrained.expected()}",
        )
        require(
            theirs is None,
            f"{found}: a folder, hence a checkpoint of ours, whose sizes are known; leave out the "
            "options for files",
        )
        model = _load_ours(found.resolve(), kind)
    model.reasoner.to(open_device(device)).eval()
    return model


def find_checkpoint(folder: Path) -> tuple[Path, Path]:
    """The run and the checkpoint that a folder is or is in: of a run, its newest checkpoint.

    :raises ConfigurationError: neither a run that has one nor a checkpoint within one.
    """
    if (folder / RUN_FILE).is_file():
        run, found = folder, saved(folder)
        require(bool(found), f"{folder}: no checkpoint yet; train first, or give another run")
        chosen = found[-1]
    else:
        run, chosen = folder.parents[1] if len(folder.parents) > 1 else folder, folder
        require(
            (run / RUN_FILE).is_file(),
            f"{folder}: neither a run (it has no {RUN_FILE}) nor a checkpoint within one (there "
            f"is no {run / RUN_FILE}); give RUN or RUN/checkpoints/step-…",
        )
    return run, chosen


def _load_ours(folder: Path, kind: str | None) -> TrainedModel:
    run, chosen = find_checkpoint(folder)
    spec = RunSpec.read(run)
    header = header_of(run, spec)
    reasoner = build(spec.variant, spec.recipe.size, header, spec.seed, spec.recipe.precision)
    progress = checkpoints.load_evaluated(chosen, reasoner)
    try:
        family = family_of(header, kind)
    except ConfigurationError as error:
        raise ConfigurationError(f"{run / RUN_FILE}: {error}") from error
    return TrainedModel(
        reasoner,
        family,
        spec.recipe.max_steps,
        partial(_versions_of_data, run, spec),
        f"{spec.variant_name} trained on {spec.benchmark}, seed {spec.seed}, step "
        f"{progress.step} of {spec.recipe.steps}",
        spec,
        progress.step,
    )


def header_of(run: Path, spec: RunSpec) -> Header:
    """The header of the data that a run was trained on; of a run from before its description held
    it, as the data set says.

    :raises ConfigurationError: that data set cannot be read.
    """
    try:
        return spec.header or open_header(spec.data_folder(run) / "train.zarr")
    except (ConfigurationError, CorruptDataError) as error:
        raise ConfigurationError(
            f"{run / RUN_FILE}: no header, and the data set {spec.data} that has it cannot be "
            "read; put the data set back"
        ) from error


def _load_theirs(path: Path, kind: str | None, theirs: AuthorsFile) -> TrainedModel:
    reasoner = authors.load(path, heads=theirs.heads, length=theirs.length, prefix=theirs.prefix)
    # No weight's shape depends on them.
    changes = {"latent_updates": theirs.latent_updates, "cycles": theirs.cycles}
    reasoner.variant = replace(
        reasoner.variant, **{name: value for name, value in changes.items() if value is not None}
    )
    side = math.isqrt(theirs.length)
    fitting = [
        family
        for grid in ((side, side), (1, theirs.length))
        for family in families_at(grid)
        if family.cells == theirs.length and len(family.vocabulary) == reasoner.vocabulary
    ]
    found = f"{path}: {reasoner.vocabulary} tokens on {theirs.length} cells"
    names: list[str] = []
    if theirs.identifiers is not None:
        names = read_identifiers(theirs.identifiers, len(reasoner.puzzle_rows))
    return TrainedModel(
        reasoner,
        only_family(fitting, kind, found),
        PUBLISHED_STEPS,
        partial(_versions_of_names, names),
        f"{path.name} of the authors', {reasoner.num_parameters:,} parameters, "
        f"{reasoner.variant.depth} layers a step",
    )


def _ordered(versions: Versions) -> Versions:
    """The task itself first."""
    return sorted(versions, key=lambda version: version[1] != Augmentation(version[1].task))


def read_identifiers(path: Path, rows: int) -> list[str]:
    try:
        names: Any = json.loads(path.read_bytes())
    except ValueError as error:
        raise ConfigurationError(
            f"{path}: {error}; expected the identifiers.json of the data set trained on"
        ) from error
    require(
        isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and len(names) == rows,
        f"{path}: expected a list of {rows} puzzle names, one for each row of the checkpoint's "
        "puzzle table; give the file of its data set",
    )
    return names


def _versions_of_names(names: list[str], task: str) -> Versions:
    rows = [(row, name) for row, name in enumerate(names) if name.split(SEPARATOR)[0] == task]
    return _ordered([(row, parse_name(name)) for row, name in rows])


def _versions_of_data(run: Path, spec: RunSpec, task: str) -> Versions:
    try:
        rows = named_rows(spec.data_folder(run), task)
    except ConfigurationError:
        return []
    return _ordered([(row, parse_name(name)) for name, row in rows.items()])


def named_rows(data: Path, task: str | None = None) -> dict[str, int]:
    """Names of puzzles, augmentations included, and their rows in the puzzle table, from the table
    of puzzles of the data set in the folder ``data``, where that and polars, which reads it, are
    there; else none.

    :param task: of this task alone; None: of all.
    """
    files = sorted((data / "puzzles").glob("train-*.parquet"))
    if not files or importlib.util.find_spec("polars") is None:
        return {}
    import polars as pl

    table = pl.scan_parquet(files, glob=False)
    if task is not None:
        table = table.filter(pl.col("base") == task)
    return dict(table.select("name", "puzzle_id").collect().iter_rows())
