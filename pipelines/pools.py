"""The pools that runs queue for."""

import dagster as dg

from assets.stages import ACCELERATOR_POOL


def know_pools(instance: dg.DagsterInstance) -> None:
    """Make the default limit (``pools.default_limit`` of ``dagster.yaml``) that of our pool, unless
    it has one.

    Dagster itself does so when the queue first meets a run of the pool, but counts from the next
    look at the queue on: the first backfill of a fresh instance would start all at once.
    """
    storage = instance.event_log_storage
    if ACCELERATOR_POOL not in storage.get_concurrency_keys():
        storage.initialize_concurrency_limit_to_default(ACCELERATOR_POOL)
