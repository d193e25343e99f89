"""All cells together."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trm_model.errors import require
from trm_model.model.batch import Batch
from trm_model.model.evaluation import Evaluation
from trm_model.model.generations.generation import (
    Generation,
    Outputs,
    disturbed,
    update_at_test,
)
from trm_model.model.part import ModelView
from trm_model.model.starts.start import Start, random_latents
from trm_model.model.state import State
from trm_model.noise import Noise


@dataclass(frozen=True, slots=True)
class Parallel(Generation):
    """All cells are answered together (HRM, TRM, DRM); the halting head reads position 0 and judges
    the example.
    """

    name: ClassVar[str] = "parallel"

    def teacher(self, target: Tensor) -> Tensor | None:
        """See :class:`Generation`."""
        del target
        return None

    def judged(self, answer: Tensor, prefix: int) -> Tensor:
        """See :class:`Generation`."""
        del prefix
        return answer[:, 0]

    def judged_right(self, cell_right: Tensor, solved: Tensor) -> Tensor:
        """See :class:`Generation`."""
        del cell_right
        return solved

    def halting_loss(self, losses: Tensor, labelled: Tensor) -> Tensor:
        """See :class:`Generation`."""
        del labelled
        return losses

    def example_logits(self, halt_logits: Tensor, labelled: Tensor) -> Tensor:
        """See :class:`Generation`."""
        del labelled
        return halt_logits

    def require_evaluation(self, evaluation: Evaluation) -> None:
        """See :class:`Generation`."""
        require(
            not evaluation.of_cells,
            f"{evaluation.of_cells} with cells answered together: settings of variants that answer "
            "one cell after the other; leave them out, or test a variant with "
            "generation=autoregressive",
        )

    def rollout(
        self,
        model: ModelView,
        start: Start,
        batch: Batch,
        depth: int,
        evaluation: Evaluation,
        noise: Noise,
        end: int | None = None,
    ) -> Outputs:
        """See :class:`Generation`; nothing is saved by an end."""
        del end
        draws, inputs, rows = noise, batch.inputs, model.puzzle_rows[batch.puzzle_ids]
        first = start.initial(model, draws)
        if evaluation.random_start:
            first = State(first.answer, random_latents(model, draws))
        state, logits, update = first, None, update_at_test(start, evaluation)
        for step in range(depth):
            now = draws.at("step", step)
            state = start.before_test_step(model, state, logits, step, depth, rows, now, first)
            if evaluation.noise and evaluation.noise_at == "step":
                state = disturbed(state, evaluation.noise, now)
            output = model(inputs, rows, state, now, update=update)
            going = yield output
            if going is not None:
                # What an example draws and answers does not depend on the others.
                output, first, draws = output.at(going), first.at(going), draws.of(going)
                inputs, rows = inputs[going], rows[going]
            state, logits = output.state, output.logits
