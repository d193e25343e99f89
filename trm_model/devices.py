"""Devices by their names."""

import torch

from trm_model.errors import ConfigurationError


def resolve_device(name: str) -> str:
    """A device by its full name: ``auto`` is the first GPU or else the CPU, ``cuda`` is ``cuda:0``;
    so one device has one lock.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return "cuda:0" if name == "cuda" else name


def open_device(name: str) -> torch.device:
    """The device of this name (:func:`resolve_device`), which can be computed on here.

    :raises ConfigurationError: there is no such device here, or torch was built without it.
    """
    try:
        device = torch.device(resolve_device(name))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without it
        raise ConfigurationError(
            f"device={name!r}: {str(error).splitlines()[0]}; expected auto, cpu or one that is here"
        ) from error
    return device
