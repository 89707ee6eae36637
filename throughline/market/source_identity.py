"""The identity of a source: what of an archive's description decides the values that are read.

Belongs here: the body that is hashed (`description` says why each part is or is not in it). Does not belong here: the
description itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from throughline.identity import decimal_text
from throughline.market.layout import layout_identity

if TYPE_CHECKING:
    from throughline.market.description import ArchiveDescription


def source_body(description: ArchiveDescription) -> dict[str, Any]:
    """Return what of a description decides the values that are read, as a canonical body."""
    bars, rules, actions = description.bars, description.cleaning, description.actions
    named = (
        {"table": layout_identity(actions.table), "columns": [actions.ratio, actions.known_column]} if actions else None
    )
    return {
        "schema_version": 2,
        "attrition_per_48h": decimal_text(description.attrition_per_48h),
        "availability": description.availability,
        "benchmark": description.benchmark,
        "name": description.name,
        "survivors_only": description.survivors_only,
        "bars": {
            "table": layout_identity(bars.table),
            "columns": [bars.open, bars.high, bars.low, bars.close, bars.volume],
            "interval_ms": bars.interval_ms,
            "only": sorted(bars.only),
            "stamp": bars.stamp,
            "volume_unit": bars.volume_unit,
        },
        "cleaning": rules.identity(),
        "corporate_actions": named,
        "references": [
            {
                "known": [item.known.base, item.known.delay_ms, item.known.column],
                "map": [item.mapping.instrument, item.mapping.key] if item.mapping else None,
                "max_age_ms": item.max_age_ms,
                "may_be_negative": item.may_be_negative,
                "name": item.name,
                "positive": sorted(item.positive, key=str),
                "table": layout_identity(item.table),
                "value": item.value,
                "priced_at": item.priced_at,
                "zero_means_missing": item.zero_means_missing,
            }
            for item in description.references
        ],
    }
