"""No curriculum."""

from dataclasses import dataclass
from typing import ClassVar

from trm_model.model.curricula.curriculum import Curriculum


@dataclass(frozen=True, slots=True)
class Constant(Curriculum):
    """The same recursion from the first optimizer step to the last (HRM, TRM)."""

    name: ClassVar[str] = "constant"
