"""Defaults of a training are part of what stored runs mean (tests/trm_model/model)."""

from dataclasses import asdict

from trm_model.choices import to_plain
from trm_model.training.execution import Execution
from trm_model.training.recipe import Recipe
from trm_model.training.run import CodeSpan


def test_a_recipe_is_that_of_trm_on_sudoku_extreme() -> None:
    """TRM §5 and the authors' commands."""
    assert to_plain(Recipe()) == {
        "size": {
            "width": 512,
            "heads": 8,
            "expansion": 4.0,
            "prefix": 16,
            "puzzle_width": 512,
            "registers": 0,
        },
        "steps": 65_000,
        "batch_size": 768,
        "max_steps": 16,
        "exploration": 0.1,
        "optimizer": {"adamw": {}},
        "betas": [0.9, 0.95],
        "learning_rate": 1e-4,
        "weight_decay": 1.0,
        "puzzle_learning_rate": 1e-4,
        "puzzle_weight_decay": 1.0,
        "warmup_steps": 2_000,
        "ema_decay": 0.999,
        "ema_start": 0,
        "precision": "float32",
        "puzzles": None,
        "patience": None,
        "on_nonfinite": "stop",
        "embedding_optimizer": None,
        "embedding_learning_rate": None,
        "embedding_weight_decay": None,
        "schedule": {"constant": {}},
        "clip_norm": None,
        "label_smoothing": 0.0,
        "smooth_padding": True,
        "halting_weight": 0.5,
    }


def test_a_training_runs_on_the_cpu_and_saves_every_minute() -> None:
    assert asdict(Execution()) == {
        "device": "cpu",
        "log_steps": 50,
        "checkpoint_seconds": 60.0,
        "keep_checkpoints": 2,
        "validate_steps": 250,
        "threads": None,
        "compile": False,
        "processes": 1,
        "micro_batch": None,
        "recompute": False,
    }


def test_code_trains_from_the_start_unless_told_otherwise() -> None:
    assert CodeSpan(version="a").from_step == 0
