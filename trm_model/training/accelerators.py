"""How long a training would take on GPUs that need not be here: computed from its operations.

The rate that is reached is a share of the data sheet's peak. The shares were measured (compiled,
bfloat16, the papers' batch): on an H200 with programs of our own, which serve plain SwiGLU alone
(docs/measurements.md, 2026-11-27), and on an H100 before there were any (2026-11-26); for other
cards and models they are assumed.
"""

from bisect import bisect_left
from dataclasses import dataclass, replace

from storage.examples import Header
from trm_model.model.feed_forwards.dense import Dense
from trm_model.model.kernels.gpu_swiglu import serves_sizes
from trm_model.model.mixers.token_mlp import TokenMlp
from trm_model.model.variant import Variant
from trm_model.texts import duration, in_bytes
from trm_model.training.execution import Execution
from trm_model.training.memory import memory_bytes
from trm_model.training.plan import plan
from trm_model.training.recipe import Recipe

MEASURED_ON = "H200"
SHARES = {True: 0.38, False: 0.33}
"""Whether programs serve a model -> share of the peak that a training with attention reached, which
is taken for every mixer but the next."""
TOKEN_MLP_SHARES = {True: 0.37, False: 0.21}
"""The same with a token MLP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A GPU.

    :param teraflops: by its data sheet: dense bfloat16 products with float32 sums, in 10¹²
        operations a second.
    :param gibibytes: memory that torch finds there.
    :param programs: whether it has programs of our own (:mod:`trm_model.model.kernels.gpu_swiglu`).
    """

    name: str
    teraflops: float
    gibibytes: float
    programs: bool = False


ACCELERATORS = (
    Accelerator(name="H100", teraflops=989.4, gibibytes=79, programs=True),
    Accelerator(name="H200", teraflops=989.4, gibibytes=139, programs=True),
    Accelerator(name="RTX 4090", teraflops=165.2, gibibytes=23.6),
    Accelerator(name="L40S", teraflops=362.05, gibibytes=44.4),
)

FILLED = 0.9
"""Share of a card's memory that a plan may fill: what was measured is up to a tenth above it."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a training is expected to take on GPUs of a kind, one for each process.

    :param count: of GPUs.
    :param hours: of training.
    :param programs: whether programs of our own serve the model there.
    :param share: of the peak that this supposes.
    :param measured: whether that share was measured on such a GPU; else it is assumed.
    :param memory_bytes: of each process.
    :param remedy: settings with which the memory is enough; empty where it is.
    """

    accelerator: Accelerator
    count: int
    hours: float
    programs: bool
    share: float
    measured: bool
    memory_bytes: int
    remedy: str

    def __str__(self) -> str:
        """On one line."""
        basis = "as measured on one" if self.measured else "assumed"
        programs = " with programs of our own" if self.programs else ""
        memory = f"; above {FILLED:.0%} of it: give {self.remedy}" if self.remedy else ""
        several = f"{self.count} x " * (self.count > 1)
        return (
            f"{several}{self.accelerator.name} ({self.accelerator.gibibytes:g} GiB): "
            f"about {duration(3600 * self.hours)} and {in_bytes(self.memory_bytes)}{programs}, "
            f"computed, at {self.share:.0%} of "
            f"its peak ({basis}){memory}"
        )


def _remedy(
    variant: Variant,
    recipe: Recipe,
    header: Header,
    execution: Execution,
    examples: int,
    card: Accelerator,
) -> str:
    """With what the training fits into the card's memory: the fewest equal parts of a process's
    share of the batch, before calls are computed again; empty if it fits as it is."""

    def fits(execution: Execution) -> bool:
        needed = memory_bytes(
            variant, recipe, header, execution, examples=examples, programs=card.programs
        )
        return needed <= FILLED * card.gibibytes * 2**30

    if fits(execution):
        return ""
    share, at_once = recipe.batch_size // execution.processes, execution.at_once(recipe.batch_size)
    parts = [part for part in range(1, at_once + 1) if share % part == 0]
    for recompute in dict.fromkeys((execution.recompute, True)):
        ways = [replace(execution, micro_batch=part, recompute=recompute) for part in parts]
        # The smaller the parts, the less they need.
        count = bisect_left(ways, True, key=lambda way: not fits(way))
        if count:
            fewer = f"micro_batch={parts[count - 1]}" * (parts[count - 1] < at_once)
            again = "recompute=true" * (recompute and not execution.recompute)
            return " and ".join(filter(None, (fewer, again)))
    return "a smaller batch_size or width in the recipe, or more processes"


def expected(
    variant: Variant, recipe: Recipe, header: Header, execution: Execution, examples: int = 0
) -> list[Expected]:
    """What a training would take on each of :data:`ACCELERATORS`, in bfloat16.

    :param examples: see :func:`memory_bytes`.
    :raises ConfigurationError: the variant cannot have the size.
    """
    mixes = variant.mixer.name == TokenMlp.name
    shares = TOKEN_MLP_SHARES if mixes else SHARES
    positions = recipe.size.prefix + header.length if mixes else None
    plain = variant.feed_forward.name == Dense.name
    served = plain and serves_sizes(recipe.size.width, positions)
    on_gpu = replace(execution, device="cuda")
    plans = {
        each: plan(variant, recipe, header, on_gpu, examples=examples, programs=each)
        for each in shares
    }

    def on(each: Accelerator) -> Expected:
        takes, programs = plans[each.programs], each.programs and served
        return Expected(
            each,
            takes.processes,
            takes.flops / (shares[programs] * each.teraflops * 1e12 * takes.processes) / 3600,
            programs,
            shares[programs],
            programs and each.name == MEASURED_ON,
            takes.memory_bytes,
            _remedy(variant, recipe, header, on_gpu, examples, each),
        )

    return [on(each) for each in ACCELERATORS]
