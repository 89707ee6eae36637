"""The catalogue: every kind of record and every stage of the day, each declared once, in a file of its own.

Belongs here: data, finding it, and what follows from it by looking alone. From it come tables, foreign keys, guards,
rights, projections, body versions, stages, gates, Dagster's assets and edges, links of dossiers and the rules of
checks. Does not belong here: SQL, bodies, running anything. It stands below storage and imports nothing heavy, because
loading the Dagster code location reads it.

A file in `records/`, `stages/` or `throughline/registries/` declares a `RECORD`, a `STAGE`, or both; it is found by
being there (docs/extending.md).
"""

from throughline.catalogue.loading import Catalogue, catalogue, load_catalogue
from throughline.catalogue.names import BARS, LOG, SESSION
from throughline.catalogue.record import Column, ColumnType, RecordKind, TableIndex
from throughline.catalogue.stage import StageSpec

__all__ = [
    "BARS",
    "LOG",
    "SESSION",
    "Catalogue",
    "Column",
    "ColumnType",
    "RecordKind",
    "StageSpec",
    "TableIndex",
    "catalogue",
    "load_catalogue",
]
