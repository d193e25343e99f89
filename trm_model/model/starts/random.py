"""Random latents."""

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.model.part import Facts, ModelView
from trm_model.model.starts.start import Start, everywhere, random_latents
from trm_model.model.state import State
from trm_model.noise import Noise


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomStart(Start):
    """Latents start from standard normal numbers.

    :param count: starts per example in training, K; the one with the lowest answer loss is trained
        (SiC, arXiv 2601.19085: winner takes all). How many are tried at test is a setting of the
        evaluation.
    :param damping: share of an update that is taken: ``z + damping (f - z)``; 1: all (EqR,
        arXiv 2605.21488).
    :param update_noise: standard deviation of normal noise added to each latent update, in training
        and at test (EqR).
    """

    name: ClassVar[str] = "random"
    not_causal: ClassVar[str] = (
        "noise and the choice of starts belong to whole answers; use start=FixedStart()"
    )
    count: int = 1
    damping: float = 1.0
    update_noise: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, count=(1, 1_000), update_noise=0.0)
        require(
            0.0 < self.damping <= 1.0,
            f"damping={self.damping}: expected a share above 0 and up to 1; change damping",
        )

    def check(self, variant: Facts) -> None:
        """There must be a latent."""
        require(
            variant.latents > 0,
            "start=RandomStart() with latents=0: there is no latent to start at random; use "
            "latents=1",
        )

    @property
    def training_rollouts(self) -> int:
        """See :class:`Start`."""
        return self.count

    def initial(self, model: ModelView, noise: Noise) -> State:
        """See :class:`Start`."""
        return State(everywhere(model, model.answer_start, noise), random_latents(model, noise))

    def update(self, old: Tensor, new: Tensor, noise: Noise, call: int) -> Tensor:
        """See :class:`Start`; damped and noisy (EqR)."""
        if self.damping < 1.0:
            new = old.lerp(new, self.damping)
        if self.update_noise:
            drawn = noise.at("update", call).normal("update", *new.shape[1:])
            new = new + (self.update_noise * drawn).to(new.dtype)
        return new

    def damped(self, old: Tensor, new: Tensor, noise: Noise, call: int, share: float) -> Tensor:
        """See :class:`Start`; in place of its own damping."""
        return replace(self, damping=share).update(old, new, noise, call)
