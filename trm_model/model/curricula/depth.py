"""A recursion that deepens."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.model.curricula.curriculum import Curriculum


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthCurriculum(Curriculum):
    """The recursion deepens during training (CGAR, arXiv 2511.08653).

    :param until: shares of training at which the stages end; after the last, the variant's own n
        and T.
    :param cycles, latent_updates: T and n of each stage.
    :param loss_decay: an example's loss at its supervision step s = 0, 1, … is weighted by
        ``loss_decay ** s``.
    """

    name: ClassVar[str] = "depth"
    until: tuple[float, ...] = (0.3, 0.6)
    cycles: tuple[int, ...] = (1, 2)
    latent_updates: tuple[int, ...] = (2, 4)
    loss_decay: float = 0.7

    def __post_init__(self) -> None:
        check_fields(self)
        require(
            len(self.until) == len(self.cycles) == len(self.latent_updates),
            f"until={self.until}, cycles={self.cycles}, latent_updates={self.latent_updates}: "
            "expected one of each per stage",
        )
        require(
            all(0.0 < share < 1.0 for share in self.until)
            and list(self.until) == sorted(self.until),
            f"until={self.until}: expected growing shares of training between 0 and 1",
        )
        require(
            0.0 < self.loss_decay <= 1.0,
            f"loss_decay={self.loss_decay}: expected a number above 0 and up to 1",
        )

    def stages(self) -> tuple[tuple[float, int, int], ...]:
        """See :class:`Curriculum`."""
        return tuple(zip(self.until, self.cycles, self.latent_updates, strict=True))

    def weight(self, steps: Tensor) -> Tensor:
        """See :class:`Curriculum`."""
        return self.loss_decay**steps
