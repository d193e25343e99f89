"""How a training runs: settings that change its speed, and its results only by rounding, but for
the moment at which patience ends it."""

from dataclasses import dataclass

from trm_model.choices import check_fields
from trm_model.devices import following, require_name
from trm_model.errors import require
from trm_model.training.checkpoint import KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How to run: changes speed, and results only by rounding. Where the recipe has patience, the
    moment at which it ends depends on ``validate_steps`` and ``log_steps`` too, which are part of
    the run's key then.

    :param device: ``cpu``, ``cuda``, ``cuda:1``, …
    :param log_steps: optimizer steps per row of metrics; progress is reported by the newest row, at
        most every 10 seconds.
    :param checkpoint_seconds: time between checkpoints; longer where writing one takes longer.
    :param keep_checkpoints: how many of the newest are kept, beside the best one.
    :param validate_steps: optimizer steps between two validations, where there are puzzles to
        validate with: each is made with the first row of metrics that is due, and with the last;
        0: there is none.
    :param threads: of a CPU, all processes together; sums depend on their number in the last bits;
        None: torch's choice.
    :param compile: let torch compile the networks (worth it on GPUs).
    :param processes: that train together, each on an equal share of every batch, on GPUs each on
        its own: the device and those after it.
    :param micro_batch: examples of which a process computes losses and gradients at once, which are
        summed over the batch before the weights change, to save memory; None: all of its share.
    :param recompute: save memory: keep for the gradient no more than the input of each network
        call, and compute the call again when its gradient is due.
    :raises ConfigurationError: a value that cannot be.
    """

    device: str = "cpu"
    log_steps: int = 50
    checkpoint_seconds: float = 60.0
    keep_checkpoints: int = KEEP
    validate_steps: int = 250
    threads: int | None = None
    compile: bool = False
    processes: int = 1
    micro_batch: int | None = None
    recompute: bool = False

    def __post_init__(self) -> None:
        check_fields(
            self,
            log_steps=1,
            checkpoint_seconds=0.0,
            keep_checkpoints=1,
            validate_steps=0,
            threads=1,
            processes=(1, 1_000),
            micro_batch=(1, 1_000_000),
        )
        require_name(self.device)

    @property
    def devices(self) -> list[str]:
        """The devices that the processes compute on, each once."""
        return list(dict.fromkeys(following(self.device, n) for n in range(self.processes)))

    def require_batch(self, batch_size: int) -> None:
        """Whether the processes can have equal shares of a batch.

        :raises ConfigurationError: they cannot.
        """
        require(
            batch_size % self.processes == 0,
            f"batch_size={batch_size} with processes={self.processes}: expected equal shares; give "
            f"a batch_size that is a multiple of {self.processes}, or other processes",
        )

    def at_once(self, batch_size: int) -> int:
        """Examples of a batch whose activations a process holds at once."""
        share = batch_size // self.processes
        return share if self.micro_batch is None else min(self.micro_batch, share)


def most_shares(batch_size: int, most: int) -> int:
    """The largest number of processes, up to ``most``, that can have equal shares of a batch."""
    return max(count for count in range(1, most + 1) if batch_size % count == 0)
