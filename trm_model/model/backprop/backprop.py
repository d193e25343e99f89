"""The axis of which network calls of a supervision step have a gradient."""

from trm_model.model.part import Part


class Backprop(Part, axis=True):
    """Which network calls of a supervision step have a gradient: its last ones."""

    __slots__ = ()

    def graded_calls(self, cycles: int, latent_updates: int) -> int:
        """Calls with a gradient, counted from the last of ``cycles * (latent_updates + 1)``.

        :raises ConfigurationError: more than there are.
        """
        raise NotImplementedError
