"""Sensors: reactions to events. They notify; they do not control."""
