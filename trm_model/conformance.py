"""Ours against numbers recorded from the authors' code: ``python -m trm_model.conformance DIR``.

DIR holds ``configs.json``, one ``.npz`` per model and, for ARC's votes, a folder ``arc_vote`` (see the recordings' README). One line
per file and value with the largest absolute error (of predictions and attempts: how many differ) and the tolerance there; models not
built yet are named and skipped; exit code 1 on any mismatch, 2 if DIR cannot be read.
"""

import json
import math
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trm_model.authors import names, size_of, to_ours, variant_of
from trm_model.reasoner import Reasoner
from trm_model.seeding import torch_generator
from trm_model.supervision import Batch, Carry, Supervision, supervise
from trm_model.variant import ConfigurationError
from trm_model.voting import compare_recorded

RELATIVE, ABSOLUTE, ROUNDING, RUNS = 1e-4, 1e-5, 2e-7, 6
Recording = Mapping[str, npt.NDArray[Any]]


class Comparison(NamedTuple):
    """One recorded value: its key, the largest absolute error of ours, the tolerance there, and whether all of it agrees."""

    key: str
    error: float
    tolerance: float
    agrees: bool


Values = dict[str, Tensor]


def metrics(step: Supervision, *, training: bool, max_steps: int) -> dict[str, Tensor]:
    """The authors' metrics of one step: sums over examples that have halted and have labelled cells, losses over all."""
    result, carry = step.losses, step.carry
    halted = carry.halted if training else carry.steps >= max_steps
    counted = halted & (result.labelled_cells > 0)
    accuracy = result.right_cells / result.labelled_cells.clamp(min=1)
    return {
        "count": counted.sum(),
        "accuracy": torch.where(counted, accuracy, 0.0).sum(),
        "exact_accuracy": (counted & result.solved).sum(),
        "q_halt_accuracy": (counted & ((step.output.halt_logits >= 0) == result.solved)).sum(),
        "steps": torch.where(counted, carry.steps, 0).sum(),
        "lm_loss": result.answer.sum(),
        "q_halt_loss": result.halt.sum(),
    }


def ours(recording: Recording, config: Mapping[str, Any], perturbation: torch.Generator | None = None) -> Values:
    """Every value that a recording may hold, computed by our model: evaluation, training steps, gradients.

    :param perturbation: multiply each weight by 1 + 2e-7 x (a standard normal number), see :func:`check`.
    :raises ConfigurationError: a model that is not built here.
    """
    state = {key.removeprefix("state/"): torch.from_numpy(recording[key]) for key in recording if key.startswith("state/")}
    variant, size = variant_of(config, state), size_of(config)
    max_steps: int = config["halt_max_steps"]
    reasoner = Reasoner(
        variant,
        size,
        vocabulary=config["vocab_size"],
        length=config["seq_len"],
        num_puzzles=config["num_puzzle_identifiers"] if size.puzzle_width else 1,
        generator=torch.Generator().manual_seed(0),
    )
    reasoner.load_state_dict(to_ours(state, variant, size))
    if perturbation is not None:
        with torch.no_grad():
            for weight in reasoner.parameters():
                weight.mul_(1.0 + ROUNDING * torch.randn(weight.shape, generator=perturbation))
    batch = Batch(*(torch.from_numpy(recording[f"batch/{key}"]).long() for key in ("inputs", "labels", "puzzle_identifiers")))
    values: Values = {}

    def record(prefix: str, step: Supervision, training: bool) -> None:
        output = step.output
        of_step: Values = {
            "logits": output.logits,
            "q_halt_logits": output.halt_logits,
            "q_continue_logits": output.continue_logits,
            "preds": output.logits.argmax(-1),
            "loss": step.losses.total,
            "halted": step.carry.halted,
            "steps": step.carry.steps,
            **{f"metric/{name}": value for name, value in metrics(step, training=training, max_steps=max_steps).items()},
        }
        values.update({f"{prefix}/{name}": value.detach() for name, value in of_step.items()})

    carry = Carry.fresh(reasoner, batch)
    with torch.no_grad():
        for number in range(_steps(recording, "eval")):
            step = supervise(reasoner, carry, max_steps=max_steps)
            record(f"eval/{number}", step, training=False)
            carry = step.carry

    carry = Carry.fresh(reasoner, batch)
    for number in range(_steps(recording, "train")):
        step = supervise(reasoner, carry.refill(reasoner, batch), max_steps=max_steps)
        record(f"train/{number}", step, training=True)
        if number == 0:
            (step.losses.total / len(batch.inputs)).backward()
            parameters = dict(reasoner.named_parameters())
            for mine, theirs in names(variant, size).items():
                gradient = parameters[mine].grad if mine in parameters else None
                if gradient is not None:
                    values[f"grad/{theirs}"] = gradient
            if step.rows.grad is not None:
                values["grad/puzzle_embedding_rows"] = step.rows.grad
        carry = step.carry
    return values


