"""Sensors: reactions to events. They notify and show; the one that acts carries out a verdict that is recorded already."""
