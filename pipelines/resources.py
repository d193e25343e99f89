"""What assets need from their surroundings."""

from collections.abc import Mapping

from assets.store import StoreResource
from pipelines.place import data_folder
from trm_model.launching import LocalProcess


def resources() -> Mapping[str, object]:
    """The store below ``$TRM_DATA`` and what starts trainings."""
    return {"store": StoreResource(root=data_folder()), "launcher": LocalProcess()}
