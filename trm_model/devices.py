"""Devices by their names."""

import torch


def resolve_device(name: str) -> str:
    """A device by its full name: ``auto`` is the first GPU or else the CPU, ``cuda`` is ``cuda:0``;
    so one device has one lock."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return "cuda:0" if name == "cuda" else name
