"""The axis of how positions exchange information inside a block."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.layout import Layout
from trm_model.model.part import Part
from trm_model.model.positions.position import Position
from trm_model.model.size import Size
from trm_model.model.state import KeysAndValues
from trm_model.noise import torch_generator

ROWS_AT_ONCE = 16
"""Positions whose :func:`influence` is computed together."""


class Mixer(Part, axis=True):
    """How positions exchange information inside a block."""

    __slots__ = ()

    @property
    def told_by(self) -> tuple[Position, ...]:
        """What tells positions apart, beside the mixing itself; what they learn is added to what is
        embedded.
        """
        return ()

    def build(
        self,
        size: Size,
        layout: Layout,
        feed_forward: FeedForward,
        generator: torch.Generator,
        *,
        causal: bool,
    ) -> nn.Module:
        """The module with the weights of one block.

        :param layout: where the P + L positions lie.
        :param feed_forward: the variant's, for mixers that are feed-forwards over positions.
        :param causal: a position must not see later ones.
        """
        raise NotImplementedError

    def mix(self, module: nn.Module, x: Tensor, cache: KeysAndValues | None) -> Tensor:
        """Apply what :meth:`build` made, add it to ``x`` and normalise. [B, S, D] -> [B, S, D].

        :param cache: of earlier positions, where ``x`` is a part of the sequence.
        """
        raise NotImplementedError

    def maps(self, module: nn.Module, x: Tensor) -> Tensor:
        """How much each position takes from each other one where the block reads ``x``
        [B, S, D]: float32 [B, H, S, S], H maps whose rows sum to 1. Without gradient.

        A mixer that has no such weights is asked how its result depends on ``x``.
        """
        return influence(lambda part: self.mix(module, part, None), x)


def influence(mix: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """How strongly each position of ``mix(x)`` depends on each position of ``x`` [B, S, D]: the
    size of its derivative along one random sign per channel, as shares of a row; float32
    [B, 1, S, S].

    Where channels do not mix, as in a token MLP, the random signs do not matter, and the size is
    the root of the sum over channels of the squared derivatives.
    """
    length, width = x.shape[1:]
    coins = torch.rand(width, generator=torch_generator(0, "influence"))
    signs = (coins < 0.5).to(x) * 2 - 1
    maps = x.new_zeros((len(x), length, length), dtype=torch.float32)
    for example, row in enumerate(x):
        for first in range(0, length, ROWS_AT_ONCE):
            asked = torch.arange(first, min(first + ROWS_AT_ONCE, length), device=x.device)
            with torch.enable_grad():
                copies = row.detach().expand(len(asked), length, width).clone().requires_grad_()
                mixed = mix(copies)
            wanted = torch.zeros_like(mixed)
            wanted[asked - first, asked] = signs
            [gradient] = torch.autograd.grad(mixed, copies, wanted)
            maps[example, asked] = gradient.float().norm(dim=-1)
    return (maps / maps.sum(-1, keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)).unsqueeze(1)
