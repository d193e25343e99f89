"""The axis of where a training's figures go beside the run's own file, for people who follow many
trainings in one place."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from trm_model.choices import Choice
from trm_model.errors import ConfigurationError, require

Figures = Mapping[str, float]
"""Names of figures -> their values after a step."""
Send = Callable[[int, Figures], None]
"""Takes the step, counted from 1, and its figures."""


class Interrupted(Exception):  # noqa: N818 (nothing has gone wrong)
    """A training that stops before its end, and can go on."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """A training as a tracker knows it.

    :param name: of the run, unlike that of any other.
    :param group: what it is one of, such as its benchmark and variant.
    :param folder: of the run, for what is written on this machine.
    :param configuration: numbers and words by name, ``recipe.learning_rate`` for instance.
    :param step: after which it goes on; figures of later steps will be sent again.
    """

    name: str
    group: str
    folder: Path
    configuration: Mapping[str, Any]
    step: int = 0


class Tracker(Choice, axis=True):
    """Where the figures go. No training depends on it."""

    __slots__ = ()
    package: ClassVar[str]
    """What must be installed: the project's optional part ``trackers`` has it."""

    def require_installed(self) -> None:
        """Whether the package is there, found out without loading it.

        :raises ConfigurationError: it is not.
        """
        if find_spec(self.package) is None:
            raise missing(self)

    def follow(self, tracked: Tracked) -> AbstractContextManager[Send]:
        """Follow a training until the context ends, by :class:`Interrupted` where the training can
        go on, and by another exception where it has failed.

        :raises ConfigurationError: the package is not installed.
        """
        raise NotImplementedError


def missing(tracker: Tracker) -> ConfigurationError:
    """What is said where a tracker's package is not installed."""
    return ConfigurationError(
        f"tracker {tracker.name}: expected the package {tracker.package}, which is not installed; "
        "pip install 'trm-pipelines[trackers]', or leave the tracker out"
    )


def require_text(name: str, text: str) -> None:
    """Whether a setting that is a name or an address says something."""
    require(text.strip() != "", f"{name}={text!r}: expected a name; give one, or leave it out")
