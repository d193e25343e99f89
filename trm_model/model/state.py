"""What a supervision step starts from and what it gives."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from trm_model.noise import Noise


class State(NamedTuple):
    """What a supervision step hands to the next: the answer y and the latents z, each [K B, P + L,
    D], with K starts per example."""

    answer: Tensor
    latents: tuple[Tensor, ...]

    def detach(self) -> "State":
        return State(self.answer.detach(), tuple(z.detach() for z in self.latents))

    def where(self, mask: Tensor, other: "State") -> "State":
        """This state where ``mask`` [B] holds (for every start of an example), ``other``
        elsewhere."""
        mask = mask.repeat(len(self.answer) // len(mask)).view(-1, 1, 1)
        return State(
            torch.where(mask, self.answer, other.answer),
            tuple(
                torch.where(mask, mine, theirs)
                for mine, theirs in zip(self.latents, other.latents, strict=True)
            ),
        )

    def at(self, rows: Tensor) -> "State":
        """Of the starts ``rows`` int64 [R]."""
        return State(self.answer[rows], tuple(z[rows] for z in self.latents))

    def part(self, start: int, stop: int) -> "State":
        """Of the positions ``start`` to ``stop``."""
        return State(self.answer[:, start:stop], tuple(z[:, start:stop] for z in self.latents))

    @staticmethod
    def joined(parts: Sequence["State"]) -> "State":
        """One state of parts that follow one another."""
        latents = zip(*(part.latents for part in parts), strict=True)
        return State(
            torch.cat([part.answer for part in parts], 1), tuple(torch.cat(z, 1) for z in latents)
        )

    def perturbed(self, std: float, noise: Noise) -> "State":
        """With normal noise added to answer and latents."""
        shape = self.answer.shape[1:]
        answer, *latents = (
            x + (std * noise.normal(f"state {number}", *shape)).to(x.dtype)
            for number, x in enumerate((self.answer, *self.latents))
        )
        return State(answer, tuple(latents))


class Output(NamedTuple):
    """Of one supervision step: ``logits`` [B, L, V], ``halt_logits`` and ``continue_logits``, all
    float32, and the state.

    The halting head judges the example, [B]; each cell, [B, L], where cells are answered one after
    the other.
    """

    logits: Tensor
    halt_logits: Tensor
    continue_logits: Tensor
    state: State

    def at(self, rows: Tensor) -> "Output":
        """Of the starts ``rows`` int64 [R]."""
        logits, halting, going_on, state = self
        return Output(logits[rows], halting[rows], going_on[rows], state.at(rows))


class Update(Protocol):
    """What becomes of a latent [B, S, D] after a network call of a supervision step, from the
    latent before it and what the network gave (:meth:`trm_model.model.starts.start.Start.update`).
    """

    def __call__(self, old: Tensor, new: Tensor, noise: Noise, call: int, /) -> Tensor: ...


class KeysAndValues(Protocol):
    """Keys and values of earlier positions, for attention that sees a part of a sequence."""

    start: int
    """Position of the first of the part."""

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add the part's keys and values, both [B, H, S, head_width].

        :returns: those of all positions up to the part's last.
        """
        ...
