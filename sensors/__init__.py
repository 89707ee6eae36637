"""Sensors: reactions to events. They notify; the one that acts carries out a verdict that is recorded already."""
