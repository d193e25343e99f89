"""Defaults are part of what stored runs mean: a run is named by a hash of what differs from them,
so that another default would give a stored run another meaning."""

from typing import Any

import pytest

from trm_model.choices import Choice, choices, to_plain
from trm_model.model.backprop.backprop import Backprop
from trm_model.model.curricula.curriculum import Curriculum
from trm_model.model.evaluation import Evaluation
from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.generations.generation import Generation
from trm_model.model.haltings.halting import Halting
from trm_model.model.mixers.mixer import Mixer
from trm_model.model.positions.position import Position
from trm_model.model.selections.selection import Selection
from trm_model.model.size import Size
from trm_model.model.solvers.solver import Solver
from trm_model.model.starts.start import Start
from trm_model.model.variant import Variant

PAPER_EVALUATION = {
    "split": "test",
    "depth": None,
    "rollouts": 1,
    "noise": 0.0,
    "noise_at": "step",
    "random_start": False,
    "damping": None,
    "selection": {"halting_logit": {}},
    "votes": None,
    "blank_ids": False,
    "stop_at_halting": False,
    "halting_per_cell": False,
    "keys_and_values": "every_call",
    "seed": 0,
}


def test_a_variant_is_trm_with_the_token_mlp() -> None:
    """TRM, Table 1, first row."""
    assert to_plain(Variant()) == {
        "generation": {"parallel": {}},
        "mixer": {"token_mlp": {"positions": [{"none": {}}]}},
        "feed_forward": {"dense": {}},
        "layers": 2,
        "answer_layers": None,
        "networks": "shared",
        "latents": 1,
        "latent_updates": 6,
        "cycles": 3,
        "solver": {"iteration": {}},
        "backprop": {"last_cycles": {"count": 1}},
        "start": {"fixed": {}},
        "state_noise": 0.0,
        "deep_supervision": True,
        "curriculum": {"constant": {}},
        "halting": {"bce": {}},
        "loss": "stablemax",
        "tied": False,
        "optimizer": None,
        "ema": True,
        "evaluation": PAPER_EVALUATION,
    }


def test_sizes_and_evaluations_are_the_papers() -> None:
    """HRM §3, TRM §5."""
    assert to_plain(Size()) == {
        "width": 512,
        "heads": 8,
        "expansion": 4.0,
        "prefix": 16,
        "puzzle_width": 512,
        "registers": 0,
    }
    assert to_plain(Evaluation()) == PAPER_EVALUATION


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (
            Mixer,
            {
                "attention": {
                    "positions": [{"rope": {"base": 10_000.0}}],
                    "query_norm": False,
                    "output_norm": False,
                },
                "token_mlp": {"positions": [{"none": {}}]},
            },
        ),
        (
            Position,
            {
                "grid_rotary": {"base": 10_000.0},
                "learned": {},
                "none": {},
                "rope": {"base": 10_000.0},
                "row_column": {"box_height": None, "box_width": None},
            },
        ),
        (
            FeedForward,
            {
                "dense": {},
                "experts": {"count": 4, "active": 2},
                "gated_norm": {"product": False},
                "short_convolution": {"width": 2},
            },
        ),
        (Generation, {"autoregressive": {}, "parallel": {}}),
        (Halting, {"bce": {}, "compared": {}, "none": {}, "q_learning": {}, "solved": {}}),
        (Solver, {"anderson": {}, "iteration": {}}),
        (
            Selection,
            {
                "confidence": {},
                "first_to_halt": {},
                "first_valid": {},
                "halting_logit": {},
                "last_step": {},
                "lowest_residual": {"window": 1},
                "most_frequent": {},
                "plurality": {},
            },
        ),
        (Backprop, {"last_calls": {"count": 2}, "last_cycles": {"count": 1}}),
        (
            Start,
            {
                "fixed": {},
                "noisy": {
                    "schedule": "cosine",
                    "corruption": "mask",
                    "order": "independent",
                    "remask": "random",
                    "correlated": False,
                    "carried_latents": True,
                    "scaled": True,
                },
                "random": {"count": 1, "damping": 1.0, "update_noise": 0.0},
            },
        ),
        (
            Curriculum,
            {
                "constant": {},
                "depth": {
                    "until": [0.3, 0.6],
                    "cycles": [1, 2],
                    "latent_updates": [2, 4],
                    "loss_decay": 0.7,
                },
            },
        ),
    ],
)
def test_choices_have_the_settings_of_their_papers(
    axis: type[Choice], expected: dict[str, dict[str, Any]]
) -> None:
    plain = [to_plain(cls()) for name, cls in choices(axis).items() if ":" not in name]
    assert plain == [{name: settings} for name, settings in expected.items()]
