"""Ours against numbers recorded from the authors' code: ``python -m trm_model.authors.conformance
DIR``.

DIR holds ``configs.json``, or one ``NAME.json`` per model, one ``.npz`` per model and, for ARC's
votes, a folder ``arc_vote`` (see the recordings' README). One line per file and value with the
largest absolute error (of predictions and attempts: how many differ) and the tolerance there;
models not built here are named and skipped; exit code 1 on any mismatch, 2 if DIR cannot be read.
"""

import json
import math
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trm_model.authors.checkpoints import names, shared_name, size_of, to_ours, variant_of
from trm_model.errors import ConfigurationError
from trm_model.evaluation.evaluate import rollout
from trm_model.model.batch import IGNORE, Batch
from trm_model.model.evaluation import Evaluation
from trm_model.model.reasoner import Reasoner
from trm_model.model.starts.noisy import (
    LEVELS,
    NoisyStart,
    corrupted_share,
    levels_at_test,
    training_levels,
)
from trm_model.model.state import Output
from trm_model.noise import Noise, torch_generator
from trm_model.puzzles.arc.votes import compare_recorded
from trm_model.training.supervision import Carry, Supervision, supervise

RELATIVE, ABSOLUTE, ROUNDING, RUNS = 1e-4, 1e-5, 2e-7, 6
COMPARED, GIVEN = (
    ("eval", "train", "grad", "noise", "test"),
    ("noise/timestep", "noise/uniform", "test/uniform"),
)
Recording = Mapping[str, npt.NDArray[Any]]


class Comparison(NamedTuple):
    """One recorded value: its key, the largest absolute error of ours, the tolerance there, and
    whether all of it agrees."""

    key: str
    error: float
    tolerance: float
    agrees: bool


Values = dict[str, Tensor]


def metrics(step: Supervision, *, training: bool, max_steps: int) -> dict[str, Tensor]:
    """The authors' metrics of one step: sums over examples that have halted and have labelled
    cells, losses over all."""
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
        "q_continue_loss": result.go_on.sum(),
    }


class RecordedNoise(Noise):
    """The random numbers of a DRM recording in place of ours: ``cells`` [B, L], ``level`` [B];
    ``steps`` has the cells of test steps."""

    def __init__(self, cells: Tensor, level: Tensor, steps: Tensor) -> None:
        super().__init__(0, torch.arange(len(cells)))
        self.drawn, self.steps = {"cells": cells, "level": level}, steps

    def at(self, *purpose: str | int) -> Noise:
        """At test step k, what was drawn after step k - 1; before the first one all is masked,
        whatever is drawn."""
        if purpose[0] == "step" and purpose[1] != 0:
            return RecordedNoise(self.steps[int(purpose[1]) - 1], self.drawn["level"], self.steps)
        return self

    def repeat(self, count: int, numbers: Iterable[int] | None = None) -> Noise:
        """The recordings have one rollout."""
        del numbers
        assert count == 1
        return self

    def uniform(self, purpose: str, *shape: int) -> Tensor:
        """The recorded numbers."""
        drawn = self.drawn[purpose]
        assert drawn.shape[1:] == shape
        return drawn


def model(recording: Recording, config: Mapping[str, Any]) -> Reasoner:
    """Our model with the recorded weights.

    :raises ConfigurationError: a model that is not built here.
    """
    state = {
        key.removeprefix("state/"): torch.from_numpy(recording[key])
        for key in recording
        if key.startswith("state/")
    }
    variant, size = variant_of(config, [shared_name(name) for name in state]), size_of(config)
    reasoner = Reasoner(
        variant,
        size,
        vocabulary=config["vocab_size"] - ("mask_token" in config),
        length=config["seq_len"],
        num_puzzles=config["num_puzzle_identifiers"] if size.puzzle_width else 1,
        generator=torch.Generator().manual_seed(0),
    )
    reasoner.mask_token = config.get("mask_token", reasoner.mask_token)
    reasoner.load_state_dict(to_ours(state, variant, size))
    return reasoner


def ours(
    recording: Recording, config: Mapping[str, Any], perturbation: torch.Generator | None = None
) -> Values:
    """Every value that a recording may hold, computed by our model: evaluation, training steps,
    gradients, DRM's noise and test steps.

    :param perturbation: multiply each weight by 1 + 2e-7 x (a standard normal number), see
        :func:`check`.
    :raises ConfigurationError: a model that is not built here.
    """
    reasoner = model(recording, config)
    if perturbation is not None:
        with torch.no_grad():
            for weight in reasoner.parameters():
                weight.mul_(1.0 + ROUNDING * torch.randn(weight.shape, generator=perturbation))
    batch = Batch(
        *(
            torch.from_numpy(recording[f"batch/{key}"]).long()
            for key in ("inputs", "labels", "puzzle_identifiers")
        )
    )
    return (
        _denoising(reasoner, recording, batch)
        if "mask_token" in config
        else _supervision(reasoner, recording, batch, config)
    )


