"""How a training runs: settings that change its speed, and its results only by rounding."""

from dataclasses import dataclass

from trm_model.choices import check_fields
from trm_model.devices import require_name
from trm_model.training.checkpoint import KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How to run: changes speed, and results only by rounding.

    :param device: ``cpu``, ``cuda``, ``cuda:1``, …
    :param log_steps: optimizer steps per row of metrics; progress is reported by the newest row, at
        most every 10 seconds.
    :param checkpoint_seconds: time between checkpoints; longer where writing one takes longer.
    :param keep_checkpoints: how many of the newest are kept, beside the best one.
    :param validate_steps: optimizer steps between two validations, where there are puzzles to
        validate with: each is made with the first row of metrics that is due, and with the last;
        0: there is none.
    :param threads: of a CPU; sums depend on their number in the last bits; None: torch's choice.
    :param compile: let torch compile the networks (worth it on GPUs).
    :raises ConfigurationError: a value that cannot be.
    """

    device: str = "cpu"
    log_steps: int = 50
    checkpoint_seconds: float = 60.0
    keep_checkpoints: int = KEEP
    validate_steps: int = 250
    threads: int | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        check_fields(
            self,
            log_steps=1,
            checkpoint_seconds=0.0,
            keep_checkpoints=1,
            validate_steps=0,
            threads=1,
        )
        require_name(self.device)
