"""The axis of the order in which the cells of an answer are decided."""

from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor

from trm_model.model.batch import Batch
from trm_model.model.evaluation import Evaluation
from trm_model.model.part import ModelView, Part
from trm_model.model.starts.start import Start
from trm_model.model.state import Output, State
from trm_model.noise import Noise


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

    def most_examples(self, model: ModelView, depth: int, wanted: int) -> int:
        """How many of the ``wanted`` examples to answer together at test."""
        del model, depth
        return wanted

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
    ) -> Iterator[Output]:
        """The outputs of ``depth`` test steps, of [K B] with K rollouts per example, the first
        rollout of all examples first.
        """
        raise NotImplementedError


def disturbed(state: State, std: float, noise: Noise) -> State:
    """With normal noise added to the latents (PTRM, arXiv 2605.19943)."""
    latents = (
        latent + (std * noise.normal(f"disturbance {number}", *latent.shape[1:])).to(latent.dtype)
        for number, latent in enumerate(state.latents)
    )
    return State(state.answer, tuple(latents))
