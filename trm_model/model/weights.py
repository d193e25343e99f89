"""Tensors from a file, put into a model: whether they are the model's."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from trm_model.errors import require

_SHOWN = 2


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put tensors into a model, all of them by their names.

    :raises ConfigurationError: tensors of other names or shapes than the model's; the message says
        which.
    """
    require_tensors("weights", tensors, model.state_dict())
    model.load_state_dict(tensors)


def require_tensors(
    what: str, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Whether tensors have the names and shapes of the expected ones.

    :param what: they are, for the message.
    :raises ConfigurationError: they have not.
    """
    require_same_names(what, tensors, expected)
    for name, tensor in expected.items():
        found, wanted = tuple(tensors[name].shape), tuple(tensor.shape)
        require(
            found == wanted,
            f"{what}: {name} has the shape {list(found)}, expected {list(wanted)} as the "
            "configuration says; use the checkpoint with the configuration it was trained with",
        )


def require_same_names(what: str, found: Iterable[str], expected: Iterable[str]) -> None:
    """Whether the found names are the expected ones, in any order.

    :raises ConfigurationError: some are missing or too many, or all have a prefix.
    """
    found, expected = set(found), set(expected)
    missing, extra = sorted(expected - found), sorted(found - expected)
    prefix = _prefix(found, expected)
    remedy = (
        f"every name begins with {prefix!r}; save it again without"
        if prefix
        else "use the checkpoint with the configuration it was trained with, or an undamaged one"
    )
    require(
        not missing and not extra,
        f"{what}: {'; '.join(_listed(missing, 'missing') + _listed(extra, 'unknown'))}; expected "
        f"the {len(expected)} tensors of the configuration; {remedy}",
    )


def _listed(names: list[str], what: str) -> list[str]:
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return [f"{len(names)} {what} ({shown})"] if names else []


def _prefix(found: set[str], expected: set[str]) -> str:
    """What every found name has before an expected one; empty where there is no such prefix."""
    for name in sorted(expected)[:1]:
        for other in found:
            prefix = other.removesuffix(name)
            if prefix != other and {prefix + each for each in expected} == found:
                return prefix
    return ""
