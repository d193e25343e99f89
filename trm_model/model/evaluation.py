"""How a trained model is tested, as data; :mod:`trm_model.evaluation` carries it out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trm_model.choices import check_fields
from trm_model.errors import require
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
    :param noise: standard deviation of normal noise added to the latents (PTRM, arXiv 2605.19943:
        0.3).
    :param noise_at: when it is added: before each ``step`` (PTRM), or after each ``call`` that
        updates a latent (EqR, arXiv 2605.21488).
    :param random_start: latents start from standard normal numbers (SiC, arXiv 2601.19085; EqR),
        though the model may have been trained with fixed starts.
    :param damping: share of each latent update that is taken, ``z + damping (f - z)`` (EqR); None:
        as in training.
    :param selection: how one of the rollouts' answers is chosen.
    :param votes: ARC: let at most so many versions of each task vote on its answer; None: all.
    :param blank_ids: every example is answered with row 0 of the puzzle table, which belongs to no
        puzzle: what the model does without its memory of a task (ARC; elsewhere row 0 is all there
        is).
    :param stop_at_halting: a rollout stops, and keeps its answer, after the first step at which the
        variant's halting rule holds, which saves time; False: it takes all steps.
    :param halting_per_cell: where cells are answered one after the other, a cell is refined no more
        after its first step with a positive halting logit, which saves time; False: each takes all
        steps.
    :param keys_and_values: where cells are answered one after the other, which of a cell's keys and
        values later ones attend to: those of ``every_call``, as in training, or those of the
        ``last_cycle`` of its last step, which takes less memory.
    :param seed: of the random numbers at test.
    """

    split: Literal["train", "test"] = "test"
    depth: int | None = None
    rollouts: int = 1
    noise: float = 0.0
    noise_at: Literal["step", "call"] = "step"
    random_start: bool = False
    damping: float | None = None
    selection: Selection = HaltingLogit()
    votes: int | None = None
    blank_ids: bool = False
    stop_at_halting: bool = False
    halting_per_cell: bool = False
    keys_and_values: Literal["every_call", "last_cycle"] = "every_call"
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, depth=(1, 1_000_000), rollouts=(1, 1_000_000), noise=0.0, votes=1)
        require(
            self.damping is None or 0.0 < self.damping <= 1.0,
            f"damping={self.damping}: expected a share above 0 and up to 1; change damping",
        )

    @property
    def disturbances(self) -> str:
        """The settings that change what happens to the latents, as text; empty where none does."""
        settings = {
            "noise": self.noise or None,
            "random_start": self.random_start or None,
            "damping": self.damping,
        }
        return _given(settings)

    @property
    def of_cells(self) -> str:
        """The settings of single cells that differ from the defaults, as text; empty where none
        does."""
        kept = self.keys_and_values
        settings = {
            "halting_per_cell": self.halting_per_cell or None,
            "keys_and_values": kept if kept != "every_call" else None,
        }
        return _given(settings)


def _given(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items() if value is not None)
