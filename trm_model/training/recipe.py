"""How a benchmark's models are sized and trained: what stays the same while variants change."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from trm_model.errors import require
from trm_model.model.size import Precision, Size

OptimizerName = Literal["adamw", "adam_atan2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training recipe. Defaults: TRM on Sudoku-Extreme (TRM §5 and the authors' commands).

    :param steps: optimizer steps (one per supervision step).
    :param batch_size: examples per optimizer step.
    :param max_steps: most supervision steps per example; evaluation runs all of them.
    :param exploration: probability that an example may not halt before a step drawn from
        2..max_steps.
    :param learning_rate, weight_decay: of the network; ``puzzle_``…: of the puzzle rows (sign-SGD).
    :param warmup_steps: steps of linear warm-up; the rate is constant afterwards.
    :param optimizer: ``adamw``, or ``adam_atan2`` (scale-free: no epsilon).
    :param ema_decay: of the averaged weights, per optimizer step; short trainings want a shorter
        memory than the papers' 0.999.
    :param precision: of activations and matrix products; weights are kept in float32.
    """

    size: Size = field(default_factory=Size)
    steps: int = 65_000
    batch_size: int = 768
    max_steps: int = 16
    exploration: float = 0.1
    optimizer: OptimizerName = "adamw"
    betas: tuple[float, float] = (0.9, 0.95)
    learning_rate: float = 1e-4
    weight_decay: float = 1.0
    puzzle_learning_rate: float = 1e-4
    puzzle_weight_decay: float = 1.0
    warmup_steps: int = 2_000
    ema_decay: float = 0.999
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "max_steps"):
            given = getattr(self, name)
            require(
                isinstance(given, int) and given >= 1,
                f"{name}={given!r}: expected a whole number of at least 1",
            )
        require(self.warmup_steps >= 0, f"warmup_steps={self.warmup_steps}: expected 0 or more")
        require(
            0.0 <= self.exploration <= 1.0,
            f"exploration={self.exploration}: expected a probability",
        )
        require(
            0.0 < self.ema_decay < 1.0,
            f"ema_decay={self.ema_decay}: expected a number between 0 and 1",
        )
        require(
            self.learning_rate > 0.0,
            f"learning_rate={self.learning_rate}: expected a positive number",
        )
        for name in ("weight_decay", "puzzle_learning_rate", "puzzle_weight_decay"):
            require(getattr(self, name) >= 0.0, f"{name}={getattr(self, name)}: expected 0 or more")
        require(
            all(0.0 <= beta < 1.0 for beta in self.betas),
            f"betas={self.betas}: expected two numbers in [0, 1)",
        )
        for name, choices in (
            ("optimizer", get_args(OptimizerName)),
            ("precision", get_args(Precision)),
        ):
            require(
                getattr(self, name) in choices,
                f"{name}={getattr(self, name)!r}: expected one of {', '.join(choices)}",
            )


def recipe_to_dict(recipe: Recipe) -> dict[str, Any]:
    """Plain data (for JSON and hashing) from which :func:`recipe_from_dict` makes an equal
    recipe."""
    return {**asdict(recipe), "betas": list(recipe.betas)}


def recipe_from_dict(data: Mapping[str, Any]) -> Recipe:
    """The inverse of :func:`recipe_to_dict`.

    :raises ConfigurationError: unknown field, with those that exist.
    """
    for owner, given in ((Recipe, data), (Size, data.get("size", {}))):
        known = [f.name for f in fields(owner)]
        for name in given:
            require(
                name in known,
                f"unknown {owner.__name__.lower()} field {name!r}: expected one of "
                f"{', '.join(known)}",
            )
    changes = dict(data)
    if "size" in changes:
        changes["size"] = Size(**changes["size"])
    if "betas" in changes:
        changes["betas"] = tuple(changes["betas"])
    return Recipe(**changes)
