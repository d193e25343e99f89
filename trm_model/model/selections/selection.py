"""The axis of how one answer is chosen among the rollouts of an example."""

from torch import Tensor

from trm_model.choices import Choice


class Selection(Choice, axis=True):
    """How one answer is chosen among the rollouts of an example."""

    __slots__ = ()

    def select(self, predictions: Tensor, halt_logits: Tensor) -> tuple[Tensor, Tensor]:
        """The chosen answers, int64 [B, L], and a halting logit for each, float32 [B].

        :param predictions: int64 [K, B, L], of K rollouts.
        :param halt_logits: float32 [K, B].
        """
        raise NotImplementedError
