"""What assets need from their surroundings."""

import os
from collections.abc import Mapping

import dagster as dg

from assets.store import StoreResource

DATA_VARIABLE = "TRM_DATA"


def resources() -> Mapping[str, object]:
    """The store below ``$TRM_DATA`` (default ``data``) and the launcher of training processes."""
    # Terminated runs: SIGINT, then time for the trainer to write its checkpoint.
    return {
        "store": StoreResource(root=os.environ.get(DATA_VARIABLE, "data")),
        "pipes": dg.PipesSubprocessClient(termination_timeout_seconds=60.0),
    }
