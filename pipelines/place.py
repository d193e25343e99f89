"""Where the store is, for commands that load nothing heavy, too."""

import os

DATA_VARIABLE = "TRM_DATA"


def data_folder() -> str:
    """The folder that ``$TRM_DATA`` names, by default ``data``."""
    return os.environ.get(DATA_VARIABLE, "data")
