"""Initial weights that a run is given, in place of those drawn from its seed: for fine-tuning."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from storage.atomic import new_file
from storage.manifest import CorruptDataError
from storage.reading import reading
from storage.store import follow_pointers
from trm_model import pretrained
from trm_model.errors import require

INITIAL = "initial.safetensors"
"""The file in a run's folder."""
_REMEDY = "materialize the checkpoint again with the same start_from"


def find_source(path: str | Path) -> Path:
    """A checkpoint to begin with: a run's folder, a checkpoint's folder, a file of the authors', or
    a pretrained model by its name.

    :raises ConfigurationError: there is none.
    """
    found = follow_pointers(pretrained.find(path))
    require(
        found.exists(),
        f"start_from={path}: no such checkpoint; expected {pretrained.expected()}; give one",
    )
    return found


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """Hash of tensors and their names, on the CPU."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def write_initial(run: Path, weights: Mapping[str, Tensor]) -> None:
    """Write a run's initial weights, whole or not at all.

    :raises OSError: a full disk.
    """
    target = run / INITIAL
    with new_file(target) as temporary:
        try:
            save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary)
        except SafetensorError as error:  # its name for a full disk too
            raise OSError(f"{target}: {error}") from error


def load_initial(run: Path, expected: str) -> dict[str, Tensor]:
    """A run's initial weights.

    :param expected: their hash (:func:`weights_hash`).
    :raises CorruptDataError: there are none, or others.
    """
    path = run / INITIAL
    with reading(CorruptDataError, path, f"the run's initial weights; {_REMEDY}", SafetensorError):
        weights = load_file(path)
    found = weights_hash(weights)
    if found != expected:
        raise CorruptDataError(f"{path}: content hash {found}, expected {expected}; {_REMEDY}")
    return weights
