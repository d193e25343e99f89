"""A run as the trackers know it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trm_model.choices import to_plain
from trm_model.trackers.tracker import Tracked
from trm_model.training.folders import step_reached
from trm_model.training.run import RunSpec


def tracked(run: Path, spec: RunSpec) -> Tracked:
    """The run in the folder ``run``, as far as its newest checkpoint."""
    name = f"{spec.benchmark}-{spec.variant_name}-{spec.seed}-{run.name}"
    configuration = {
        "seed": spec.seed,
        "data_version": spec.data_version,
        "code_version": spec.code_version,
        "recipe": to_plain(spec.recipe),
        "variant": to_plain(spec.variant),
    }
    group = f"{spec.benchmark}-{spec.variant_name}"
    return Tracked(name, group, run, flat(configuration), step_reached(run))


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
