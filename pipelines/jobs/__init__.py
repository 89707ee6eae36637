"""Jobs and their schedules, one module for each job, built once for each mode.

A module here is found by being there: its functions with `@for_each_mode` or `@for_location`
(`resources.definition_factory`) return jobs and schedules. Does not belong here: backfills of history. A backfill of a
*job* ignores that the session depends on its own day before (a chunk ran beside its predecessor), so history is
backfilled by selecting the assets, or by `throughline backtest`.
"""
