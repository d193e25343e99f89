"""A training's figures sent to all its trackers; one that fails is told of and left out."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager

from storage.reading import one_line
from trm_model.errors import ConfigurationError
from trm_model.trackers.tracker import Figures, Send, Tracked, Tracker


@contextmanager
def following(
    trackers: Sequence[Tracker], tracked: Tracked, report: Callable[[str], None]
) -> Generator[Send]:
    """Follow a training with all ``trackers``. What goes wrong there does not end it.

    :param report: told which tracker has failed, once each.
    :raises ConfigurationError: a package is not installed.
    """
    sends: dict[Tracker, Send] = {}
    left = ExitStack()

    lost: set[Tracker] = set()

    def failed(tracker: Tracker, error: Exception) -> None:
        sends.pop(tracker, None)
        if tracker not in lost:  # It may fail again when it is left.
            lost.add(tracker)
            report(f"tracker {tracker.name}: {one_line(error)}; the training goes on without it")

    def send(step: int, figures: Figures) -> None:
        for tracker, each in list(sends.items()):
            try:
                each(step, figures)
            except Exception as error:  # noqa: BLE001 (whatever it is, the training is sound)
                failed(tracker, error)

    with left:
        for tracker in trackers:
            try:
                sends[tracker] = left.enter_context(_told(tracker, tracked, failed))
            except ConfigurationError:
                raise
            except Exception as error:  # noqa: BLE001
                failed(tracker, error)
        yield send


@contextmanager
def _told(
    tracker: Tracker, tracked: Tracked, failed: Callable[[Tracker, Exception], None]
) -> Generator[Send]:
    """Follow with one tracker; what fails when it ends is told and not raised."""
    stack = ExitStack()
    send = stack.enter_context(tracker.follow(tracked))
    ending: BaseException | None = None
    try:
        yield send
    except BaseException as error:
        ending = error
        raise
    finally:
        try:
            stack.__exit__(type(ending) if ending else None, ending, None)
        except Exception as error:  # noqa: BLE001
            if error is not ending:
                failed(tracker, error)
