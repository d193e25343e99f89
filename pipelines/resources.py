"""What assets need from their surroundings."""

import os
from collections.abc import Mapping

from assets.store import StoreResource
from trm_model.launching import LocalProcess

DATA_VARIABLE = "TRM_DATA"


def resources() -> Mapping[str, object]:
    """The store below ``$TRM_DATA`` (default ``data``) and what starts trainings."""
    return {
        "store": StoreResource(root=os.environ.get(DATA_VARIABLE, "data")),
        "launcher": LocalProcess(),
    }
