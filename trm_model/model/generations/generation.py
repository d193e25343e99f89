"""The axis of the order in which the cells of an answer are decided."""

from collections.abc import Generator, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from trm_model.model.batch import Batch
from trm_model.model.evaluation import Evaluation
from trm_model.model.part import ModelView, Part
from trm_model.model.starts.start import Start
from trm_model.model.state import Output, State, Update
from trm_model.noise import Noise

Outputs = Generator[Output, Tensor | None, None]
"""The outputs of a rollout; what is sent are the rows that go on, None: all of them."""


class Generation(Part, axis=True):
    """In which order the cells of an answer are decided, in training and at test."""

    __slots__ = ()
    causal: ClassVar[bool] = False
    """Whether a cell sees only the cells before it."""
    reads_answers: ClassVar[bool] = False
    """Whether each cell reads the answer of the one before it, by a table of its own."""

    def teacher(self, target: Tensor) -> Tensor | None:
        """The answers that cells read in training, int64 [B, L]; None: they read none.

        :param target: int64 [B, L], the right answers.
        """
        raise NotImplementedError

    def judged(self, answer: Tensor, prefix: int) -> Tensor:
        """What the halting head reads of the answer y [B, P + L, D]."""
        raise NotImplementedError

    def judged_right(self, cell_right: Tensor, solved: Tensor) -> Tensor:
        """Whether what the halting head judges is right: one of ``cell_right`` [B, L] and
        ``solved`` [B].
        """
        raise NotImplementedError

    def halting_loss(self, losses: Tensor, labelled: Tensor) -> Tensor:
        """An example's halting loss [B], from those of what the head judges.

        :param labelled: bool [B, L], cells that count.
        """
        raise NotImplementedError

    def example_logits(self, halt_logits: Tensor, labelled: Tensor) -> Tensor:
        """An example's halting logit [B], from those of what the head judges."""
        raise NotImplementedError

    def most_examples(
        self, model: ModelView, depth: int, wanted: int, evaluation: Evaluation
    ) -> int:
        """How many of the ``wanted`` examples to answer together at test."""
        del model, depth, evaluation
        return wanted

    def going_on(self, halt_logits: Tensor, cells: Tensor, evaluation: Evaluation) -> Tensor:
        """Which share of the next step's work is done, float32 [B].

        :param halt_logits: what the halting head says after this step.
        :param cells: bool [B, L], those of the answers.
        """
        del halt_logits, evaluation
        return torch.ones(len(cells), device=cells.device)

    def require_evaluation(self, evaluation: Evaluation) -> None:
        """Whether answers can be generated as the evaluation wants it.

        :raises ConfigurationError: they cannot.
        """

    def rollout(
        self,
        model: ModelView,
        start: Start,
        batch: Batch,
        depth: int,
        evaluation: Evaluation,
        noise: Noise,
        end: int | None = None,
    ) -> Outputs:
        """The outputs of ``depth`` test steps, one rollout for each of the batch's examples, which
        may stand there several times, with random numbers of their own.

        :param batch: of its labels is used which cells are to be answered, and nothing else.
        :param end: token that ends an answer; what stands in the cells after it means nothing.

        Whoever sends rows int64 [R] of the last output lets these alone go on: the outputs that
        follow are of them.
        """
        raise NotImplementedError


def played(outputs: Sequence[Output]) -> Outputs:
    """A rollout of outputs that have all been computed."""
    going = torch.arange(len(outputs[0].logits), device=outputs[0].logits.device)
    for output in outputs:
        rows = yield output.at(going)
        going = going if rows is None else going[rows]


def _disturbed(latent: Tensor, std: float, noise: Noise, purpose: str) -> Tensor:
    return latent + (std * noise.normal(purpose, *latent.shape[1:])).to(latent.dtype)


def disturbed(state: State, std: float, noise: Noise) -> State:
    """With normal noise added to the latents (PTRM, arXiv 2605.19943)."""
    latents = (
        _disturbed(latent, std, noise, f"disturbance {number}")
        for number, latent in enumerate(state.latents)
    )
    return State(state.answer, tuple(latents))


def update_at_test(start: Start, evaluation: Evaluation) -> Update:
    """What becomes of a latent at test: the start's own update, with the evaluation's damping and
    its noise after each call.
    """

    def update(old: Tensor, new: Tensor, noise: Noise, call: int, /) -> Tensor:
        if evaluation.damping is None:
            new = start.update(old, new, noise, call)
        else:
            new = start.damped(old, new, noise, call, evaluation.damping)
        if evaluation.noise and evaluation.noise_at == "call":
            new = _disturbed(new, evaluation.noise, noise.at("call", call), "disturbance")
        return new

    return update
