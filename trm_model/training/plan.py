"""What a training takes, known before it starts."""

from dataclasses import dataclass, replace

from storage.examples import Header
from trm_model.model.cost import Cost, cost
from trm_model.model.variant import Variant
from trm_model.texts import in_bytes, in_operations
from trm_model.training.execution import Execution
from trm_model.training.memory import memory_bytes
from trm_model.training.optimizers import warmup
from trm_model.training.recipe import Recipe


def cost_of(variant: Variant, recipe: Recipe, header: Header, *, recompute: bool = False) -> Cost:
    """What a variant costs by a recipe on a data set.

    :param recompute: see :class:`Execution`.
    :raises ConfigurationError: the variant cannot have the size.
    """
    return cost(
        variant,
        recipe.size,
        vocabulary=len(header.vocabulary),
        length=header.length,
        grid=header.grid,
        num_puzzles=header.num_puzzle_ids,
        batch_size=recipe.batch_size,
        max_steps=recipe.max_steps,
        recompute=recompute,
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training takes.

    :param steps: optimizer steps.
    :param batch_size: examples per step.
    :param parameters, puzzle_parameters: trained numbers in all, and those that are puzzle rows.
    :param flops: floating-point operations of all steps.
    :param processes: that train together.
    :param at_once: examples of which a process computes losses and gradients together.
    :param device: on which it trains.
    :param memory_bytes: of each process (:func:`memory_bytes`).
    :param highest_rate: share of the full rates that the warm-up reaches.
    """

    steps: int
    batch_size: int
    parameters: int
    puzzle_parameters: int
    flops: int
    processes: int
    at_once: int
    device: str
    memory_bytes: int
    highest_rate: float

    def __str__(self) -> str:
        """On one line."""
        share = self.batch_size // self.processes
        parts = f", {self.at_once:,} at once" if self.at_once < share else ""
        each = f" for each of {self.processes} processes" if self.processes > 1 else ""
        rising = (
            f"; all of it is warm-up, to {self.highest_rate:.0%} of the full rates"
            if self.highest_rate < 1.0
            else ""
        )
        return (
            f"{self.steps:,} steps of {self.batch_size:,} examples{parts}; "
            f"{self.parameters:,} parameters "
            f"({self.parameters - self.puzzle_parameters:,} without puzzle rows); "
            f"{in_operations(self.flops)} in all; about {in_bytes(self.memory_bytes)} of memory on "
            f"{self.device}{each}{rising}"
        )


def plan(
    variant: Variant,
    recipe: Recipe,
    header: Header,
    execution: Execution,
    *,
    examples: int = 0,
    programs: bool | None = None,
) -> Plan:
    """What the training of a variant by a recipe takes on a data set.

    :param examples, programs: see :func:`memory_bytes`.
    :raises ConfigurationError: the variant cannot have the size.
    """
    found = cost_of(variant, recipe, header, recompute=execution.recompute)
    return Plan(
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        parameters=found.parameters,
        puzzle_parameters=found.puzzle_parameters,
        flops=recipe.steps * found.training_flops,
        processes=execution.processes,
        at_once=execution.at_once(recipe.batch_size),
        device=execution.device,
        memory_bytes=memory_bytes(
            variant, recipe, header, execution, examples=examples, programs=programs
        ),
        highest_rate=warmup(recipe.steps, recipe.warmup_steps),
    )


def smaller(
    variant: Variant, recipe: Recipe, header: Header, execution: Execution, examples: int = 0
) -> str:
    """Which settings make a training take less memory, and how much it takes with them.

    :param examples: see :func:`memory_bytes`.
    """

    def needed(execution: Execution) -> int:
        return memory_bytes(variant, recipe, header, execution, examples=examples)

    at_once = execution.at_once(recipe.batch_size)
    fewer = replace(execution, micro_batch=max(1, at_once // 2))
    ways = {
        f"micro_batch={fewer.micro_batch} (it is {at_once})": fewer,
        "recompute=true": replace(execution, recompute=True),
        f"micro_batch={fewer.micro_batch} and recompute=true": replace(fewer, recompute=True),
    }
    planned = needed(execution)
    takes = {way: needed(each) for way, each in ways.items()}
    less = [f"{in_bytes(found)} with {way}" for way, found in takes.items() if found < planned]
    lower = ", ".join(less) or "a smaller width in the recipe's size takes less"
    return f"lower what this training takes, about {in_bytes(planned)}: {lower}"
