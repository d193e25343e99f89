"""The error that every package raises for a configuration that cannot be."""

from storage.refusals import UserError


class ConfigurationError(UserError, ValueError):
    """A configuration that cannot be; the message says what was given, what was expected and the
    remedy."""


def require(condition: bool, message: str) -> None:
    """Raise :class:`ConfigurationError` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise ConfigurationError(message)
