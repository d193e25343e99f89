"""How a training runs: settings that change its speed, and its results only by rounding."""

from dataclasses import dataclass

from trm_model.errors import require


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How to run: changes speed, and results only by rounding.

    :param device: ``cpu``, ``cuda``, ``cuda:1``, …
    :param log_steps: optimizer steps per row of metrics.
    :param checkpoint_seconds: time between checkpoints.
    :param threads: of a CPU; sums depend on their number in the last bits; None: torch's choice.
    :param compile: let torch compile the networks (worth it on GPUs).
    """

    device: str = "cpu"
    log_steps: int = 50
    checkpoint_seconds: float = 60.0
    threads: int | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        for name in ("log_steps", "threads"):
            given = getattr(self, name)
            require(
                given is None or given >= 1,
                f"{name}={given}: expected a whole number of at least 1",
            )
        require(
            self.checkpoint_seconds >= 0,
            f"checkpoint_seconds={self.checkpoint_seconds}: expected 0 or more",
        )
        kind = self.device.partition(":")[0]
        require(
            kind in ("cpu", "cuda", "mps", "xpu"),
            f"device={self.device!r}: expected cpu, cuda or cuda:NUMBER (or mps, xpu)",
        )
