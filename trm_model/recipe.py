"""How a benchmark's models are sized and trained: what stays the same while variants change."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from trm_model.variant import require

OptimizerName = Literal["adamw", "adam_atan2"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Sizes of a model. Defaults: the papers' (HRM §3, TRM §5).

    :param width: D, of every position.
    :param heads: attention heads; must divide ``width``.
    :param expansion: SwiGLU inner width over its width, before the factor 2/3 and rounding up to a multiple of 256.
    :param prefix: P, leading positions filled from the puzzle's embedding row; 0: no puzzle embedding.
    :param puzzle_width: width of one row of the puzzle table, at most ``prefix * width``; the rest of the prefix is zero.
    """

    width: int = 512
    heads: int = 8
    expansion: float = 4.0
    prefix: int = 16
    puzzle_width: int = 512

    def __post_init__(self) -> None:
        require(self.width > 0 and self.heads > 0, f"width={self.width}, heads={self.heads}: expected positive whole numbers")
        require(
            self.width % (2 * self.heads) == 0,
            f"width={self.width} with heads={self.heads}: each head needs an even number of channels; make width a multiple of 2 * heads",
        )
        require(self.expansion > 0, f"expansion={self.expansion}: expected a positive number")
        require(
            0 <= self.puzzle_width <= self.prefix * self.width and (self.prefix == 0) == (self.puzzle_width == 0),
            f"puzzle_width={self.puzzle_width} with prefix={self.prefix}, width={self.width}: a row must fit into its "
            f"{self.prefix} positions ({self.prefix * self.width}); both are 0 for a model without puzzle embedding",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training recipe. Defaults: TRM on Sudoku-Extreme (TRM §5 and the authors' commands).

    :param steps: optimizer steps (one per supervision step).
    :param batch_size: examples per optimizer step.
    :param max_steps: most supervision steps per example; evaluation runs all of them.
    :param exploration: probability that an example may not halt before a step drawn from 2..max_steps.
    :param learning_rate, weight_decay: of the network; ``puzzle_``…: of the puzzle rows (sign-SGD).
    :param warmup_steps: steps of linear warm-up; the rate is constant afterwards.
    :param optimizer: ``adamw``, or ``adam_atan2`` (scale-free: no epsilon).
    :param ema_decay: of the averaged weights, per optimizer step; short trainings want a shorter memory than the papers' 0.999.
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
            require(isinstance(given, int) and given >= 1, f"{name}={given!r}: expected a whole number of at least 1")
        require(self.warmup_steps >= 0, f"warmup_steps={self.warmup_steps}: expected 0 or more")
        require(0.0 <= self.exploration <= 1.0, f"exploration={self.exploration}: expected a probability")
        require(0.0 < self.ema_decay < 1.0, f"ema_decay={self.ema_decay}: expected a number between 0 and 1")
        require(self.learning_rate > 0.0, f"learning_rate={self.learning_rate}: expected a positive number")
        for name in ("weight_decay", "puzzle_learning_rate", "puzzle_weight_decay"):
            require(getattr(self, name) >= 0.0, f"{name}={getattr(self, name)}: expected 0 or more")
        require(all(0.0 <= beta < 1.0 for beta in self.betas), f"betas={self.betas}: expected two numbers in [0, 1)")
        for name, choices in (("optimizer", get_args(OptimizerName)), ("precision", get_args(Precision))):
            require(getattr(self, name) in choices, f"{name}={getattr(self, name)!r}: expected one of {', '.join(choices)}")


def recipe_to_dict(recipe: Recipe) -> dict[str, Any]:
    """Plain data (for JSON and hashing) from which :func:`recipe_from_dict` makes an equal recipe."""
    return {**asdict(recipe), "betas": list(recipe.betas)}


def recipe_from_dict(data: Mapping[str, Any]) -> Recipe:
    """The inverse of :func:`recipe_to_dict`.

    :raises ConfigurationError: unknown field, with those that exist.
    """
    for owner, given in ((Recipe, data), (Size, data.get("size", {}))):
        known = [f.name for f in fields(owner)]
        for name in given:
            require(name in known, f"unknown {owner.__name__.lower()} field {name!r}: expected one of {', '.join(known)}")
    changes = dict(data)
    if "size" in changes:
        changes["size"] = Size(**changes["size"])
    if "betas" in changes:
        changes["betas"] = tuple(changes["betas"])
    return Recipe(**changes)
