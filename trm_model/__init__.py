"""Tiny recursive reasoning models (HRM, TRM, DRM): what they are, how they are trained, what they
answer.

A puzzle is a grid of tokens. A model reads it, then improves an answer to it in supervision steps.
The names below are imported when they are first used, so that ``import trm_model`` is quick.

``load`` reads a trained model: a pretrained one by its name, a run's folder, a checkpoint in it, or
a file of the authors'.

>>> import trm_model
>>> model = trm_model.load(run)  # such as "data/runs/sudoku_4x4/trm_mlp/0/current"

``TrainedModel`` is what it returns. It solves a puzzle given as text or as a file, and predicts
many. A solution, printed, is its drawing and whether it is right.

>>> solution = model.solve("1.......4......2")
>>> solution.answers.shape  # after each of 4 supervision steps, 16 cells
(4, 16)
>>> model.predict(["1.......4......2", ".1..42132....3.2"], depth=8).shape
(2, 16)

``Variant`` is what a model is: every choice that an ablation changes.

>>> trm_model.Variant(cycles=2).calls  # T (n + 1), the network's calls in a supervision step
14

``VARIANTS`` holds the variants that have a name: those of the papers, and one for each ablation.

>>> trm_model.VARIANTS["hrm"].layers
4

``Size`` is how large a model is.

>>> trm_model.Size(width=64, heads=2, puzzle_width=64).expansion
4.0

``Recipe`` is how a model is trained: steps, batch, optimizer, rates.

>>> trm_model.Recipe(steps=500, learning_rate=1e-3).batch_size
768

``Evaluation`` is how a trained model is tested: depth, rollouts, noise, how one answer is chosen.

>>> trm_model.Evaluation(depth=64, rollouts=8).selection
HaltingLogit()

``RunSpec`` is one training as data: benchmark, variant, recipe, seed, data, code.

>>> from pathlib import Path
>>> trm_model.RunSpec.read(Path(run)).variant_name
'trm_mlp'

``cost`` counts a variant's parameters and floating-point operations.

>>> trm_model.cost(trm_model.VARIANTS["trm_mlp"], trm_model.Size(), vocabulary=11, length=81).depth
42

``ConfigurationError`` is raised for a configuration that cannot be. Its one line says what was
given, what was expected and what to change.

>>> trm_model.Variant(cycles=0)
Traceback (most recent call last):
    ...
trm_model.errors.ConfigurationError: cycles=0: expected a whole number of at least 1; change cycles
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trm_model.errors import ConfigurationError
    from trm_model.model.cost import cost
    from trm_model.model.evaluation import Evaluation
    from trm_model.model.size import Size
    from trm_model.model.variant import Variant
    from trm_model.solving.loading import load
    from trm_model.solving.trained import TrainedModel
    from trm_model.training.recipe import Recipe
    from trm_model.training.run import RunSpec
    from trm_model.variants import VARIANTS

__all__ = [
    "VARIANTS",
    "ConfigurationError",
    "Evaluation",
    "Recipe",
    "RunSpec",
    "Size",
    "TrainedModel",
    "Variant",
    "cost",
    "load",
]

# Where each name is defined: the same as under TYPE_CHECKING above, for the running program.
_HOMES = {
    "VARIANTS": "trm_model.variants:VARIANTS",
    "ConfigurationError": "trm_model.errors:ConfigurationError",
    "TrainedModel": "trm_model.solving.trained:TrainedModel",
    "Evaluation": "trm_model.model.evaluation:Evaluation",
    "Recipe": "trm_model.training.recipe:Recipe",
    "RunSpec": "trm_model.training.run:RunSpec",
    "Size": "trm_model.model.size:Size",
    "Variant": "trm_model.model.variant:Variant",
    "cost": "trm_model.model.cost:cost",
    "load": "trm_model.solving.loading:load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
