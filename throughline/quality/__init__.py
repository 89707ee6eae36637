"""Data quality: the suites of the gated assets, the runner that evaluates them, and the gate that enforces them.

Belongs here: what a day of an asset must satisfy (`suites/*.json`, versioned and hashed), how a frame is evaluated
(`runner`), what a verdict is (`verdict`) and what a consumer asks before it reads (`gate`). Does not belong here: what
is dropped or quarantined row by row (`market`), and what Dagster shows of a verdict (`assets.checks`).
"""
