"""Which code made an asset."""

from trm_model.version import code_version

CODE = ("assets", "trm_model", "storage")
"""Packages whose sources an asset's code version covers."""


def assets_code() -> str:
    """Version of all code that assets run: a hash of the sources of :data:`CODE`."""
    return code_version(CODE)
