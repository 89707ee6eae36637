"""Sensors: reactions to events. They notify or update an asset; the one that acts applies a recorded verdict."""
