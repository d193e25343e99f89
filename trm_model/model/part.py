"""What a variant is made of: the base of its axes, and what a choice may ask of the variant and of
the model that it is a part of.
"""

from collections.abc import Iterable
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from trm_model.choices import Choice
from trm_model.model.recursion import Recursion
from trm_model.model.size import Size
from trm_model.model.state import KeysAndValues, Output, State, Update
from trm_model.noise import Noise


class Facts(Protocol):
    """A variant (:class:`trm_model.model.variant.Variant`) as its parts see it when they check
    whether they go together.
    """

    @property
    def latents(self) -> int: ...
    @property
    def latent_updates(self) -> int: ...
    @property
    def cycles(self) -> int: ...
    @property
    def deep_supervision(self) -> bool: ...
    @property
    def carries_state(self) -> bool: ...
    @property
    def training_rollouts(self) -> int: ...
    @property
    def recursion(self) -> Recursion: ...
    def parts(self) -> "Iterable[Part]":
        """All choices that the variant is made of."""
        ...


class Part(Choice, axis=True):
    """A choice that a variant is made of."""

    __slots__ = ()
    not_causal: ClassVar[str] = ""
    """Why the choice cannot be used where cells are answered one after the other; empty: it can."""

    def check(self, variant: Facts) -> None:
        """Whether the choice goes together with the rest of the variant.

        :raises ConfigurationError: it does not; the message says why, and what to use.
        """


class ModelView(Protocol):
    """A model (:class:`trm_model.model.reasoner.Reasoner`) as its parts see it when they run."""

    size: Size
    vocabulary: int
    mask_token: int
    length: int
    grid: tuple[int, int] | None
    dtype: torch.dtype
    answer_start: Tensor
    latent_starts: Tensor
    puzzle_rows: Tensor

    @property
    def layer_calls(self) -> int:
        """Layers applied per supervision step."""
        ...

    @property
    def recursion(self) -> Recursion: ...

    def start(self, noise: Noise) -> State:
        """The state before the first supervision step."""
        ...

    def embed(self, inputs: Tensor, puzzle_rows: Tensor, answers: Tensor | None = None) -> Tensor:
        """The question x: [B, P + L, D]."""
        ...

    def embed_answer(self, answers: Tensor, puzzle_rows: Tensor, *, scaled: bool = True) -> Tensor:
        """The answer y of tokens: [B, P + L, D]."""
        ...

    def recurse(
        self,
        question: Tensor,
        state: State,
        recursion: Recursion,
        noise: Noise,
        cache: KeysAndValues | None = None,
    ) -> State:
        """One supervision step's calls."""
        ...

    def read(self, state: State, prefix: int | None = None) -> Output:
        """The answer and the halting head's judgement."""
        ...

    def __call__(
        self,
        inputs: Tensor,
        puzzle_rows: Tensor,
        state: State,
        noise: Noise,
        *,
        update: Update | None = None,
    ) -> Output:
        """One supervision step."""
        ...
