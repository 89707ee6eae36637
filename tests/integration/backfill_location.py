"""A code location for the daemon test: the real definitions over the home of the environment, with open gates.

Gates are open because they take a second import of seven seconds in each of six processes; seals do not depend on them.
"""

from __future__ import annotations

from pipelines.build import build_defs
from resources.flow import GivenFlow
from resources.home import HOME, OpenFlows
from resources.settings import load_settings
from tests.materialize.homes import FIRST, context_of
from throughline.storage.database import open_database

settings = load_settings()
database = open_database(settings.home)
context = context_of(database, epoch=FIRST)
defs = build_defs(settings, overrides={HOME: OpenFlows(GivenFlow(context, settings.home))})
