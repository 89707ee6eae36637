"""What the registries of trades add up to: figures of closed trades, their soulprints and their profit buckets.

`analytics` puts the parts together, `model` has their shapes, `page` and `pictures` show them.
"""
