"""Every bound of a variant: the last value that is allowed, and the first that is not."""

from collections.abc import Callable
from typing import Any

import pytest

from trm_model.errors import ConfigurationError
from trm_model.model.backprop.last_calls import LastCalls
from trm_model.model.backprop.last_cycles import LastCycles
from trm_model.model.curricula.depth import DepthCurriculum
from trm_model.model.evaluation import Evaluation
from trm_model.model.feed_forwards.experts import Experts
from trm_model.model.feed_forwards.short_convolution import ShortConvolution
from trm_model.model.size import Size
from trm_model.model.solvers.anderson import Anderson
from trm_model.model.starts.noisy import NoisyStart
from trm_model.model.starts.random import RandomStart
from trm_model.model.variant import Variant


@pytest.mark.parametrize(
    ("make", "allowed", "refused"),
    [
        (
            Size,
            {"width": 2, "heads": 1, "prefix": 0, "puzzle_width": 0},
            {"width": 0, "heads": 1, "prefix": 0, "puzzle_width": 0},
        ),
        (
            Size,
            {"width": 8, "heads": 1, "puzzle_width": 8},
            {"width": 8, "heads": 0, "puzzle_width": 8},
        ),
        (
            Size,
            {"width": 8, "heads": 4, "puzzle_width": 128},
            {"width": 12, "heads": 4, "puzzle_width": 8},
        ),
        (Size, {"expansion": 1e-3}, {"expansion": 0.0}),
        (Size, {"prefix": 1, "puzzle_width": 512}, {"prefix": 1, "puzzle_width": 513}),
        (Size, {"prefix": 1, "puzzle_width": 1}, {"prefix": 1, "puzzle_width": 0}),
        (Size, {"prefix": 0, "puzzle_width": 0}, {"prefix": 0, "puzzle_width": 1}),
        (Size, {"prefix": 2, "puzzle_width": 5}, {"prefix": 2, "puzzle_width": -1}),
        (Size, {"registers": 15}, {"registers": 16}),
        (Size, {"registers": 14, "puzzle_width": 513}, {"registers": 15, "puzzle_width": 513}),
        (Size, {"registers": 0}, {"registers": -1}),
        (Evaluation, {"depth": 1}, {"depth": 0}),
        (Evaluation, {"rollouts": 1}, {"rollouts": 0}),
        (Evaluation, {"noise": 0.0}, {"noise": -1e-9}),
        (Evaluation, {"votes": 1}, {"votes": 0}),
        (LastCalls, {"count": 1}, {"count": 0}),
        (LastCycles, {"count": 1}, {"count": 0}),
        (Experts, {"count": 2, "active": 1}, {"count": 2, "active": 0}),
        (Experts, {"count": 2, "active": 2}, {"count": 2, "active": 3}),
        (Experts, {"count": 2}, {"count": 1, "active": 1}),
        (ShortConvolution, {"width": 2}, {"width": 1}),
        (RandomStart, {"count": 1}, {"count": 0}),
        (RandomStart, {"update_noise": 0.0}, {"update_noise": -1e-9}),
        (RandomStart, {"damping": 1.0}, {"damping": 1.001}),
        (RandomStart, {"damping": 1e-9}, {"damping": 0.0}),
        (DepthCurriculum, {"loss_decay": 1.0}, {"loss_decay": 1.001}),
        (DepthCurriculum, {"loss_decay": 1e-9}, {"loss_decay": 0.0}),
        (DepthCurriculum, {"until": (1e-9, 0.6)}, {"until": (0.0, 0.6)}),
        (DepthCurriculum, {"until": (0.3, 0.999)}, {"until": (0.3, 1.0)}),
        (DepthCurriculum, {}, {"cycles": (1,)}),
        (DepthCurriculum, {}, {"latent_updates": (2,)}),
        (NoisyStart, {"corruption": "gaussian"}, {"corruption": "gaussian", "correlated": True}),
        (Variant, {"layers": 1}, {"layers": 0}),
        (
            Variant,
            {"networks": "separate", "answer_layers": 1},
            {"networks": "separate", "answer_layers": 0},
        ),
        (Variant, {"latents": 6}, {"latents": 7}),
        (Variant, {"latents": 0, "latent_updates": 0}, {"latents": -1}),
        (Variant, {"cycles": 1}, {"cycles": 0}),
        (Variant, {"state_noise": 0.0}, {"state_noise": -1e-9}),
        (Variant, {"networks": "separate", "latent_updates": 1}, {"latent_updates": 0}),
        (Variant, {"backprop": LastCycles(3)}, {"backprop": LastCycles(4)}),
        (Variant, {"backprop": LastCalls(21)}, {"backprop": LastCalls(22)}),
        (Variant, {"start": RandomStart()}, {"start": RandomStart(), "latents": 0}),
        (
            Variant,
            {"solver": Anderson(), "latent_updates": 2},
            {"solver": Anderson(), "latent_updates": 1},
        ),
    ],
)
def test_bounds(
    make: Callable[..., object], allowed: dict[str, Any], refused: dict[str, Any]
) -> None:
    make(**allowed)
    with pytest.raises(ConfigurationError):
        make(**refused)
