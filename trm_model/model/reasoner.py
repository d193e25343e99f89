"""The model: embed the question, recurse, read the answer. One recursion serves every variant."""

import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from storage.examples import Header
from trm_model.errors import require
from trm_model.model.anderson import Anderson
from trm_model.model.blocks import KeysAndValues, Network, linear, truncated_normal
from trm_model.model.size import Precision, Size
from trm_model.model.state import Output, State
from trm_model.model.variant import NoisyStart, RandomStart, Variant
from trm_model.noise import Noise
from trm_model.seeding import torch_generator
from trm_model.training.recipe import Recipe

DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Reasoner(nn.Module):
    """A recursive reasoner (HRM, TRM and their ablations).

    :param vocabulary: number of tokens, V. A variant whose answers are masked has one more, the
        last: ``mask_token``.
    :param length: cells per puzzle, L.
    :param num_puzzles: rows of the puzzle table.
    :param generator: CPU generator for the initial weights.
    :param grid: rows and columns of the L cells; needed by spatially correlated noise only.

    Initial weights (authors' code): truncated LeCun normal; puzzle rows 0; the halting head's
    weight 0 and bias -5; the first answer and latents are one fixed truncated-normal vector each
    (std 1), the same at every position.
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
        grid: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        noisy = variant.start if isinstance(variant.start, NoisyStart) else None
        require(
            noisy is None
            or not noisy.correlated
            or (grid is not None and grid[0] * grid[1] == length),
            f"correlated noise with grid={grid}, length={length}: expected the grid's rows and "
            "columns; give grid, or use correlated=False",
        )
        require(
            vocabulary >= 2 and length >= 1,
            f"vocabulary={vocabulary}, length={length}: expected at least 2 and 1",
        )
        require(num_puzzles >= 1, f"num_puzzles={num_puzzles}: expected at least one puzzle id")
        self.variant = variant
        self.size = size
        self.vocabulary = vocabulary
        self.mask_token = vocabulary
        self.length = length
        self.grid = grid
        self.dtype = DTYPES[precision]
        width = size.width
        rows = vocabulary + (noisy is not None and noisy.corruption == "mask")
        self.tokens = nn.Parameter(truncated_normal((rows, width), width**-0.5, generator))
        self.positions = (
            nn.Parameter(truncated_normal((size.prefix + length, width), width**-0.5, generator))
            if variant.mixer.positions == "learned"
            else None
        )
        self.networks = nn.ModuleList(
            Network(variant, layers, size, size.prefix + length, generator)
            for layers in (variant.layers, variant.answer_layers or variant.layers)[
                : 1 if variant.networks == "shared" else 2
            ]
        )
        self.head = (
            None
            if variant.tied
            else nn.Parameter(truncated_normal((rows, width), width**-0.5, generator))
        )
        # Two outputs, halt and continue, as in the authors' checkpoints; only Q-learning reads the
        # second.
        self.halt_weight = nn.Parameter(torch.zeros(2, width))
        self.halt_bias = nn.Parameter(torch.full((2,), -5.0))
        self.register_buffer("answer_start", truncated_normal((width,), 1.0, generator))
        self.register_buffer(
            "latent_starts", truncated_normal((variant.latents, width), 1.0, generator)
        )
        # Answers that are read, corrupted (DRM) or of earlier cells, are embedded by a table of
        # their own.
        reads_answers = noisy is not None or variant.autoregressive
        self.answer_tokens = (
            nn.Parameter(truncated_normal((rows, width), width**-0.5, generator))
            if reads_answers
            else None
        )
        # Not a parameter: rows are updated by sign-SGD (embedding.py), which touches only the
        # batch's rows.
        self.register_buffer("puzzle_rows", torch.zeros(num_puzzles, size.puzzle_width))

    @property
    def num_parameters(self) -> int:
        """Trained numbers, puzzle rows included."""
        return sum(p.numel() for p in self.parameters()) + self.puzzle_rows.numel()

    def start(self, noise: Noise) -> State:
        """The state before the first supervision step of the examples (or of several starts of
        each) that ``noise`` numbers."""
        shape = (len(noise.items), self.size.prefix + self.length, self.size.width)
        answer = self.answer_start.to(self.dtype).expand(shape)
        if isinstance(self.variant.start, RandomStart):
            latents = (
                noise.normal(f"latent {number}", *shape[1:]).to(self.dtype)
                for number in range(self.variant.latents)
            )
        else:
            latents = (z.to(self.dtype).expand(shape) for z in self.latent_starts)
        return State(answer, tuple(latents))

    def embed(self, inputs: Tensor, puzzle_rows: Tensor, answers: Tensor | None = None) -> Tensor:
        """The question x: inputs int [B, L], puzzle_rows float [B, puzzle_width] -> [B, P + L, D].

        :param answers: int [B, L], of an autoregressive variant: to each cell's question the answer
            of the cell before it is added.
        """
        x = F.embedding(inputs, self.tokens)
        if answers is not None:
            assert self.answer_tokens is not None, "only autoregressive variants read answers"
            x = x + F.pad(F.embedding(answers[:, :-1], self.answer_tokens), (0, 0, 1, 0))
        return self._with_prefix(x, puzzle_rows)

    def embed_answer(self, answers: Tensor, puzzle_rows: Tensor, *, scaled: bool = True) -> Tensor:
        """The answer y of tokens (DRM): int [B, L], float [B, puzzle_width] -> [B, P + L, D].

        :param scaled: False: cells without the factor sqrt(D) and positions, as the authors' code
            embeds answers at test.
        """
        assert self.answer_tokens is not None, "only a noisy start embeds answers"
        y = self._with_prefix(F.embedding(answers, self.answer_tokens), puzzle_rows)
        if not scaled:
            y = torch.cat(
                (y[:, : self.size.prefix], F.embedding(answers, self.answer_tokens).to(self.dtype)),
                dim=1,
            )
        return y

    def _with_prefix(self, x: Tensor, puzzle_rows: Tensor) -> Tensor:
        if self.size.prefix:
            missing = self.size.prefix * self.size.width - self.size.puzzle_width
            prefix = F.pad(puzzle_rows, (0, missing)).view(-1, self.size.prefix, self.size.width)
            x = torch.cat((prefix, x), dim=1)
        if self.positions is not None:
            x = math.sqrt(0.5) * (x + self.positions)
        return (math.sqrt(self.size.width) * x).to(self.dtype)

    def recurse(
        self,
        question: Tensor,
        state: State,
        v: Variant,
        noise: Noise,
        cache: KeysAndValues | None = None,
    ) -> State:
        """T cycles of n latent calls and one answer call; gradient through the last calls only
        (TRM, Figure 3).

        :param cache: of earlier positions, where question and state are of a part of the sequence.
        """
        answer, latents = state.answer, list(state.latents)
        update_latent, update_answer = (
            network if cache is None else partial(network, cache=cache)
            for network in (self.networks[0], self.networks[-1])
        )
        graded, fixed_point = torch.is_grad_enabled(), Anderson()
        for call in range(v.calls):
            position = call % (v.latent_updates + 1)
            has_gradient = call >= v.calls - v.graded_calls
            with torch.set_grad_enabled(graded and has_gradient):
                if position < v.latent_updates and latents:
                    which = position % len(latents)
                    updated = update_latent(sum(latents, start=answer + question))
                    if v.solver == "anderson" and not has_gradient:
                        fixed_point = fixed_point if position else Anderson()
                        updated = fixed_point.next(latents[which], updated)
                    if isinstance(v.start, RandomStart):
                        updated = self._disturb(
                            v.start, latents[which], updated, noise.at("update", call)
                        )
                    latents[which] = updated
                elif position < v.latent_updates or not v.latent_updates:
                    answer = update_latent(answer + question)
                else:
                    answer = update_answer(sum(latents, start=answer))
        return State(answer, tuple(latents))

    @staticmethod
    def _disturb(start: RandomStart, old: Tensor, new: Tensor, noise: Noise) -> Tensor:
        """The damped, noisy update of EqR."""
        if start.damping < 1.0:
            new = old.lerp(new, start.damping)
        if start.update_noise:
            new = new + (start.update_noise * noise.normal("update", *new.shape[1:])).to(new.dtype)
        return new

    def read(self, state: State, prefix: int | None = None) -> Output:
        """The answer and the halting head's judgement.

        :param prefix: positions before the first cell; None: P, those of a whole state.
        """
        cells = state.answer[:, self.size.prefix if prefix is None else prefix :]
        logits = linear(cells, self.tokens if self.head is None else self.head).float()
        judged = cells if self.variant.autoregressive else state.answer[:, 0]
        halt_logits = linear(judged, self.halt_weight).float() + self.halt_bias
        return Output(logits, halt_logits[..., 0], halt_logits[..., 1], state)

    def forward(
        self,
        inputs: Tensor,
        puzzle_rows: Tensor,
        state: State,
        noise: Noise,
        stage: Variant | None = None,
        answers: Tensor | None = None,
    ) -> Output:
        """One supervision step, on from ``state``.

        :param stage: the variant with the recursion to use, where a curriculum changes it.
        :param answers: see :meth:`embed`.
        """
        return self.read(
            self.recurse(
                self.embed(inputs, puzzle_rows, answers), state, stage or self.variant, noise
            )
        )


def build(variant: Variant, recipe: Recipe, header: Header, seed: int) -> Reasoner:
    """The untrained model of a variant for data with this header; weights from ``seed``."""
    return Reasoner(
        variant,
        recipe.size,
        vocabulary=len(header.vocabulary),
        length=header.length,
        num_puzzles=header.num_puzzle_ids,
        generator=torch_generator(seed, "weights"),
        precision=recipe.precision,
        grid=header.grid,
    )
