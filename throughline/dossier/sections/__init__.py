"""Sections of a dossier's page. A section is found by being there: a module here with the tuple `SECTIONS`."""
