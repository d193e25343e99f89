"""Rollouts written out, for tests of what chooses among them."""

from typing import Any

import torch
from torch import Tensor

from trm_model.model.selections.selection import First, Judged, Tries


def tries_of(predictions: Tensor, logits: Tensor, going_on: Tensor, **known: Any) -> Tries:
    """Answers int64 [K, B, L] after the first step, of which nothing else is known.

    :param known: other fields of :class:`Tries`.
    """
    now = Judged(predictions, logits, going_on)
    fields: dict[str, Any] = {
        "now": now,
        "confidence": torch.ones(predictions.shape),
        "residuals": (),
        "computed": torch.ones_like(predictions[..., 0]),
        "halted": First.none(now),
    }
    return Tries(**{**fields, **known})