def check(recording: Recording, config: Mapping[str, Any]) -> Iterator[Comparison]:
    """Compare every value in one recording with ours.

    Floats agree within 1e-5 + 1e-4 |recorded| + what float32 rounding does to the value. That last part is measured, because it
    grows with each call of the recursion, to 0.3 in the logits of ``trm_mlp`` after three supervision steps, and recordings from
    another processor carry it too: it is twice the largest change of the value over several runs of ours whose weights are
    perturbed by 2e-7, about three float32 units in the last place. Predictions agree if equal, except where the recorded logits' first two
    candidates are closer than twice the tolerance. Other integers and booleans are equal, or vary as much in the perturbed runs.

    :raises ConfigurationError: a model that is not built here.
    """
    mine = ours(recording, config)
    runs = [ours(recording, config, torch_generator(0, "perturbation", number)) for number in range(RUNS)]
    for key, recorded in recording.items():
        if key.split("/")[0] not in ("eval", "train", "grad"):
            continue
        if key not in mine or tuple(mine[key].shape) != recorded.shape:
            yield Comparison(key, math.inf, 0.0, agrees=False)
            continue
        value, target = mine[key].double(), torch.from_numpy(np.asarray(recorded, dtype=np.float64))
        rounding = 2.0 * max(float((run[key].double() - value).abs().max()) for run in runs)
        error = (value - target).abs()
        if key.endswith("/preds"):
            logits = key.replace("/preds", "/logits")
            allowed = 2.0 * max(float((run[logits] - mine[logits]).abs().max()) for run in runs)
            best = torch.from_numpy(recording[logits]).topk(2, dim=-1).values
            clear = best[..., 0] - best[..., 1] > 2.0 * allowed
            yield Comparison(key, float((error > 0).sum()), float((~clear).sum()), not bool(((error > 0) & clear).any()))
            continue
        exact = recorded.dtype.kind != "f"
        tolerance = torch.full_like(target, rounding) if exact else ABSOLUTE + RELATIVE * target.abs() + rounding
        worst = int((error - tolerance).argmax())
        yield Comparison(key, float(error.max()), float(tolerance.flatten()[worst]), bool((error <= tolerance).all()))


def check_votes(folder: Path) -> Iterator[Comparison]:
    """Compare ARC's pass@k and submission; both are exact.

    :raises ConfigurationError: the tasks cannot be had here.
    """
    try:
        for key, error in compare_recorded(folder):
            yield Comparison(key, error, 0.0, error == 0.0)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"its tasks come with the package {error.name}, which is not installed; pip install it") from error


def _steps(recording: Recording, phase: str) -> int:
    return len({key.split("/")[1] for key in recording if key.startswith(f"{phase}/")})


def _line(name: str, comparison: Comparison) -> str:
    verdict = "ok" if comparison.agrees else "MISMATCH"
    return f"{name} {comparison.key} {comparison.error:.3g} (tolerance {comparison.tolerance:.3g}) {verdict}"


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    if len(arguments) != 1:
        print("usage: python -m trm_model.conformance DIR", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    try:
        configs: dict[str, dict[str, Any]] = json.loads((folder / "configs.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        print(f"{folder / 'configs.json'}: {error}; expected the recordings' configurations", file=sys.stderr)
        return 2
    mismatches = compared = 0
    for path in sorted(folder.glob("*.npz")):
        if path.stem not in configs:
            print(f"{path.stem}: skipped (no entry in configs.json: not a model built yet)")
            continue
        try:
            with np.load(path, allow_pickle=False) as arrays:
                recording = {key: arrays[key] for key in arrays.files}
            for comparison in check(recording, configs[path.stem]):
                compared += 1
                mismatches += not comparison.agrees
                print(_line(path.stem, comparison))
        except ConfigurationError as error:
            print(f"{path.stem}: skipped ({error})")
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            print(f"{path}: not a readable recording ({error})", file=sys.stderr)
            return 2
    votes = folder / "arc_vote"
    if votes.is_dir():
        try:
            for comparison in check_votes(votes):
                compared += 1
                mismatches += not comparison.agrees
                print(_line("arc_vote", comparison))
        except ConfigurationError as error:
            print(f"arc_vote: skipped ({error})")
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            print(f"{votes}: not a readable recording ({error})", file=sys.stderr)
            return 2
    print(f"{compared} values compared, {mismatches} mismatches")
    return 1 if mismatches or not compared else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
