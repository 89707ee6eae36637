"""Sections of the tear sheet. A section is found by being there: a module here with the tuple `SECTIONS`.

docs/extending.md shows how one is added.
"""
