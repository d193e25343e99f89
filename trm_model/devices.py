"""Devices by their names."""

import sys
from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor

from storage.reading import one_line, out_of_memory
from trm_model.errors import ConfigurationError, require

KINDS = ("cpu", "cuda", "xpu")
"""Apple's ``mps`` is none of them: it has no float64, in which sums over an interval are kept."""
_NO_COMPILER = "Failed to find C compiler"
"""So Triton says, whose programs are compiled whether or not the model is."""
_EXPECTED = "expected auto, cpu, cuda or cuda:NUMBER of one that is here"


def require_name(name: str) -> None:
    """Whether this could be the name of a device, on this machine or another.

    :raises ConfigurationError: it could not.
    """
    kind, colon, number = name.partition(":")
    require(
        kind in KINDS and number.isdecimal() == bool(colon),
        f"device={name!r}: {_EXPECTED}" + " (mps has no float64)" * (kind == "mps"),
    )


def full_name(name: str) -> str:
    """A device of this machine or another by its full name: ``auto`` is the first GPU here or else
    the CPU, ``cuda`` is ``cuda:0``.

    :raises ConfigurationError: no device can have this name.
    """
    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    require_name(name)
    return following(name, 0)


def following(name: str, count: int) -> str:
    """The device ``count`` after this one on its machine; the CPU is its own follower."""
    kind, _, number = name.partition(":")
    return kind if kind == "cpu" else f"{kind}:{int(number or 0) + count}"


def resolve_device(name: str) -> str:
    """A device of this machine by its full name (:func:`full_name`), so that one device has one
    lock. Nothing is allocated on it.

    :raises ConfigurationError: there is no such device here, or torch was built without it.
    """
    found = full_name(name)
    kind, _, number = name.partition(":")
    if kind != "auto":
        count = count_devices(name)
        require(
            int(number or 0) < count,
            f"device={name!r}: torch finds {count} {kind} devices here; {_EXPECTED}",
        )
    return found


def count_devices(name: str) -> int:
    """How many devices of the kind of this one there are here (``CUDA_VISIBLE_DEVICES`` decides
    on those of CUDA)."""
    return getattr(torch, name.partition(":")[0]).device_count()


def placed(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on a device. The host does not wait for a GPU, as it does for a copy of
    memory that the operating system may move.
    """
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def free_bytes(device: torch.device) -> int | None:
    """Memory of a device that new tensors can have: what nobody has, and what torch keeps of
    earlier ones; None: a CPU, whose memory is there for other programs too.
    """
    if device.type == "cpu":
        return None
    of_kind = getattr(torch, device.type)
    free, _ = of_kind.mem_get_info(device)
    return free + of_kind.memory_reserved(device) - of_kind.memory_allocated(device)


def open_device(name: str) -> torch.device:
    """The device of this name (:func:`resolve_device`), which can be computed on here. A GPU is
    what torch takes from now on where none is named, and computes in float32 what is float32.

    :raises ConfigurationError: it cannot; the message says why.
    """
    device = torch.device(resolve_device(name))
    try:
        if device.type != "cpu":
            torch.accelerator.set_device_index(device.index)
        # A tensor without numbers could be made even on a device that cannot compute.
        torch.zeros(1, dtype=torch.float64, device=device)
    except (RuntimeError, TypeError) as error:
        if out_of_memory(error):
            raise
        raise ConfigurationError(f"device={name!r}: {one_line(error)}; {_EXPECTED}") from error
    # By default torch rounds the factors of convolutions to TF32, those of products not.
    torch.backends.cudnn.allow_tf32 = False
    return device


@contextmanager
def compiled_here() -> Generator[None]:
    """Refuse in one line what torch cannot compile inside, most often because there is no compiler.

    :raises ConfigurationError: it cannot.
    """
    try:
        yield
    except RuntimeError as error:
        # Loaded where anything has been compiled; it takes seconds.
        compiler = sys.modules.get("torch._dynamo.exc")
        if out_of_memory(error) or not (
            _NO_COMPILER in str(error)
            or (compiler is not None and isinstance(error, compiler.TorchDynamoException))
        ):
            raise
        said = one_line(str(error).partition("\n")[0])
        raise ConfigurationError(
            f"torch could not compile the model ({said}); expected a C++ compiler that works (CC "
            "and CXX may name it) and code that torch can follow; mend that, or give compile=false"
        ) from error
