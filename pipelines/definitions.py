"""The code location's one `Definitions`: what workspace.yaml and `dg` load."""

from __future__ import annotations

from pipelines.build import build_defs
from resources.settings import load_settings

defs = build_defs(load_settings())
