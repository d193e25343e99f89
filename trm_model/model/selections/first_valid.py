"""Selection by the rules of the puzzle."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.model.selections.selection import Judged, Selection, Tries, earliest


@dataclass(frozen=True, slots=True)
class FirstValid(Selection):
    """The first answer that the family's verifier accepts, of any step and rollout. Where it has
    accepted none yet, the rollout with the highest halting logit answers.

    It is no ability of the model's: whoever can verify could search.
    """

    name: ClassVar[str] = "first_valid"
    uses_verifier: ClassVar[bool] = True

    def select(self, tries: Tries) -> Judged:
        """See :class:`Selection`.

        :raises ValueError: there is no verifier.
        """
        if tries.valid is None:
            raise ValueError("selection=FirstValid() of answers that nobody has verified")
        return earliest(tries.valid, tries.now.halt_logits)
