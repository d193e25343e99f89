"""The processes that train one model together, each on its share of every batch.

The loop asks its group, whether that is one process (:class:`Group`) or several
(:class:`JoinedGroup`). All of them hold the same weights and make the same updates, so that the
first one, the lead, can say and write everything, and any number of them can go on from what it
wrote.
"""

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby

import torch
from torch import Tensor
from torch import distributed as dist

from storage.reading import out_of_memory
from trm_model.devices import following
from trm_model.errors import require
from trm_model.names import GROUP_VARIABLES, STORE_VARIABLE

BUCKET = 1 << 23
"""Numbers that are summed in one message: 32 MiB of float32."""
PATIENCE = timedelta(days=8)
"""How long the others wait for a process, which may be the lead that waits for the device or
validates. One that has died is noticed by its connection, or ended by :mod:`trm_model.ranks`."""


class LostError(RuntimeError):
    """Another process of the group has ended."""


class Group:
    """A process that trains alone.

    :param rank, size: which of how many processes this is.
    :param local_rank, local_size: the same among those of this machine.
    """

    def __init__(
        self, rank: int = 0, size: int = 1, local_rank: int = 0, local_size: int = 1
    ) -> None:
        self.rank, self.size = rank, size
        self.local_rank, self.local_size = local_rank, local_size

    @property
    def leads(self) -> bool:
        """Whether this is the one that speaks and writes."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Which of ``count`` examples of a batch are this process's.

        :raises ConfigurationError: the processes cannot have equal shares.
        """
        each, left = divmod(count, self.size)
        require(
            left == 0,
            f"batch_size={count} on {self.size} processes: expected a multiple of {self.size}; "
            "change one of them",
        )
        return slice(self.rank * each, (self.rank + 1) * each)

    def device(self, name: str) -> str:
        """This process's device, where the first one on the machine has the device ``name``."""
        return following(name, self.local_rank)

    def set_threads(self, count: int | None) -> None:
        """Let torch use this process's share of ``count`` threads of a CPU; None: of torch's
        choice."""
        if count is not None:
            torch.set_num_threads(count)

    def sum_(self, tensors: Iterable[Tensor]) -> None:
        """Put into each tensor the sum of all processes'."""
        del tensors

    def everyones(self, share: Tensor) -> Tensor:
        """What all processes have, [B, ...], from this one's share of it."""
        return share

    def collected(self, tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        """At the lead, what each process has, in the order of their shares; elsewhere nothing."""
        return [dict(tensors)]

    def agreed(self, *wishes: bool) -> list[bool]:
        """Of each wish, whether any process has it. Returns when all have said theirs."""
        return list(wishes)

    def told(self, value: int) -> int:
        """The lead's value."""
        return value

    def leave(self) -> None:
        """Wait until all processes have reached this point, then leave the group."""


class JoinedGroup(Group):
    """A process among several, connected by torch's default process group.

    :raises LostError: by every method that waits for the others, where one of them has ended.
    """

    def set_threads(self, count: int | None) -> None:
        """See :class:`Group`."""
        torch.set_num_threads(max(1, (count or torch.get_num_threads()) // self.local_size))

    def sum_(self, tensors: Iterable[Tensor]) -> None:
        """See :class:`Group`; in few flat messages."""
        sent = [(bucket, _flat(bucket)) for bucket in _buckets(tensors)]
        with _connected():
            for work in [dist.all_reduce(flat, async_op=True) for _, flat in sent]:
                assert work is not None
                work.wait()
        for bucket, flat in sent:
            parts = flat.split([tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def everyones(self, share: Tensor) -> Tensor:
        """See :class:`Group`."""
        share = share.contiguous()
        shares = [torch.empty_like(share) for _ in range(self.size)]
        with _connected():
            dist.all_gather(shares, share)
        return torch.cat(shares)

    def collected(self, tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        """See :class:`Group`; on the CPU, tensor by tensor."""
        found: list[dict[str, Tensor]] = [{} for _ in range(self.size if self.leads else 0)]
        for name, tensor in tensors.items():
            own = tensor.detach().cpu().contiguous()
            parts = [torch.empty_like(own) for _ in found]
            with _connected():
                dist.gather(own, parts or None)
            for part, values in zip(parts, found, strict=True):
                values[name] = part
        return found

    def agreed(self, *wishes: bool) -> list[bool]:
        """See :class:`Group`; on the CPU, so that nothing waits for the device."""
        said = torch.tensor(wishes, dtype=torch.int64)
        with _connected():
            dist.all_reduce(said, dist.ReduceOp.MAX)
        return [bool(wish) for wish in said.tolist()]

    def told(self, value: int) -> int:
        """See :class:`Group`."""
        said = torch.tensor(value)
        with _connected():
            dist.broadcast(said, 0)
        return int(said)

    def leave(self) -> None:
        """See :class:`Group`."""
        self.agreed(False)
        dist.destroy_process_group()


def join(environment: Mapping[str, str] = os.environ) -> Group:
    """The group that torchrun's environment variables describe; without them this process alone.

    Returns when all have come.
    """
    rank, size, local_rank, local_size = (
        int(environment.get(name, default))
        for name, default in zip(GROUP_VARIABLES, (0, 1, 0, 1), strict=True)
    )
    if size == 1:
        return Group()
    with _connected():
        dist.init_process_group(
            _libraries(),
            environment.get(STORE_VARIABLE, "env://"),
            rank=rank,
            world_size=size,
            timeout=PATIENCE,
        )
    return JoinedGroup(rank, size, local_rank, local_size)


def _libraries() -> str:
    """What carries messages from where, in torch's words: gloo those of the CPU, and a GPU's own
    library those of GPUs, if there are any. Without these words torch would connect GPUs alone, and
    what the processes agree on lies on the CPU."""
    libraries = {"cpu": "gloo"}
    gpu = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    known = dist.Backend.default_device_backend_map
    if gpu is not None and gpu.type in known:
        libraries[gpu.type] = known[gpu.type]
    return ",".join(map(":".join, libraries.items()))


@contextmanager
def _connected() -> Generator[None]:
    """What torch raises where a connection breaks, by our name for it."""
    try:
        yield
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        # Its further sentences are torch's advice to look at the other process.
        said = str(error).partition(". ")[0]
        raise LostError(f"another process of the group has ended: {said}") from error


def _buckets(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    """Tensors that are sent together: of one kind, in their order, few messages in all."""
    found: list[list[Tensor]] = []
    for _, alike in groupby(tensors, key=lambda tensor: (tensor.dtype, tensor.device)):
        size = BUCKET
        for tensor in alike:
            if size + tensor.numel() > BUCKET:
                found.append([])
                size = 0
            found[-1].append(tensor)
            size += tensor.numel()
    return found


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])
