"""NaN and the infinities, which no checkpoint, score or export holds."""

from collections.abc import Mapping

from torch import Tensor

from trm_model.errors import ConfigurationError


class NotFiniteError(ConfigurationError):
    """Numbers that are not finite where a result would be kept, as too high a rate makes them; the
    message names where they are."""


def require_finite(tensors: Mapping[str, Tensor]) -> None:
    """Whether every number in tensors by name is finite.

    It waits for the device that they are on: ask where something is written, not at every step.

    :raises NotFiniteError: naming the first tensor that holds others.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            wrong = int((~tensor.isfinite()).sum())
            raise NotFiniteError(
                f"{name}: {wrong} of {tensor.numel()} numbers are NaN or infinite, expected finite "
                "ones"
            )