def _of_output(output: Output) -> Values:
    return {
        "logits": output.logits.detach(),
        "q_halt_logits": output.halt_logits.detach(),
        "q_continue_logits": output.continue_logits.detach(),
        "preds": output.logits.argmax(-1),
    }


def _gradients(reasoner: Reasoner, recording: Recording, step: Supervision) -> Values:
    """Gradients of a step's loss, by their names in the recording; a weight that it does not depend
    on has gradient 0."""
    (step.losses.total / len(step.carry.steps)).backward()
    ours_of = {theirs: mine for mine, theirs in names(reasoner.variant, reasoner.size).items()}
    parameters = dict(reasoner.named_parameters())
    values: Values = (
        {} if step.rows.grad is None else {"grad/puzzle_embedding_rows": step.rows.grad}
    )
    for key in recording:
        mine = (
            ours_of.get(shared_name(key.removeprefix("grad/"))) if key.startswith("grad/") else None
        )
        if mine in parameters:
            gradient = parameters[mine].grad
            values[key] = torch.zeros_like(parameters[mine]) if gradient is None else gradient
    return values


def _supervision(
    reasoner: Reasoner, recording: Recording, batch: Batch, config: Mapping[str, Any]
) -> Values:
    """Supervision steps in evaluation, then in training, from the initial state."""
    max_steps: int = config["halt_max_steps"]
    noise = Noise(0, torch.arange(len(batch.inputs)))
    values: Values = {}

    def record(prefix: str, step: Supervision, training: bool) -> None:
        of_step = {
            **_of_output(step.output),
            "loss": step.losses.total,
            "halted": step.carry.halted,
            "steps": step.carry.steps,
            **{
                f"metric/{name}": value
                for name, value in metrics(step, training=training, max_steps=max_steps).items()
            },
        }
        values.update({f"{prefix}/{name}": value.detach() for name, value in of_step.items()})

    carry = Carry.fresh(reasoner, batch, noise)
    with torch.no_grad():
        for number in range(_steps(recording, "eval")):
            step = supervise(reasoner, carry, max_steps=max_steps, noise=noise)
            record(f"eval/{number}", step, training=False)
            carry = step.carry

    carry = Carry.fresh(reasoner, batch, noise)
    for number in range(_steps(recording, "train")):
        step = supervise(
            reasoner, carry.refill(reasoner, batch, noise), max_steps=max_steps, noise=noise
        )
        record(f"train/{number}", step, training=True)
        if number == 0:
            values.update(_gradients(reasoner, recording, step))
        carry = step.carry
    return values


def _denoising(reasoner: Reasoner, recording: Recording, batch: Batch) -> Values:
    """DRM: the corruption of the target, one training step from it, and the test steps, each with
    the recorded random numbers."""
    start = reasoner.variant.start
    if not isinstance(start, NoisyStart):
        raise ConfigurationError(f"start={start}: expected a DRM beside its mask token")
    timestep, uniform, steps = (
        torch.from_numpy(recording[key])
        for key in ("noise/timestep", "noise/uniform", "test/uniform")
    )
    noise = RecordedNoise(uniform, (timestep.double() + 0.5) / LEVELS, steps)
    share = corrupted_share(
        start.schedule, training_levels(start.order, torch.zeros_like(timestep), 1, noise)
    )
    cells = start.choose_cells(share, noise, reasoner)
    target = batch.labels.masked_fill(batch.labels == IGNORE, 0)
    values: Values = {
        "noise/ratio": share,
        "noise/corrupted": torch.where(cells, reasoner.mask_token, target),
        "test/timesteps": torch.tensor(levels_at_test(len(steps))),
    }
    step = supervise(reasoner, Carry.fresh(reasoner, batch, noise), max_steps=1, noise=noise)
    values |= {f"train/{name}": value for name, value in _of_output(step.output).items()}
    values |= {"train/loss": step.losses.total.detach(), **_gradients(reasoner, recording, step)}
    for name, scaled in (("as_published", False), ("scaled", True)):
        reasoner.variant = replace(reasoner.variant, start=replace(start, scaled=scaled))
        for number, output in enumerate(rollout(reasoner, batch, len(steps), Evaluation(), noise)):
            values |= {
                f"test/{name}/{number}/{key}": value for key, value in _of_output(output).items()
            }
    return values


