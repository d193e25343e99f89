"""What assets need from their surroundings."""

from collections.abc import Mapping

from assets.store import StoreResource
from pipelines.place import data_folder
from storage.store import Store
from trm_model.launching import LocalProcess


def resources() -> Mapping[str, object]:
    """The store below ``$TRM_DATA`` and what starts trainings."""
    return {"store": _store(), "launcher": LocalProcess()}


def open_store() -> Store:
    """The store of :func:`resources`, for commands."""
    return _store().connect()


def _store() -> StoreResource:
    return StoreResource(root=data_folder())
