"""The registries: canonical trades, soulprints and profit buckets, each tied to the others by hash.

Belongs here: making and writing their entries, and asking them questions. Does not belong here: when a day's entries
are written (flow), how the log of seals is kept (proof).
"""

from throughline.registry.proxy import CoordinatorProxy

__all__ = ["registry_coordinator"]

registry_coordinator = CoordinatorProxy()
"""The registries of the configured home (THROUGHLINE_HOME); nothing is opened before it is first used."""
