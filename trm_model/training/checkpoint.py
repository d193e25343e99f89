"""Checkpoints: everything that exact resumption needs, in folders that appear whole or not at all,
and all of whose numbers are finite.

``RUN/checkpoints/step-00001234/`` holds ``weights``, ``average`` (EMA), ``optimizer`` and ``carry``
as safetensors, ``progress.json`` (step, data position, totals of the running interval) and a
manifest with checksums. The newest ones are kept, and the one that the pointer
``RUN/checkpoints/best`` names, if there is any. Random draws are functions of the seed and the step
(:mod:`trm_model.seeding`), so that no generator's state has to be kept.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from storage.atomic import publish, staging, write_text
from storage.manifest import CorruptDataError, verify_manifest, write_manifest
from storage.reading import json_object, reading
from storage.store import POINTER, follow_pointers
from trm_model.choices import check_fields, from_plain
from trm_model.finite import NotFiniteError, require_finite
from trm_model.model.batch import Batch
from trm_model.model.reasoner import Reasoner
from trm_model.model.state import State
from trm_model.model.weights import require_same_names, require_tensors
from trm_model.training.folders import FOLDER, at, saved, step_of
from trm_model.training.sampler import Position
from trm_model.training.supervision import Carry

BEST = "best"
"""The pointer to the checkpoint that did best on the validation puzzles, which is kept beside the
newest ones."""
KEEP = 2
"""How many of the newest checkpoints are kept, unless told otherwise."""
_STATE = re.compile(r"^(\d+)\.(\d+)\.(\w+)$")
REMEDY = "remove this checkpoint and train again (trm train), which goes on from the one before"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training has come; ``totals`` are the sums of the logging interval under way and
    ``lap_seconds`` its time so far; ``wall_seconds`` is all time trained.
    """

    step: int = 0
    position: Position = Position()
    totals: tuple[float, ...] = ()
    wall_seconds: float = 0.0
    lap_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Tensors by name (all on the CPU after loading) and the progress. ``average`` is empty for
    variants without EMA; ``where`` names it in messages.

    ``carry`` is empty in what is published, whose ``weights`` alone are there and are those that
    are evaluated (:meth:`published`).
    """

    weights: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    carry: Mapping[str, Tensor]
    progress: Progress
    where: str = "checkpoint"

    def require_finite(self) -> None:
        """Whether every number is finite.

        :raises NotFiniteError: naming the first tensor that holds others, as PART/NAME.
        """
        for part in _PARTS:
            require_finite({f"{part}/{name}": t for name, t in getattr(self, part).items()})
        require_finite({"totals": torch.tensor(self.progress.totals)})

    @property
    def evaluated(self) -> dict[str, Tensor]:
        """The weights that are evaluated: averaged where the variant averages, the rest as they
        are."""
        return {**self.weights, **self.average}

    def copied(self) -> "Checkpoint":
        """The same numbers on the CPU, which no later step changes."""
        copies = {
            part: {
                name: t.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
                for name, t in getattr(self, part).items()
            }
            for part in _PARTS
        }
        return replace(self, **copies)

    def published(self) -> "Checkpoint":
        """What others need to use the model: the weights that are evaluated. No training can go on
        from it."""
        return Checkpoint(self.evaluated, {}, {}, {}, self.progress, self.where)

    def require_weights(self, reasoner: Reasoner) -> None:
        """Whether weights and averages are those of a model.

        :raises ConfigurationError: tensors are missing, unknown or of another shape.
        """
        averages = reasoner.variant.ema and bool(self.carry)
        averaged = dict(reasoner.named_parameters()) if averages else {}
        require_tensors(f"{self.where}: weights", self.weights, reasoner.state_dict())
        require_tensors(f"{self.where}: average", self.average, averaged)

    def require_carry(self, reasoner: Reasoner) -> None:
        """Whether the carry is one of a model, by the names of its tensors.

        :raises ConfigurationError: tensors are missing or unknown.
        """
        carried = {*CARRIED, *map(_latent, range(reasoner.variant.latents))}
        require_same_names(f"{self.where}: carry", self.carry, carried)


_PARTS = ("weights", "average", "optimizer", "carry")
CARRIED = ("inputs", "labels", "puzzle_ids", "answer", "steps", "halted")
"""Names of a carry's tensors, beside the latents'."""


def _latent(number: int) -> str:
    return f"latents.{number}"


def save(run: Path, checkpoint: Checkpoint, keep: int = KEEP) -> Path:
    """Write a checkpoint below ``run`` atomically and remove all but the newest ones and the best.

    :param checkpoint: tensors on the CPU that share no memory, as loaded or copied
        (:meth:`Checkpoint.copied`).
    :param keep: so many of the newest stay, this one included.

    :raises NotFiniteError: numbers that are not finite; nothing is written.
    :raises OSError: a full disk; the older checkpoints are untouched.
    """
    checkpoint.require_finite()
    parent = run / FOLDER
    target = at(run, checkpoint.progress.step)
    with staging(parent) as temporary:
        for part in _PARTS:
            tensors: Mapping[str, Tensor] = getattr(checkpoint, part)
            try:
                detached = {name: t.detach() for name, t in tensors.items()}
                save_file(detached, temporary / f"{part}.safetensors")
            except SafetensorError as error:  # its name for a full disk too
                raise OSError(f"{target / part}.safetensors: {error}") from error
        write_text(temporary / "progress.json", json.dumps(asdict(checkpoint.progress)))
        write_manifest(temporary)
        publish(temporary, target)
    kept = best(run)
    # A damaged one of a later step, from before the training went back, is none of the newest.
    until_now = [folder for folder in saved(run) if step_of(folder) <= checkpoint.progress.step]
    for old in until_now[:-keep]:
        if old == kept:
            continue
        # Renamed first: a half-removed folder must not look like a checkpoint.
        with staging(parent) as grave:
            old.rename(grave / old.name)
    return target


def keep_best(run: Path, step: int) -> None:
    """Let the checkpoint of ``step``, if it is there, be kept as the best one."""
    target = at(run, step)
    if target.is_dir() and best(run) != target:
        write_text(run / FOLDER / BEST, f"{POINTER}{target.name}\n")


def best(run: Path) -> Path | None:
    """The checkpoint that did best on the validation puzzles; None where there is none."""
    found = follow_pointers(run / FOLDER / BEST)
    return found if found.is_dir() else None


def newest(run: Path, report: Callable[[str], None]) -> Checkpoint | None:
    """The run's newest undamaged checkpoint, from which a training continues; None if there is none
    at all.

    :param report: told of each damaged one that is passed over.
    :raises CorruptDataError: there are some, and all are damaged.
    """
    folders = saved(run)
    for number, folder in enumerate(reversed(folders)):
        try:
            return load(folder)
        except CorruptDataError as error:
            if number == len(folders) - 1:
                raise CorruptDataError(
                    f"{error}; or remove {run / FOLDER} to train from the start"
                ) from error
            report(f"passing over a damaged checkpoint: {error}")
    return None


def intact_step(run: Path) -> int:
    """The step of the run's newest undamaged checkpoint; 0 where there is none at all.

    :raises CorruptDataError: as of :func:`newest`.
    """
    found = newest(run, lambda _: None)
    return found.progress.step if found else 0


def _tensors(path: Path) -> dict[str, Tensor]:
    with reading(CorruptDataError, path, f"tensors; {REMEDY}", SafetensorError):
        return load_file(path)


def _all_fields(kind: type, value: object) -> dict[str, Any]:
    """A JSON object with the fields of a dataclass, every one and no other."""
    names = [field.name for field in fields(kind)]
    return json_object(value, kind.__name__.lower(), names, names)


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint.

    :raises CorruptDataError: a file that is missing or not as written, by name, or numbers that are
        not finite, which older versions wrote.
    """
    verify_manifest(folder, REMEDY)
    weights, average, optimizer, carry = (
        _tensors(folder / f"{part}.safetensors") for part in _PARTS
    )
    path = folder / "progress.json"
    with reading(CorruptDataError, path, f"step, position, totals and seconds; {REMEDY}"):
        found = _all_fields(Progress, json.loads(path.read_bytes()))
        progress = from_plain(
            Progress, {**found, "position": _all_fields(Position, found["position"])}
        )
        check_fields(progress, step=0, wall_seconds=0.0, lap_seconds=0.0)
        check_fields(progress.position, epoch=0, offset=0)
    checkpoint = Checkpoint(weights, average, optimizer, carry, progress, str(folder))
    try:
        checkpoint.require_finite()
    except NotFiniteError as error:
        raise CorruptDataError(f"{folder}: {error}; {REMEDY}") from error
    return checkpoint


