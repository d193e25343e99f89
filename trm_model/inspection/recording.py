"""What happens inside a model while it answers: how far each network call moves the state, what the
state says when it is read, how sure the model is, and which positions look at which.
"""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trm_model.errors import require
from trm_model.evaluation.evaluate import rollout
from trm_model.finite import require_finite
from trm_model.model.batch import Batch
from trm_model.model.blocks import Block, Network
from trm_model.model.evaluation import Evaluation
from trm_model.model.reasoner import Reasoner
from trm_model.model.state import State
from trm_model.noise import Noise

ANSWER = "y"
"""The name of the feature that the answer is read from; latents are ``z``, or ``z1``, ``z2``, …"""


@dataclass(frozen=True, slots=True)
class Recording:
    """What was seen on N examples in S supervision steps of C network calls each.

    :param features: names of the F parts of the state: ``y``, then the latents.
    :param calls: the feature that each call of a step updates, [C].
    :param residuals: ``|new - old| / |new|`` of the feature that a call updates, over all its
        positions and channels, float32 [N, S, C]: 0 at a fixed point.
    :param tokens: what the output head reads from each feature after each step, uint8
        [N, S, F, L].
    :param halt_logits: float32 [N, S].
    :param maps: (feature, layer) -> how much each position takes from each other one in that
        layer, in the last call that updates the feature; float32 [N, H, P + L, P + L].
    """

    features: tuple[str, ...]
    calls: tuple[str, ...]
    residuals: npt.NDArray[np.float32]
    tokens: npt.NDArray[np.uint8]
    halt_logits: npt.NDArray[np.float32]
    maps: dict[tuple[str, int], npt.NDArray[np.float32]]

    @property
    def answers(self) -> npt.NDArray[np.uint8]:
        """The answer after each step, uint8 [N, S, L]."""
        return self.tokens[:, :, self.features.index(ANSWER)]


@torch.no_grad()
def record(
    reasoner: Reasoner,
    batch: Batch,
    evaluation: Evaluation,
    *,
    max_steps: int,
    items: Tensor,
    layers: Sequence[int] | None = None,
) -> Recording:
    """Look into a model while it answers a batch, in one rollout, for all its steps.

    :param max_steps: supervision steps in training, where the evaluation leaves the depth open.
    :param items: the examples' numbers, int64 [N], which decide their random numbers.
    :param layers: blocks whose maps are kept, counted from 0; None: all.
    :raises ConfigurationError: cells answered one after the other, or layers that there are not.
    :raises NotFiniteError: a state that is not finite.
    """
    variant = reasoner.variant
    require(
        not variant.generation.causal,
        f"generation={variant.generation.name}: cells are answered one after the other, each with "
        "steps of its own, so that there is no state of the whole answer to look at; expected a "
        "variant that answers them together (for this one: trm solve --show-steps)",
    )
    depth = max(len(blocks_of(reasoner, feature)) for feature in (ANSWER, "z"))
    chosen = tuple(range(depth) if layers is None else layers)
    require(
        all(0 <= layer < depth for layer in chosen),
        f"layers {list(chosen)}: expected numbers of 0..{depth - 1}, the model's blocks",
    )
    latents = variant.latents
    names = ["z"] if latents == 1 else [f"z{number}" for number in range(1, latents + 1)]
    features = (ANSWER, *names)
    steps = variant.test_steps(max_steps, evaluation)
    alone, noise = replace(evaluation, rollouts=1), Noise(evaluation.seed, items)
    calls: list[str] = []
    moved: list[Tensor] = []
    tokens: list[Tensor] = []
    halts: list[Tensor] = []
    read: dict[tuple[str, int], Tensor] = {}
    with _asked(reasoner) as asked, _read(reasoner, chosen) as seen:
        for output in rollout(reasoner, batch, steps, alone, noise):
            (inputs, rows, state, draws), options = asked[-1]
            question, moves = reasoner.embed(inputs, rows), list[Tensor]()
            calls.clear()
            # The step once more, call by call; the same numbers come out.
            for following in reasoner.called(question, state, reasoner.recursion, draws, **options):
                pairs = zip(
                    (state.answer, *state.latents),
                    (following.answer, *following.latents),
                    strict=True,
                )
                [(which, old, new)] = [
                    (which, old, new) for which, (old, new) in enumerate(pairs) if new is not old
                ]
                calls.append(features[which])
                moves.append(_size(new - old) / _size(new))
                read.update({(features[which], layer): x for layer, x in seen.items()})
                state = following
            moved.append(torch.stack(moves, 1))
            parts = (output.state.answer, *output.state.latents)
            tokens.append(torch.stack([_tokens(reasoner, part) for part in parts], 1))
            halts.append(output.halt_logits)
    residuals = torch.stack(moved, 1)
    require_finite({"states": residuals})
    return Recording(
        features,
        tuple(calls),
        residuals.cpu().numpy(),
        torch.stack(tokens, 1).cpu().numpy(),
        torch.stack(halts, 1).cpu().numpy(),
        {
            (feature, layer): variant.mixer.maps(blocks_of(reasoner, feature)[layer].mixer, x)
            .cpu()
            .numpy()
            for (feature, layer), x in read.items()
        },
    )


def blocks_of(reasoner: Reasoner, feature: str) -> list[Block]:
    """The blocks of the network that updates a feature."""
    network = cast(Network, reasoner.networks[-1 if feature == ANSWER else 0])
    return [cast(Block, block) for block in network]


def _size(x: Tensor) -> Tensor:
    """The length of each example's [B, ...] numbers, float32 [B]."""
    return x.float().flatten(1).norm(dim=1)


def _tokens(reasoner: Reasoner, part: Tensor) -> Tensor:
    """What the output head reads from a part of the state, uint8 [B, L]."""
    return reasoner.read(State(part, ())).logits.argmax(-1).to(torch.uint8)


@contextmanager
def _asked(reasoner: Reasoner) -> Generator[list[tuple[tuple[Any, ...], dict[str, Any]]]]:
    """What each supervision step inside is asked, as the arguments of the model's ``forward``,
    those by place and those by name.
    """
    asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def note(_module: torch.nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        asked[:] = [(arguments, named)]

    handle = reasoner.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield asked
    finally:
        handle.remove()


@contextmanager
def _read(reasoner: Reasoner, layers: Sequence[int]) -> Generator[dict[int, Tensor]]:
    """What the blocks of these layers read last, of the network called last."""
    seen: dict[int, Tensor] = {}
    with ExitStack() as hooks:
        for network in reasoner.networks:
            for layer, block in enumerate(cast(Network, network)):
                note = partial(_keep, seen, layers, layer)
                hooks.callback(block.register_forward_pre_hook(note).remove)
        yield seen


def _keep(
    seen: dict[int, Tensor],
    layers: Sequence[int],
    layer: int,
    _module: torch.nn.Module,
    arguments: tuple[Any, ...],
) -> None:
    if layer == 0:
        seen.clear()
    if layer in layers:
        seen[layer] = arguments[0]
