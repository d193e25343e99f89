"""What a training process gives the loop to validate with."""

from functools import cache, partial

from storage.examples import ExampleSet
from trm_model.evaluation.evaluate import evaluate
from trm_model.evaluation.fitting import fitting
from trm_model.model.batch import DeviceExamples
from trm_model.model.reasoner import Reasoner
from trm_model.training.recipe import Recipe
from trm_model.training.validation import Validated, Validation


def validator(examples: ExampleSet, recipe: Recipe) -> Validation:
    """Tests a model on ``examples``, on the device that it is on, as it will be tested after the
    training by ``recipe``. It raises ``NotFiniteError`` for logits that are not finite."""
    # On the device once, and not again at each validation.
    on_device = cache(partial(DeviceExamples, examples))

    def validate(reasoner: Reasoner, step: int) -> Validated:
        found = evaluate(
            reasoner,
            on_device(reasoner.answer_start.device),
            max_steps=recipe.max_steps,
            batch_size=fitting(reasoner, reasoner.variant.evaluation, recipe.batch_size),
            every_step=False,
        )
        right, labelled = found.right_cells[:, -1].sum(), found.labelled_cells.sum()
        return Validated(float(found.solved[:, -1].mean()), float(right / max(labelled, 1)), step)

    return validate