def load_evaluated(folder: Path, reasoner: Reasoner) -> Progress:
    """Read a checkpoint and put the weights that are evaluated into a model.

    :returns: how far their training had come.
    :raises CorruptDataError: a file that is missing or not as written, by name.
    :raises ConfigurationError: tensors that are not those of this model.
    """
    state = load(folder)
    state.require_weights(reasoner)
    reasoner.load_state_dict(state.evaluated)
    return state.progress


def carry_tensors(carry: Carry) -> dict[str, Tensor]:
    """A carry as named tensors."""
    latents = {_latent(number): latent for number, latent in enumerate(carry.state.latents)}
    batch = {
        "inputs": carry.batch.inputs,
        "labels": carry.batch.labels,
        "puzzle_ids": carry.batch.puzzle_ids,
    }
    return {
        **batch,
        "answer": carry.state.answer,
        **latents,
        "steps": carry.steps,
        "halted": carry.halted,
    }


def carry_from_tensors(tensors: Mapping[str, Tensor], device: torch.device | None = None) -> Carry:
    """The inverse of :func:`carry_tensors`, on ``device``; None: where they are."""
    t = {name: tensor.to(device) for name, tensor in tensors.items()}
    latents = tuple(t[_latent(number)] for number in range(len(t) - len(CARRIED)))
    return Carry(
        Batch(t["inputs"], t["labels"], t["puzzle_ids"]),
        State(t["answer"], latents),
        t["steps"],
        t["halted"],
    )


