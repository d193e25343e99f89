"""ARC: versions of a task vote on its answers."""

from typing import NamedTuple

import numpy as np

from trm_model.errors import require
from trm_model.model.evaluation import Evaluation
from trm_model.puzzles.arc.family import Arc
from trm_model.puzzles.arc.tasks import Task
from trm_model.puzzles.arc.tokens import to_tokens
from trm_model.puzzles.arc.votes import ATTEMPTS, Vote, vote
from trm_model.puzzles.family import Verdict
from trm_model.solving.trained import TrainedModel, Versions


class Attempt(NamedTuple):
    """One of the best voted answers to a test input: the vote, of how many, and whether it is
    right.
    """

    vote: Vote
    voters: int
    verdict: Verdict


def count_votes(
    model: TrainedModel, task: Task, versions: Versions, evaluation: Evaluation
) -> list[Vote]:
    """Votes on every test input of an ARC task, which is asked in each of ``versions``
    (:func:`trm_model.puzzles.arc.votes.vote`).
    """
    side = model.family.grid[0]
    asked = [
        (row, version, version.apply(pair.input)) for pair in task.test for row, version in versions
    ]
    inputs = np.stack([to_tokens(grid, side) for _, _, grid in asked])
    found, logits = model.steps(inputs, np.array([row for row, _, _ in asked]), evaluation)
    names = [version.name for _, version, _ in asked]
    return vote(names, inputs, found[:, -1], logits[:, -1], [task])


def solve_by_votes(
    model: TrainedModel, text: str, versions: Versions, evaluation: Evaluation
) -> list[Attempt]:
    """The first attempts at every test input of an ARC task by :func:`count_votes`.

    :param text: the task, in JSON.
    :raises ConfigurationError: a model that does not answer ARC tasks, or no versions.
    :raises ValueError: a text that is no task.
    """
    require(
        model.family.votes and bool(versions),
        f"votes: this model answers {model.family.name} and knows {len(versions)} versions of the "
        "task; expected ARC and at least one, leave the votes out",
    )
    arc = Arc(model.family.grid[0])
    task, questions = arc.read_task(text, versions[0][1].task)
    return [
        Attempt(found, len(versions), arc.compare(questions[found.test_input], found.grid))
        for found in count_votes(model, task, versions, evaluation)
        if found.rank <= ATTEMPTS
    ]
