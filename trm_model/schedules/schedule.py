"""The axis of how the rates change while a training goes on."""

from typing import ClassVar

from trm_model.choices import Choice


class Schedule(Choice, axis=True):
    """How the rates of the weights and of the puzzle rows change after the warm-up."""

    __slots__ = ()
    depends_on_steps: ClassVar[bool] = True
    """Whether the rates of a training's first steps depend on how many steps there will be."""

    def factor(self, share: float) -> float:
        """What the rates are multiplied by.

        :param share: of the steps after the warm-up that are taken, this one included: just above 0
            at the first of them, 1 at the training's last step.
        """
        raise NotImplementedError
