"""The axis of how one answer is chosen among the rollouts of an example."""

from typing import NamedTuple

from torch import Tensor

from trm_model.choices import Choice


class Judged(NamedTuple):
    """Answers and the halting head's judgement of each: ``prediction`` int64 [..., L],
    ``halt_logits`` and ``continue_logits`` float32 [...].
    """

    prediction: Tensor
    halt_logits: Tensor
    continue_logits: Tensor


class Selection(Choice, axis=True):
    """How one answer is chosen among the rollouts of an example."""

    __slots__ = ()

    def select(self, tries: Judged) -> Judged:
        """The answer chosen for each of B examples, with the logits that it is judged by.

        :param tries: of K rollouts, [K, B, ...].
        """
        raise NotImplementedError
