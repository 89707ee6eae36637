"""Sensors: reactions to events. They notify or update an asset; the one that acts applies a recorded verdict.

A module here is found by being there: its functions with `@for_each_mode` or `@for_location`
(`resources.definition_factory`) return sensors.
"""
