"""The model: embed the question, recurse, read the answer. One recursion serves every variant."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trm_model.layers import Network, linear, truncated_normal
from trm_model.recipe import Precision, Size
from trm_model.variant import Variant, require

DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class State(NamedTuple):
    """What a supervision step hands to the next: the answer y and the latents z, each [B, P + L, D]."""

    answer: Tensor
    latents: tuple[Tensor, ...]

    def detach(self) -> "State":
        return State(self.answer.detach(), tuple(z.detach() for z in self.latents))

    def where(self, mask: Tensor, other: "State") -> "State":
        """This state where ``mask`` [B] holds, ``other`` elsewhere."""
        mask = mask.view(-1, 1, 1)
        return State(
            torch.where(mask, self.answer, other.answer),
            tuple(torch.where(mask, mine, theirs) for mine, theirs in zip(self.latents, other.latents, strict=True)),
        )


class Output(NamedTuple):
    """Of one supervision step: ``logits`` [B, L, V], ``halt_logits`` and ``continue_logits`` [B], all float32, and the state."""

    logits: Tensor
    halt_logits: Tensor
    continue_logits: Tensor
    state: State


class Reasoner(nn.Module):
    """A recursive reasoner (HRM, TRM and their ablations).

    :param vocabulary: number of tokens, V.
    :param length: cells per puzzle, L.
    :param num_puzzles: rows of the puzzle table.
    :param generator: CPU generator for the initial weights.

    Initial weights (authors' code): truncated LeCun normal; puzzle rows 0; the halting head's weight 0 and bias -5; the first
    answer and latents are one fixed truncated-normal vector each (std 1), the same at every position.
    """

    answer_start: Tensor
    latent_starts: Tensor
    puzzle_rows: Tensor

    def __init__(
        self,
        variant: Variant,
        size: Size,
        *,
        vocabulary: int,
        length: int,
        num_puzzles: int,
        generator: torch.Generator,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        require(vocabulary >= 2 and length >= 1, f"vocabulary={vocabulary}, length={length}: expected at least 2 and 1")
        require(num_puzzles >= 1, f"num_puzzles={num_puzzles}: expected at least one puzzle id")
        self.variant = variant
        self.size = size
        self.vocabulary = vocabulary
        self.length = length
        self.dtype = DTYPES[precision]
        width = size.width
        self.tokens = nn.Parameter(truncated_normal((vocabulary, width), width**-0.5, generator))
        self.positions = (
            nn.Parameter(truncated_normal((size.prefix + length, width), width**-0.5, generator))
            if variant.mixer.positions == "learned"
            else None
        )
        self.networks = nn.ModuleList(
            Network(variant, size, size.prefix + length, generator) for _ in range(1 if variant.networks == "shared" else 2)
        )
        self.head = nn.Parameter(truncated_normal((vocabulary, width), width**-0.5, generator))
        # Two outputs, halt and continue, as in the authors' checkpoints; only Q-learning reads the second.
        self.halt_weight = nn.Parameter(torch.zeros(2, width))
        self.halt_bias = nn.Parameter(torch.full((2,), -5.0))
        self.register_buffer("answer_start", truncated_normal((width,), 1.0, generator))
        self.register_buffer("latent_starts", truncated_normal((variant.latents, width), 1.0, generator))
        # Not a parameter: rows are updated by sign-SGD (embedding.py), which touches only the batch's rows.
        self.register_buffer("puzzle_rows", torch.zeros(num_puzzles, size.puzzle_width))

    @property
    def num_parameters(self) -> int:
        """Trained numbers, puzzle rows included."""
        return sum(p.numel() for p in self.parameters()) + self.puzzle_rows.numel()

    def start(self, batch_size: int) -> State:
        """The state before the first supervision step."""
        shape = (batch_size, self.size.prefix + self.length, self.size.width)
        return State(
            self.answer_start.to(self.dtype).expand(shape),
            tuple(z.to(self.dtype).expand(shape) for z in self.latent_starts),
        )

    def embed(self, inputs: Tensor, puzzle_rows: Tensor) -> Tensor:
        """The question x: inputs int [B, L], puzzle_rows float [B, puzzle_width] -> [B, P + L, D]."""
        x = F.embedding(inputs, self.tokens)
        if self.size.prefix:
            missing = self.size.prefix * self.size.width - self.size.puzzle_width
            prefix = F.pad(puzzle_rows, (0, missing)).view(-1, self.size.prefix, self.size.width)
            x = torch.cat((prefix, x), dim=1)
        if self.positions is not None:
            x = math.sqrt(0.5) * (x + self.positions)
        return (math.sqrt(self.size.width) * x).to(self.dtype)

    def recurse(self, question: Tensor, state: State) -> State:
        """T cycles of n latent calls and one answer call; gradient through the last calls only (TRM, Figure 3)."""
        v = self.variant
        answer, latents = state.answer, list(state.latents)
        update_latent, update_answer = self.networks[0], self.networks[-1]
        graded = torch.is_grad_enabled()
        for call in range(v.calls):
            position = call % (v.latent_updates + 1)
            with torch.set_grad_enabled(graded and call >= v.calls - v.graded_calls):
                if position == v.latent_updates:
                    answer = update_answer(sum(latents, start=answer))
                elif latents:
                    which = position % len(latents)
                    latents[which] = update_latent(sum(latents, start=answer + question))
                else:
                    answer = update_latent(answer + question)
        return State(answer, tuple(latents))

    def forward(self, inputs: Tensor, puzzle_rows: Tensor, state: State) -> Output:
        """One supervision step, on from ``state``."""
        state = self.recurse(self.embed(inputs, puzzle_rows), state)
        logits = linear(state.answer[:, self.size.prefix :], self.head).float()
        halt_logits = linear(state.answer[:, 0], self.halt_weight).float() + self.halt_bias
        return Output(logits, halt_logits[:, 0], halt_logits[:, 1], state)
