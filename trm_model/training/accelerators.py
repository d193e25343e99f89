"""How long a training would take on GPUs that need not be here: computed from its operations.

The rate that is reached is a share of the data sheet's peak. The shares were measured on an H100
(docs/measurements.md, 2026-11-26, compiled, bfloat16, the papers' batch); for the other cards they
are assumed.
"""

from dataclasses import dataclass

from trm_model.model.mixers.token_mlp import TokenMlp
from trm_model.model.variant import Variant
from trm_model.texts import in_bytes
from trm_model.training.plan import Plan

MEASURED_ON = "H100"
SHARES = {TokenMlp.name: 0.21}
"""Mixer -> share of the peak that a training with it reached."""
SHARE = 0.33
"""With every other mixer: measured with attention."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A GPU by its data sheet.

    :param teraflops: dense bfloat16 products with float32 sums, in 10¹² operations a second.
    :param gibibytes: memory.
    """

    name: str
    teraflops: float
    gibibytes: float


ACCELERATORS = (
    Accelerator(name="H100", teraflops=989.4, gibibytes=80),
    Accelerator(name="H200", teraflops=989.4, gibibytes=141),
    Accelerator(name="RTX 4090", teraflops=165.2, gibibytes=24),
    Accelerator(name="L40S", teraflops=362.05, gibibytes=48),
)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a training is expected to take on GPUs of a kind, one for each process.

    :param count: of GPUs.
    :param hours: of training.
    :param share: of the peak that this supposes.
    :param measured: whether that share was measured on such a GPU; else it is assumed.
    :param memory_bytes: of each process.
    """

    accelerator: Accelerator
    count: int
    hours: float
    share: float
    measured: bool
    memory_bytes: int

    @property
    def fits(self) -> bool:
        """Whether the memory is enough for the examples that are computed at once."""
        return self.memory_bytes <= self.accelerator.gibibytes * 2**30

    def __str__(self) -> str:
        """On one line."""
        basis = "as measured on one" if self.measured else "assumed"
        hours = f"{self.hours:,.1f} h" if self.hours >= 0.1 else f"{60 * self.hours:.1f} min"
        memory = (
            ""
            if self.fits
            else "; too little memory for so many examples at once: give a smaller micro_batch"
        )
        several = f"{self.count} x " * (self.count > 1)
        return (
            f"{several}{self.accelerator.name} ({self.accelerator.gibibytes:g} GiB): "
            f"about {hours} and {in_bytes(self.memory_bytes)}, computed, at {self.share:.0%} of "
            f"its peak ({basis}){memory}"
        )


def expected(variant: Variant, plan: Plan) -> list[Expected]:
    """What a training would take on each of :data:`ACCELERATORS`, in bfloat16.

    :param plan: of a GPU.
    """
    share = SHARES.get(variant.mixer.name, SHARE)
    return [
        Expected(
            each,
            plan.processes,
            plan.flops / (share * each.teraflops * 1e12 * plan.processes) / 3600,
            share,
            each.name == MEASURED_ON,
            plan.memory_bytes,
        )
        for each in ACCELERATORS
    ]
