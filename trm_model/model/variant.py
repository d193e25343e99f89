"""What a model is: every choice that an ablation changes.

A variant is data. The named variants are in :mod:`trm_model.variants`. What depends on the
benchmark and not on the idea under study (width, steps, rates) is a
:class:`trm_model.training.recipe.Recipe`.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from trm_model.choices import changed, check_fields
from trm_model.errors import require
from trm_model.model.backprop.backprop import Backprop
from trm_model.model.backprop.last_cycles import LastCycles
from trm_model.model.curricula.constant import Constant
from trm_model.model.curricula.curriculum import Curriculum
from trm_model.model.evaluation import Evaluation
from trm_model.model.feed_forwards.dense import Dense
from trm_model.model.feed_forwards.feed_forward import FeedForward
from trm_model.model.generations.generation import Generation
from trm_model.model.generations.parallel import Parallel
from trm_model.model.haltings.bce import BinaryCrossEntropy
from trm_model.model.haltings.halting import Halting
from trm_model.model.mixers.mixer import Mixer
from trm_model.model.mixers.token_mlp import TokenMlp
from trm_model.model.part import Part
from trm_model.model.recursion import Recursion
from trm_model.model.solvers.iteration import Iteration
from trm_model.model.solvers.solver import Solver
from trm_model.model.starts.fixed import FixedStart
from trm_model.model.starts.start import Start
from trm_model.optimizers.optimizer import Optimizer

Networks = Literal["shared", "separate"]
Loss = Literal["stablemax", "softmax"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One model. Defaults are TRM with the token MLP (TRM, Table 1, first row).

    :param generation: the order in which cells are answered: together, or one after the other.
    :param mixer: how positions exchange information inside a block.
    :param feed_forward: what acts on channels in a block.
    :param layers: blocks per network.
    :param answer_layers: blocks of the answer's network where there are two; None: ``layers``.
    :param networks: ``shared``: one network updates latents and answer (TRM); ``separate``: two
        (HRM).
    :param latents: 0: a single feature, 1: ``y`` and ``z``, more: multi-scale (TRM, Table 2).
    :param latent_updates: latent calls per cycle, ``n``; 0 (with no latents): the one call of a
        cycle reads the question.
    :param cycles: cycles per supervision step, ``T``.
    :param solver: how a cycle's latent calls without gradient are used.
    :param backprop: which calls have a gradient.
    :param start: the state before the first supervision step.
    :param state_noise: standard deviation of normal noise added to the carried state after each
        training step (SPRM).
    :param deep_supervision: carry the state over several supervision steps; False: one step per
        example.
    :param curriculum: how the recursion changes during training.
    :param halting: when a carried example is replaced by a fresh one.
    :param loss: of the answer.
    :param tied: read the answer with the input embedding.
    :param optimizer: in place of the recipe's; None: the recipe's.
    :param ema: evaluate averaged weights (TRM §4.7; the recipe has the decay).
    :param evaluation: how the variant is tested unless told otherwise. Training does not depend on
        it.
    :raises ConfigurationError: for values that no model can have.
    """

    generation: Generation = Parallel()
    mixer: Mixer = TokenMlp()
    feed_forward: FeedForward = Dense()
    layers: int = 2
    answer_layers: int | None = None
    networks: Networks = "shared"
    latents: int = 1
    latent_updates: int = 6
    cycles: int = 3
    solver: Solver = Iteration()
    backprop: Backprop = LastCycles()
    start: Start = FixedStart()
    state_noise: float = 0.0
    deep_supervision: bool = True
    curriculum: Curriculum = Constant()
    halting: Halting = BinaryCrossEntropy()
    loss: Loss = "stablemax"
    tied: bool = False
    optimizer: Optimizer | None = None
    ema: bool = True
    evaluation: Evaluation = Evaluation()

    def __post_init__(self) -> None:
        check_fields(
            self,
            layers=(1, 1_000),
            answer_layers=(1, 1_000),
            latents=(0, 1_000),
            latent_updates=(0, 1_000),
            cycles=(1, 1_000),
            state_noise=0.0,
        )
        require(
            self.networks == "shared" or self.latent_updates > 0,
            "networks='separate' with latent_updates=0: the first network would never be called; "
            "use networks='shared'",
        )
        require(
            self.answer_layers is None or self.networks == "separate",
            f"answer_layers={self.answer_layers} with networks='shared': one network has one "
            "depth; use networks='separate'",
        )
        require(
            self.latent_updates >= self.latents,
            f"latents={self.latents} with latent_updates={self.latent_updates}: a cycle would "
            "never update some latents; use at least as many latent updates as latents",
        )
        require(
            self.carries_state or self.state_noise == 0.0,
            f"state_noise={self.state_noise}: one supervision step per example leaves nothing to "
            "go on with; use no state noise, or deep_supervision=True with a start that is carried",
        )
        # Asking raises where fewer calls are made than shall have a gradient.
        _ = self.recursion
        for part in self.parts():
            part.check(self)
        self.require_evaluation(self.evaluation)
        for _, cycles, updates in self.curriculum.stages():
            replace(self, curriculum=Constant(), cycles=cycles, latent_updates=updates)

    def require_evaluation(self, evaluation: Evaluation) -> None:
        """Whether a model of the variant can be tested so.

        :raises ConfigurationError: it cannot.
        """
        self.generation.require_evaluation(evaluation)
        require(
            self.latents > 0 or not evaluation.disturbances,
            f"{evaluation.disturbances} with latents=0: there is no latent that they are of; leave "
            "them out, or test a variant with latents",
        )

    def parts(self) -> list[Part]:
        """All choices that the variant is made of."""
        values = (getattr(self, field.name) for field in fields(self))
        return [value for value in values if isinstance(value, Part)]

    def identity(self) -> dict[str, Any]:
        """The fields that differ from their defaults and that training depends on, as plain
        data.
        """
        return changed(replace(self, evaluation=Evaluation()))

    def _recursion(self, cycles: int, latent_updates: int) -> Recursion:
        graded = self.backprop.graded_calls(cycles, latent_updates)
        return Recursion(cycles, latent_updates, graded)

    @property
    def recursion(self) -> Recursion:
        """The calls of a supervision step."""
        return self._recursion(self.cycles, self.latent_updates)

    def stages(self) -> list[tuple[float, Recursion]]:
        """The calls of a supervision step in the course of training, each until a share (0..1) of
        it is done; the last are those of :attr:`recursion`.
        """
        before = [
            (until, self._recursion(cycles, latent_updates))
            for until, cycles, latent_updates in self.curriculum.stages()
        ]
        return [*before, (1.0, self.recursion)]

    def stage(self, share: float) -> Recursion:
        """The calls of a supervision step after this share (0..1) of training."""
        return next(recursion for until, recursion in self.stages() if share <= until)

    @property
    def calls(self) -> int:
        """Network calls per supervision step: T (n + 1)."""
        return self.recursion.calls

    @property
    def graded_calls(self) -> int:
        """Network calls per supervision step that have a gradient, counted from the last."""
        return self.recursion.graded_calls

    @property
    def depth(self) -> int:
        """Layers applied per supervision step: the depth column of the papers' tables."""
        per_cycle = self.latent_updates * self.layers + (self.answer_layers or self.layers)
        return self.cycles * per_cycle

    @property
    def forward_passes(self) -> int:
        """Forward passes per optimizer step (TRM, Table 1): Q-learning needs a second one for its
        target.
        """
        return 2 if self.halting.looks_ahead else 1

    @property
    def carries_state(self) -> bool:
        """Whether training carries examples over several supervision steps."""
        return self.deep_supervision and self.start.carried

    @property
    def training_rollouts(self) -> int:
        """Starts per example in training, K."""
        return self.start.training_rollouts

    def training_steps(self, most: int) -> int:
        """Supervision steps after which a training example is replaced, given the recipe's
        ``max_steps``.
        """
        return most if self.carries_state else 1

    def test_steps(self, most: int, evaluation: Evaluation | None = None) -> int:
        """Supervision steps at test, given the recipe's ``max_steps``.

        :param evaluation: None: the variant's own.
        """
        depth = (evaluation or self.evaluation).depth
        if depth is not None:
            return depth
        return most if self.deep_supervision else 1
