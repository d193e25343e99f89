"""Every bound of a training: the last value that is allowed, and the first that is not."""

from collections.abc import Callable
from typing import Any

import pytest

from trm_model.errors import ConfigurationError
from trm_model.optimizers.adamw import AdamW
from trm_model.optimizers.muon import Muon
from trm_model.training.execution import Execution
from trm_model.training.recipe import Recipe
from trm_model.training.run import CodeSpan


@pytest.mark.parametrize(
    ("make", "allowed", "refused"),
    [
        (Recipe, {"steps": 1}, {"steps": 0}),
        (Recipe, {"batch_size": 1}, {"batch_size": 0}),
        (Recipe, {"max_steps": 1}, {"max_steps": 0}),
        (Recipe, {"warmup_steps": 0}, {"warmup_steps": -1}),
        (Recipe, {"weight_decay": 0.0}, {"weight_decay": -1e-9}),
        (Recipe, {"puzzle_learning_rate": 0.0}, {"puzzle_learning_rate": -1e-9}),
        (Recipe, {"puzzle_weight_decay": 0.0}, {"puzzle_weight_decay": -1e-9}),
        (Recipe, {"embedding_learning_rate": 0.0}, {"embedding_learning_rate": -1e-9}),
        (Recipe, {"embedding_weight_decay": 0.0}, {"embedding_weight_decay": -1e-9}),
        (Recipe, {"halting_weight": 0.0}, {"halting_weight": -1e-9}),
        (Recipe, {"clip_norm": 1e-9}, {"clip_norm": 0.0}),
        (Recipe, {"label_smoothing": 0.0}, {"label_smoothing": -1e-9}),
        (Recipe, {"label_smoothing": 0.999}, {"label_smoothing": 1.0}),
        (
            Recipe,
            {"smooth_padding": False, "label_smoothing": 1e-9},
            {"smooth_padding": False, "label_smoothing": 0.0},
        ),
        (Recipe, {"optimizer": Muon(), "embedding_optimizer": AdamW()}, {"optimizer": Muon()}),
        (Recipe, {"embedding_optimizer": AdamW()}, {"embedding_optimizer": Muon()}),
        (Recipe, {"exploration": 0.0}, {"exploration": -1e-9}),
        (Recipe, {"exploration": 1.0}, {"exploration": 1.001}),
        (Recipe, {"ema_decay": 1e-9}, {"ema_decay": 0.0}),
        (Recipe, {"ema_decay": 0.99999}, {"ema_decay": 1.0}),
        (Recipe, {"ema_start": 0}, {"ema_start": -1}),
        (Recipe, {"learning_rate": 1e-12}, {"learning_rate": 0.0}),
        (Recipe, {"betas": (0.0, 0.999)}, {"betas": (-1e-9, 0.9)}),
        (Recipe, {"betas": (0.999, 0.0)}, {"betas": (0.9, 1.0)}),
        (Execution, {"log_steps": 1}, {"log_steps": 0}),
        (Execution, {"threads": 1}, {"threads": 0}),
        (Execution, {"checkpoint_seconds": 0.0}, {"checkpoint_seconds": -1e-9}),
        (Execution, {"keep_checkpoints": 1}, {"keep_checkpoints": 0}),
        (Execution, {"device": "cuda:1"}, {"device": "tpu"}),
        (CodeSpan, {"version": "a", "from_step": 0}, {"version": "a", "from_step": -1}),
        (CodeSpan, {"version": "a"}, {"version": "a", "from_step": True}),
    ],
)
def test_bounds(
    make: Callable[..., object], allowed: dict[str, Any], refused: dict[str, Any]
) -> None:
    make(**allowed)
    with pytest.raises(ConfigurationError):
        make(**refused)
