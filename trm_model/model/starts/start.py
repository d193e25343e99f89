"""The axis of the state that supervision steps start from."""

from typing import ClassVar

from torch import Tensor

from trm_model.model.part import ModelView, Part
from trm_model.model.state import State
from trm_model.noise import Noise


def everywhere(model: ModelView, vector: Tensor, noise: Noise) -> Tensor:
    """``vector`` [D] at every position of the examples that ``noise`` numbers: [B, P + L, D]."""
    shape = (len(noise.items), model.size.prefix + model.length, model.size.width)
    return vector.to(model.dtype).expand(shape)


def fixed_state(model: ModelView, noise: Noise) -> State:
    """The model's fixed vectors, the same for every example and position."""
    latents = (everywhere(model, latent, noise) for latent in model.latent_starts)
    return State(everywhere(model, model.answer_start, noise), tuple(latents))


def random_latents(model: ModelView, noise: Noise) -> tuple[Tensor, ...]:
    """Standard normal latents of the examples that ``noise`` numbers, each [B, P + L, D]."""
    shape = (model.size.prefix + model.length, model.size.width)
    return tuple(
        noise.normal(f"latent {number}", *shape).to(model.dtype)
        for number in range(len(model.latent_starts))
    )


class Start(Part, axis=True):
    """The state before the first supervision step, and what happens to it between steps and within
    them.
    """

    __slots__ = ()
    reads_answers: ClassVar[bool] = False
    """Whether answers are embedded again, by a table of their own."""

    @property
    def masks(self) -> bool:
        """Whether there is one more token, which hides a cell of an answer."""
        return False

    @property
    def carried(self) -> bool:
        """Whether training can carry an example's state from one optimizer step to the next."""
        return True

    @property
    def training_rollouts(self) -> int:
        """Starts per example in training, K."""
        return 1

    def require_grid(self, grid: tuple[int, int] | None, length: int) -> None:
        """Whether the start can do with what is known of the shape of the puzzles.

        :raises ConfigurationError: it cannot.
        """

    def initial(self, model: ModelView, noise: Noise) -> State:
        """The state before the first step of the examples (or of several starts of each) that
        ``noise`` numbers.
        """
        raise NotImplementedError

    def before_training_step(
        self,
        model: ModelView,
        state: State,
        target: Tensor,
        steps: Tensor,
        max_steps: int,
        rows: Tensor,
        noise: Noise,
    ) -> State:
        """What a training step starts from, given the carried ``state``.

        :param target: int64 [B, L], the right answers.
        :param steps: int64 [B], supervision steps that each example has had.
        :param rows: float32 [B, W], the examples' puzzle rows.
        """
        del model, target, steps, max_steps, rows, noise
        return state

    def before_test_step(
        self,
        model: ModelView,
        state: State,
        logits: Tensor | None,
        step: int,
        depth: int,
        rows: Tensor,
        noise: Noise,
        first: State,
    ) -> State:
        """What test step ``step`` of 0..depth - 1 starts from, given the ``state`` after the one
        before it.

        :param logits: float32 [B, L, V] of the step before; None before the first.
        :param first: the state before the first step.
        """
        del model, logits, step, depth, rows, noise, first
        return state

    def update(self, old: Tensor, new: Tensor, noise: Noise, call: int) -> Tensor:
        """The latent after network call ``call`` of a supervision step, from the latent before it
        and what the network gave, each [B, S, D].
        """
        del old, noise, call
        return new

    def damped(self, old: Tensor, new: Tensor, noise: Noise, call: int, share: float) -> Tensor:
        """As :meth:`update`, where a test takes another share of the update than training did."""
        return old.lerp(self.update(old, new, noise, call), share)
