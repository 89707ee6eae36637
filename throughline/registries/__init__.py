"""The registries of closed trades, one module each: the entries that are written when a trade is registered.

A module here declares its record and its stage, and is found by being here.
"""