def check(recording: Recording, config: Mapping[str, Any]) -> Iterator[Comparison]:
    """Compare every value in one recording with ours.

    Floats agree within 1e-5 + 1e-4 |recorded| + what float32 rounding does to the value. That last
    part is measured, because it grows with each call of the recursion, to 0.3 in the logits of
    ``trm_mlp`` after three supervision steps, and recordings from another processor carry it too:
    it is twice the largest change of the value over several runs of ours whose weights are
    perturbed by 2e-7, about three float32 units in the last place. Predictions agree if equal,
    except where the recorded logits' first two candidates are closer than twice the tolerance.
    Other integers and booleans are equal, or vary as much in the perturbed runs.

    :raises ConfigurationError: a model that is not built here.
    """
    mine = ours(recording, config)
    runs = [
        ours(recording, config, torch_generator(0, "perturbation", number))
        for number in range(RUNS)
    ]
    for key, recorded in recording.items():
        if key.split("/")[0] not in COMPARED or key in GIVEN:
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
            best = (
                (torch.from_numpy(recording[logits]) if logits in recording else mine[logits])
                .topk(2, dim=-1)
                .values
            )
            clear = best[..., 0] - best[..., 1] > 2.0 * allowed
            yield Comparison(
                key,
                float((error > 0).sum()),
                float((~clear).sum()),
                not bool(((error > 0) & clear).any()),
            )
            continue
        exact = recorded.dtype.kind != "f"
        tolerance = (
            torch.full_like(target, rounding)
            if exact
            else ABSOLUTE + RELATIVE * target.abs() + rounding
        )
        worst = int((error - tolerance).argmax())
        yield Comparison(
            key,
            float(error.max()),
            float(tolerance.flatten()[worst]),
            bool((error <= tolerance).all()),
        )


def check_votes(folder: Path) -> Iterator[Comparison]:
    """Compare ARC's pass@k and submission; both are exact.

    :raises ConfigurationError: the tasks cannot be had here.
    """
    for key, error in compare_recorded(folder):
        yield Comparison(key, error, 0.0, error == 0.0)


def _steps(recording: Recording, phase: str) -> int:
    return len({key.split("/")[1] for key in recording if key.startswith(f"{phase}/")})


def _say(line: str) -> None:
    """At once: a recording takes up to a minute, and a pipe would keep the lines until the end."""
    print(line, flush=True)


def _line(name: str, comparison: Comparison) -> str:
    verdict = "ok" if comparison.agrees else "MISMATCH"
    return (
        f"{name} {comparison.key} {comparison.error:.3g} (tolerance {comparison.tolerance:.3g}) "
        f"{verdict}"
    )


def _configurations(folder: Path) -> dict[str, dict[str, Any]]:
    """The configuration of each recording by its name."""
    found: dict[str, dict[str, Any]] = {}
    if (folder / "configs.json").exists() or not list(folder.glob("*.json")):
        found = json.loads((folder / "configs.json").read_text("utf-8"))
    for path in folder.glob("*.npz"):
        own = path.with_suffix(".json")
        if own.exists():
            found[path.stem] = json.loads(own.read_text("utf-8"))
    return found


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    if len(arguments) != 1:
        print("usage: python -m trm_model.authors.conformance DIR", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    mismatches = compared = 0
    try:
        configs = _configurations(folder)
    except (OSError, ValueError) as error:
        print(
            f"{folder}: {error}; expected configs.json, the recordings' configurations, or one "
            "NAME.json for each",
            file=sys.stderr,
        )
        return 2
    for path in sorted(folder.glob("*.npz")):
        if path.stem not in configs:
            _say(f"{path.stem}: skipped (no entry in configs.json and no {path.stem}.json)")
            continue
        try:
            _say(f"{path.stem}: comparing")
            with np.load(path, allow_pickle=False) as arrays:
                recording = {key: arrays[key] for key in arrays.files}
            for comparison in check(recording, configs[path.stem]):
                compared += 1
                mismatches += not comparison.agrees
                _say(_line(path.stem, comparison))
        except ConfigurationError as error:
            _say(f"{path.stem}: skipped ({error})")
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            print(f"{path}: not a readable recording ({error})", file=sys.stderr)
            return 2
    votes = folder / "arc_vote"
    if votes.is_dir():
        try:
            for comparison in check_votes(votes):
                compared += 1
                mismatches += not comparison.agrees
                _say(_line("arc_vote", comparison))
        except ConfigurationError as error:
            _say(f"arc_vote: skipped ({error})")
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            print(f"{votes}: not a readable recording ({error})", file=sys.stderr)
            return 2
    _say(f"{compared} values compared, {mismatches} mismatches")
    return 1 if mismatches or not compared else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
