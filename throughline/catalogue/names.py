"""Assets that code outside the catalogue treats in a way of their own, by name."""

from __future__ import annotations

BARS = "market_bars"
"""Seals the lines of an artifact instead of rows."""
SESSION = "portfolio_state"
"""The trading session, which carries its state from day to day."""
LOG = "registry_seals"
"""Writes the day's seals to the seal log; its own seal is over theirs."""
