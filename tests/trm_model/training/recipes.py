"""Tiny trainings for tests."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trm_model.model.size import Size
from trm_model.training.checkpoint import Checkpoint
from trm_model.training.execution import Execution
from trm_model.training.recipe import Recipe
from trm_model.training.run import CodeSpan, RunSpec, run_store, training_version
from trm_model.training.writer import Writer
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


def tiny_spec(
    run: Path, data: Path, data_version: str, variant: str = "trm_mlp", **changes: Any
) -> RunSpec:
    """A training of a few seconds in the folder ``run``, on the tiny data set, which lies in the
    same store (that of all tests' temporary files); ``changes``: of the recipe."""
    recipe = replace(TINY, **changes)
    version = training_version(VARIANTS[variant], recipe)
    return RunSpec(
        benchmark="tiny",
        variant_name=variant,
        variant=VARIANTS[variant],
        recipe=recipe,
        seed=0,
        data=run_store(run).key(data),
        data_version=data_version,
        code=(CodeSpan(version=version),),
        execution=Execution(log_steps=2),
    )


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each checkpoint be written before the next step, so that none is put off."""
    write = Writer.write

    def written(writer: Writer, checkpoint: Checkpoint, *, best: bool) -> None:
        write(writer, checkpoint, best=best)
        writer.finish()

    monkeypatch.setattr(Writer, "write", written)
