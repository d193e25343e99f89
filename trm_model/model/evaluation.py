"""How a trained model is tested, as data; :mod:`trm_model.evaluation` carries it out."""

from dataclasses import dataclass
from typing import Literal

from trm_model.choices import check_fields
from trm_model.model.selections.halting_logit import HaltingLogit
from trm_model.model.selections.selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One way of testing a checkpoint. The defaults are the papers': one rollout for as many
    supervision steps as training has, and the answer after the last of them.

    :param split: of the data set that is asked.
    :param depth: supervision steps at test, which may exceed those of training; None: as many as
        in training (16 in the papers; 1 for a variant without deep supervision).
    :param rollouts: tries per example, K, each with random numbers of its own.
    :param noise: standard deviation of normal noise added to the latents before each step (PTRM,
        arXiv 2605.19943: 0.3).
    :param selection: how one of the rollouts' answers is chosen.
    :param votes: ARC: let at most so many versions of each task vote on its answer; None: all.
    :param stop_at_halting: an example keeps the answer of the first step at which the variant's
        halting rule holds; False: the answer of the last step.
    :param seed: of the random numbers at test.
    """

    split: Literal["train", "test"] = "test"
    depth: int | None = None
    rollouts: int = 1
    noise: float = 0.0
    selection: Selection = HaltingLogit()
    votes: int | None = None
    stop_at_halting: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, depth=(1, 1_000_000), rollouts=(1, 1_000_000), noise=0.0, votes=1)
