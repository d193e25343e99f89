"""SwiGLU that stays stable under Muon."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from trm_model.choices import check_fields
from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.kernels import swiglu as kernel
from trm_model.model.layers import Sublayer, SwiGlu


class GatedNormSwiGlu(SwiGlu):
    """``(silu(x @ gate.T) * rms_norm(x @ up.T)) @ down.T``."""

    norm: ClassVar[int] = kernel.UP_NORM


class ProductNormSwiGlu(SwiGlu):
    """``(sigmoid(g) * rms_norm(g * u)) @ down.T`` with g = x @ gate.T and u = x @ up.T."""

    norm: ClassVar[int] = kernel.PRODUCT_NORM


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedNorm(FeedForward):
    """SwiGLU whose up product is RMS-normalised before it meets the gate, over channels and, with
    a token MLP, over positions (after SiC, arXiv 2601.19085).

    :param product: normalise the product of gate and up, both linear, and let the gate's sigmoid
        alone multiply it, as SiC's code does.
    """

    name: ClassVar[str] = "gated_norm"
    product: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    def build(self, width: int, expansion: float, generator: torch.Generator) -> Sublayer:
        """See :class:`FeedForward`."""
        return self._of(width, expansion, generator)

    def across_positions(
        self, length: int, expansion: float, generator: torch.Generator
    ) -> Sublayer:
        """See :class:`FeedForward`."""
        return self._of(length, expansion, generator)

    def _of(self, width: int, expansion: float, generator: torch.Generator) -> Sublayer:
        kind = ProductNormSwiGlu if self.product else GatedNormSwiGlu
        return kind(width, expansion, generator)
