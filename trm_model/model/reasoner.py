"""The model: embed the question, recurse, read the answer. One recursion serves every variant."""

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from storage.examples import Header
from trm_model.errors import require
from trm_model.model.blocks import Block, Network
from trm_model.model.layers import at_least_float32, linear, truncated_normal
from trm_model.model.layout import Layout
from trm_model.model.positions.position import joined_lookups
from trm_model.model.recursion import Recursion
from trm_model.model.size import Precision, Size
from trm_model.model.state import KeysAndValues, Output, State, Update
from trm_model.model.variant import Variant
from trm_model.noise import Noise, torch_generator

DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Reasoner(nn.Module):
    """A recursive reasoner (HRM, TRM, DRM and their ablations).

    :param vocabulary: number of tokens, V. A variant whose answers are masked has one more, the
        last: ``mask_token``.
    :param length: cells per puzzle, L.
    :param num_puzzles: rows of the puzzle table.
    :param generator: CPU generator for the initial weights.
    :param grid: rows and columns of the L cells; needed by spatially correlated noise and by
        positions that are told apart by row and column.
    :raises ConfigurationError: sizes that no model can have.

    Initial weights (authors' code): truncated LeCun normal; puzzle rows 0; the halting head's
    weight 0 and bias -5; the first answer and latents are one fixed truncated-normal vector each
    (std 1), the same at every position.
    """

    answer_start: Tensor
    latent_starts: Tensor
    lookups: Tensor
    puzzle_rows: Tensor
    registers: Tensor | None

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
        variant.start.require_grid(grid, length)
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
        self.recompute = False
        """Whether calls are computed again for their gradient, which keeps their input alone."""
        width, layout = size.width, Layout(size.prefix, length, grid)
        rows = vocabulary + int(variant.start.masks)

        def embedding(count: int) -> nn.Parameter:
            return nn.Parameter(truncated_normal((count, width), width**-0.5, generator))

        def network(layers: int) -> Network:
            return Network(
                Block(
                    variant.mixer,
                    variant.feed_forward,
                    size,
                    layout,
                    generator,
                    causal=variant.generation.causal,
                )
                for _ in range(layers)
            )

        # The order in which weights are drawn is part of what a seed means.
        self.tokens = embedding(rows)
        lookups = joined_lookups((each.lookups(layout) for each in variant.mixer.told_by), layout)
        self.positions = embedding(int(lookups.max()) + 1) if len(lookups) else None
        self.networks = nn.ModuleList([network(variant.layers)])
        if variant.networks == "separate":
            self.networks.append(network(variant.answer_layers or variant.layers))
        self.head = None if variant.tied else embedding(rows)
        # Two outputs, halt and continue, as in the authors' checkpoints; only Q-learning trains
        # the second.
        self.halt_weight = nn.Parameter(torch.zeros(2, width))
        self.halt_bias = nn.Parameter(torch.full((2,), -5.0))
        self.register_buffer("answer_start", truncated_normal((width,), 1.0, generator))
        latents = truncated_normal((variant.latents, width), 1.0, generator)
        self.register_buffer("latent_starts", latents)
        reads_answers = variant.start.reads_answers or variant.generation.reads_answers
        self.answer_tokens = embedding(rows) if reads_answers else None
        # Known from the variant and the grid.
        self.register_buffer("lookups", torch.tensor(lookups), persistent=False)
        # Drawn last, so that a seed means the same weights with and without them.
        registers = truncated_normal((size.registers, width), width**-0.5, generator)
        self.register_buffer("registers", registers if size.registers else None)
        # Not a parameter: sign-SGD (training/puzzle_rows.py) touches only the batch's rows.
        self.register_buffer("puzzle_rows", torch.zeros(num_puzzles, size.puzzle_width))

    @property
    def num_parameters(self) -> int:
        """Trained numbers, puzzle rows included."""
        return sum(p.numel() for p in self.parameters()) + self.puzzle_rows.numel()

    @property
    def recursion(self) -> Recursion:
        """The calls of a supervision step, those of the end of training."""
        return self.variant.recursion

    @property
    def layer_calls(self) -> int:
        """Layers applied per supervision step."""
        return self.variant.depth

    def compile_networks(self, *, any_size: bool = False) -> None:
        """Let torch compile the networks. A graph that breaks is an error: it would wait for the
        device in the middle.

        :param any_size: for batches of any size, as tests have them, whose last one is smaller, and
            so is what goes on of one. Networks that answer cells one after the other stay as they
            are then: they see a cache that is never the same.
        """
        if any_size and self.variant.generation.causal:
            return
        for network in self.networks:
            network.compile(dynamic=any_size, fullgraph=True)

    def start(self, noise: Noise) -> State:
        """The state before the first supervision step of the examples (or of several starts of
        each) that ``noise`` numbers.
        """
        return self.variant.start.initial(self, noise)

    def embed(self, inputs: Tensor, puzzle_rows: Tensor, answers: Tensor | None = None) -> Tensor:
        """The question x [B, P + L, D].

        :param inputs: int64 [B, L]. :param puzzle_rows: float32 [B, puzzle_width].
        :param answers: int64 [B, L], where cells read answers: to each cell's question the answer
            of the cell before it is added.
        """
        x = F.embedding(inputs, self.tokens)
        if answers is not None:
            x = x + F.pad(self._embedded_answers(answers[:, :-1]), (0, 0, 1, 0))
        return self._with_prefix(x, puzzle_rows)

    def embed_answer(self, answers: Tensor, puzzle_rows: Tensor, *, scaled: bool = True) -> Tensor:
        """The answer y of tokens (DRM), [B, P + L, D].

        :param answers: int64 [B, L]. :param puzzle_rows: float32 [B, puzzle_width].
        :param scaled: False: cells without the factor sqrt(D) and positions, as the authors' code
            embeds answers at test.
        """
        embedded = self._embedded_answers(answers)
        y = self._with_prefix(embedded, puzzle_rows)
        if not scaled:
            y = torch.cat((y[:, : self.size.prefix], embedded.to(self.dtype)), dim=1)
        return y

    def _embedded_answers(self, answers: Tensor) -> Tensor:
        if self.answer_tokens is None:
            raise RuntimeError("this variant reads no answers, and has no table that embeds them")
        return F.embedding(answers, self.answer_tokens)

    def _with_prefix(self, x: Tensor, puzzle_rows: Tensor) -> Tensor:
        if self.size.prefix:
            missing = self.size.prefix * self.size.width - self.size.puzzle_width
            prefix = F.pad(puzzle_rows, (0, missing)).view(-1, self.size.prefix, self.size.width)
            if self.registers is not None:
                registers = self.registers.expand(len(prefix), -1, -1)
                prefix = torch.cat((prefix[:, : -len(self.registers)], registers), dim=1)
            x = torch.cat((prefix, x), dim=1)
        if self.positions is not None:
            placed = F.embedding(self.lookups, self.positions).sum(0)
            x = math.sqrt(1 / (1 + len(self.lookups))) * (x + placed)
        return (math.sqrt(self.size.width) * x).to(self.dtype)

    def recurse(
        self,
        question: Tensor,
        state: State,
        recursion: Recursion,
        noise: Noise,
        cache: KeysAndValues | None = None,
        update: Update | None = None,
    ) -> State:
        """The state after T cycles of n latent calls and one answer call; gradient through the
        last calls only (TRM, Figure 3).

        :param cache: of earlier positions, where question and state are of a part of the sequence.
        :param update: of latents, where a test changes it; None: the start's own.
        """
        for following in self.called(question, state, recursion, noise, cache, update):
            state = following
        return state

    def called(
        self,
        question: Tensor,
        state: State,
        recursion: Recursion,
        noise: Noise,
        cache: KeysAndValues | None = None,
        update: Update | None = None,
    ) -> Iterator[State]:
        """The state after each network call of :meth:`recurse`."""
        update_latent, update_answer = self.networks[0], self.networks[-1]
        if cache is not None:
            update_latent = partial(update_latent, cache=cache)
            update_answer = partial(update_answer, cache=cache)
        elif self.recompute:
            update_latent = partial(_recomputed, update_latent)
            update_answer = partial(_recomputed, update_answer)
        update, solver = update or self.variant.start.update, self.variant.solver
        answer, latents = state.answer, list(state.latents)
        graded, updates = torch.is_grad_enabled(), recursion.latent_updates
        solving = solver.begin()
        for call in range(recursion.calls):
            position = call % (updates + 1)
            has_gradient = call >= recursion.calls - recursion.graded_calls
            with torch.set_grad_enabled(graded and has_gradient):
                if position < updates and latents:
                    which = position % len(latents)
                    updated = update_latent(sum(latents, start=answer + question))
                    if position == 0:
                        solving = solver.begin()
                    if not has_gradient:
                        updated = solving.next(latents[which], updated)
                    latents[which] = update(latents[which], updated, noise, call)
                elif position < updates or not updates:
                    answer = update_latent(answer + question)
                else:
                    answer = update_answer(sum(latents, start=answer))
            yield State(answer, tuple(latents))

    def read(self, state: State, prefix: int | None = None) -> Output:
        """The answer and the halting head's judgement.

        :param prefix: positions before the first cell; None: P, those of a whole state.
        """
        prefix = self.size.prefix if prefix is None else prefix
        head = self.tokens if self.head is None else self.head
        logits = at_least_float32(linear(state.answer[:, prefix:], head))
        judged = self.variant.generation.judged(state.answer, prefix)
        halt_logits = at_least_float32(linear(judged, self.halt_weight)) + self.halt_bias
        return Output(logits, halt_logits[..., 0], halt_logits[..., 1], state)

    def forward(
        self,
        inputs: Tensor,
        puzzle_rows: Tensor,
        state: State,
        noise: Noise,
        recursion: Recursion | None = None,
        answers: Tensor | None = None,
        *,
        update: Update | None = None,
    ) -> Output:
        """One supervision step, on from ``state``.

        :param recursion: the calls to make, where a curriculum changes them; None: the variant's.
        :param answers: see :meth:`embed`.
        :param update: see :meth:`recurse`.
        """
        question = self.embed(inputs, puzzle_rows, answers)
        recursion = recursion or self.recursion
        return self.read(self.recurse(question, state, recursion, noise, update=update))


def _recomputed(network: nn.Module, x: Tensor) -> Tensor:
    """What a network gives, computed again when its gradient is due."""
    if not torch.is_grad_enabled():
        return network(x)
    # It draws no random numbers.
    return checkpoint(network, x, use_reentrant=False, preserve_rng_state=False)


def build(
    variant: Variant, size: Size, header: Header, seed: int, precision: Precision = "float32"
) -> Reasoner:
    """The untrained model of a variant for data with this header; weights from ``seed``."""
    return Reasoner(
        variant,
        size,
        vocabulary=len(header.vocabulary),
        length=header.length,
        num_puzzles=header.num_puzzle_ids,
        generator=torch_generator(seed, "weights"),
        precision=precision,
        grid=header.grid,
    )
