"""The papers' start."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.model.part import ModelView
from trm_model.model.starts.start import Start, fixed_state
from trm_model.model.state import State
from trm_model.noise import Noise


@dataclass(frozen=True, slots=True)
class FixedStart(Start):
    """Every example starts from the same fixed vectors (HRM, TRM)."""

    name: ClassVar[str] = "fixed"

    def initial(self, model: ModelView, noise: Noise) -> State:
        """See :class:`Start`."""
        return fixed_state(model, noise)