def optimizer_tensors(optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """The optimizers' states as ``OPTIMIZER.INDEX.NAME`` tensors."""
    return {
        f"{number}.{index}.{name}": torch.as_tensor(value)
        for number, optimizer in enumerate(optimizers)
        for index, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }


def restore_optimizers(
    optimizers: Sequence[torch.optim.Optimizer], tensors: Mapping[str, Tensor], where: str
) -> None:
    """Put :func:`optimizer_tensors` back.

    :param where: they are from, for messages.
    :raises ConfigurationError: tensors that are none of these optimizers', or a weight that lacks
        one that the optimizer's others have.
    """
    states: list[dict[int, dict[str, Tensor]]] = [{} for _ in optimizers]
    for key, value in tensors.items():
        for number, index, name in _STATE.findall(key):
            if int(number) < len(states):
                states[int(number)].setdefault(int(index), {})[name] = value
    known: set[str] = set()
    for number, (optimizer, state) in enumerate(zip(optimizers, states, strict=True)):
        weights = sum(len(group["params"]) for group in optimizer.param_groups)
        names = set[str]().union(*state.values())
        known |= {
            f"{number}.{index}.{name}" for index in state if index < weights for name in names
        }
    require_same_names(f"{where}: optimizer", tensors, known)
    for optimizer, state in zip(optimizers, states, strict=True):
        optimizer.load_state_dict(
            {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
        )
