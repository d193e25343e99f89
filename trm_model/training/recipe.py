"""How a benchmark's models are trained: what stays the same while variants change."""

from dataclasses import dataclass
from typing import Literal

from trm_model.choices import check_fields
from trm_model.errors import require
from trm_model.model.size import Precision, Size
from trm_model.optimizers.adamw import AdamW
from trm_model.optimizers.optimizer import Optimizer
from trm_model.schedules.constant import Constant
from trm_model.schedules.schedule import Schedule
from trm_model.training.losses import HALTING_WEIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training recipe. Defaults: TRM on Sudoku-Extreme (TRM §5 and the authors' commands).

    :param size: of the model.
    :param steps: optimizer steps (one per supervision step).
    :param batch_size: examples per optimizer step.
    :param puzzles: train on the first so many puzzles of the data set alone, each with all its
        versions; None: on all of them.
    :param max_steps: most supervision steps per example; evaluation runs all of them.
    :param exploration: probability that an example may not halt before a step drawn from
        2..max_steps.
    :param optimizer: of the network's weights, where the variant has none of its own.
    :param embedding_optimizer: of all weights that are no matrices of the networks: embeddings,
        heads and vectors; None: the same as theirs. One that takes matrices alone, such as Muon,
        needs it.
    :param betas: of the optimizer: how slowly its means of gradients and of their squares move.
    :param learning_rate, weight_decay: of the network.
    :param embedding_learning_rate, embedding_weight_decay: of all weights that are no matrices of
        the networks; None: the same as theirs.
    :param puzzle_learning_rate, puzzle_weight_decay: of the puzzle rows (sign-SGD).
    :param warmup_steps: steps of linear warm-up.
    :param schedule: of all rates after the warm-up.
    :param clip_norm: most length of the gradient of all weights together, the puzzle rows left out
        (whose steps have one size); a longer one is shortened to it; None: it is taken as it is.
    :param label_smoothing: share of a cell's target that is spread evenly over the vocabulary.
    :param smooth_padding: whether the padding token has its part of that share; SiC's code for
        mazes leaves it out (arXiv 2601.19085). Only with ``label_smoothing``.
    :param halting_weight: of the halting losses beside the answer loss.
    :param on_nonfinite: what a loss or gradient that is not finite does. ``stop``: the training
        ends, and keeps the checkpoint before. ``skip``: that step changes nothing, and its examples
        give way to fresh ones; it takes a copy of all weights at each step. ``rewind``: the
        training goes back to its last checkpoint, and on from there with another order and other
        draws.
    :param patience: end the training once the accuracy on validation puzzles has not risen for so
        many optimizer steps; when that is noticed depends on ``validate_steps``, which is not part
        of the recipe; None: train all steps.
    :param ema_decay: of the averaged weights, per optimizer step; short trainings want a shorter
        memory than the papers' 0.999.
    :param ema_start: optimizer steps before the average begins; until then it is the weights
        themselves. 0: it begins with the first weights. A training that ends before averages
        nothing, so that a shortened one can still be tried; neither does a variant without an
        average (``ema: false``).
    :param precision: of activations and matrix products; weights are kept in float32.
    """

    size: Size = Size()
    steps: int = 65_000
    batch_size: int = 768
    puzzles: int | None = None
    max_steps: int = 16
    exploration: float = 0.1
    optimizer: Optimizer = AdamW()
    embedding_optimizer: Optimizer | None = None
    betas: tuple[float, float] = (0.9, 0.95)
    learning_rate: float = 1e-4
    weight_decay: float = 1.0
    embedding_learning_rate: float | None = None
    embedding_weight_decay: float | None = None
    puzzle_learning_rate: float = 1e-4
    puzzle_weight_decay: float = 1.0
    warmup_steps: int = 2_000
    schedule: Schedule = Constant()
    clip_norm: float | None = None
    label_smoothing: float = 0.0
    smooth_padding: bool = True
    halting_weight: float = HALTING_WEIGHT
    on_nonfinite: Literal["stop", "skip", "rewind"] = "stop"
    patience: int | None = None
    ema_decay: float = 0.999
    ema_start: int = 0
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        check_fields(
            self,
            steps=1,
            batch_size=(1, 1_000_000),
            puzzles=1,
            max_steps=(1, 1_000_000),
            warmup_steps=0,
            patience=1,
            ema_start=0,
            weight_decay=0.0,
            embedding_learning_rate=0.0,
            embedding_weight_decay=0.0,
            puzzle_learning_rate=0.0,
            puzzle_weight_decay=0.0,
            halting_weight=0.0,
        )
        require(
            self.optimizer.takes_all or self.embedding_optimizer is not None,
            f"optimizer={self.optimizer}: it takes the networks' matrices only; give "
            "embedding_optimizer for the rest, such as adamw",
        )
        require(
            self.embedding_optimizer is None or self.embedding_optimizer.takes_all,
            f"embedding_optimizer={self.embedding_optimizer}: it takes the networks' matrices "
            "only; give another one, such as adamw",
        )
        require(
            self.clip_norm is None or self.clip_norm > 0.0,
            f"clip_norm={self.clip_norm}: expected a positive number, or nothing",
        )
        require(
            0.0 <= self.label_smoothing < 1.0,
            f"label_smoothing={self.label_smoothing}: expected a share from 0 to below 1",
        )
        require(
            self.smooth_padding or self.label_smoothing > 0.0,
            "smooth_padding=False with label_smoothing=0: expected a share that padding can be "
            "left out of; give label_smoothing above 0, or leave smooth_padding out",
        )
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
        require(
            all(0.0 <= beta < 1.0 for beta in self.betas),
            f"betas={self.betas}: expected two numbers in [0, 1)",
        )

    def require_schedule(self) -> None:
        """Whether the schedule has steps in which the rates change. Asked of new trainings; stored
        ones may be all warm-up.

        :raises ConfigurationError: it has none.
        """
        require(
            not self.schedule.depends_on_steps or self.warmup_steps < self.steps,
            f"warmup_steps={self.warmup_steps} of steps={self.steps}, and "
            f"schedule={self.schedule.name}: expected steps after the warm-up, in which the rates "
            "change; lower warmup_steps, or give schedule=constant",
        )
