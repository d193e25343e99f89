"""How often a supervision step calls its networks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recursion:
    """T cycles of n latent calls and one answer call (TRM, Figure 3).

    :param cycles: T.
    :param latent_updates: n.
    :param graded_calls: calls with a gradient, counted from the last.
    """

    cycles: int
    latent_updates: int
    graded_calls: int

    @property
    def calls(self) -> int:
        """Network calls per supervision step: T (n + 1)."""
        return self.cycles * (self.latent_updates + 1)
