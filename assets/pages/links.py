"""Where a page or a picture of the store can be opened, for Dagster's page.

A browser follows no link from a page that a server sends to a file on the disk. So ``trm ui``
serves the folder of the reports, too, and tells the runs that it starts where.
"""

import os

import dagster as dg

from assets import keys
from storage.store import Store

VARIABLE = "TRM_REPORTS_URL"
"""Where the reports are served, such as ``http://127.0.0.1:3001``; not set: nowhere."""


def links(store: Store, **shown: str) -> dict[str, dg.MetadataValue]:
    """Keys of pages and pictures in the folder of the reports as metadata: of each the path and,
    where the folder is served, beside it ``NAME_link``, which one click opens."""
    address = os.environ.get(VARIABLE, "").rstrip("/")
    found: dict[str, dg.MetadataValue] = {}
    for name, key in shown.items():
        found[name] = dg.MetadataValue.path(str(store.open(key)))
        if address:
            served = key.removeprefix(f"{keys.REPORTS}/")
            found[f"{name}_link"] = dg.MetadataValue.url(f"{address}/{served}")
    return found
