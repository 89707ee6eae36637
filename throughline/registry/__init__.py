"""The registries: canonical trades, soulprints and profit buckets, each tied to the others by hash.

Belongs here: making and writing their entries, and asking them questions. Does not belong here: when a day's entries are
written (flow), how the log of seals is kept (proof).
"""
