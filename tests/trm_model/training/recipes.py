"""Tiny trainings for tests."""

from pathlib import Path
from typing import Any

from trm_model.model.size import Size
from trm_model.training.execution import Execution
from trm_model.training.recipe import Recipe
from trm_model.training.run import RunSpec
from trm_model.variants import VARIANTS

TINY = Recipe(
    size=Size(width=16, heads=2, prefix=2, puzzle_width=16),
    steps=12,
    batch_size=8,
    max_steps=4,
    learning_rate=1e-3,
    weight_decay=0.1,
    puzzle_learning_rate=1e-2,
    puzzle_weight_decay=0.1,
    warmup_steps=4,
    ema_decay=0.9,
)


def tiny_spec(data: Path, data_version: str, variant: str = "trm_mlp", **changes: Any) -> RunSpec:
    """A run of a few seconds on the tiny data set; ``changes``: of the recipe."""
    from dataclasses import replace

    return RunSpec(
        benchmark="tiny",
        variant_name=variant,
        variant=VARIANTS[variant],
        recipe=replace(TINY, **changes),
        seed=0,
        data=str(data),
        data_version=data_version,
        execution=Execution(log_steps=2),
    )
