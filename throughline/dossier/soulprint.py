"""The soulprint of a trade, or of a decision that did not become one, with how unusual each component is. Pure.

Belongs here: reading the vector from the records of one story. Does not belong here: what a component measures
(signals.vector) and which trades are alike (similar).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from throughline.dossier.parts import Chain

Body = Mapping[str, Any]


@dataclass(frozen=True)
class ComponentValue:
    """One component of a soulprint. score: how far it lies from its usual value, in the scale of the schema (None where
    unknown or not compared); doc: what it measures, None for a schema that this version does not know."""

    name: str
    value: str | None
    score: float | None
    doc: str | None


@dataclass(frozen=True)
class SoulprintView:
    """The causal vector of the decision. origin: the table that holds it (`soulprints` once the trade is registered,
    else `research_docs`); math: the growth arithmetic of the decision; why: a sentence where there is no vector."""

    schema: str | None
    origin: str | None
    reference: str | None
    components: tuple[ComponentValue, ...]
    missing: tuple[str, ...]
    identity: str | None
    simhash: str | None
    math: Mapping[str, str | None]
    buckets: tuple[str, ...]
    why: str | None


def soulprint(chain: Chain) -> SoulprintView:
    """Return the soulprint of a trade, or of a decision that did not become one."""
    from throughline.signals.vector import COMPONENTS, SOULPRINT_SCHEMA

    signals = (chain.research.body.get("signals") if chain.research else None) or {}
    body, origin = (chain.soulprint.body, "soulprints") if chain.soulprint else (signals, "research_docs")
    if not body.get("values"):
        why = "its records were written before decisions carried signals, or by hand without a vector"
        return SoulprintView(None, None, None, (), (), None, None, {}, (), why)
    known = {item.name: item for item in COMPONENTS} if body["schema"] == SOULPRINT_SCHEMA else {}

    def component(name: str, value: str | None) -> ComponentValue:
        item = known.get(name)
        if item is None:
            return ComponentValue(name, value, None, None)
        compared = value is not None and math.isfinite(item.scale)
        score = (float(value or 0) - item.center) / item.scale if compared else None
        return ComponentValue(name, value, score, item.doc)

    return SoulprintView(
        schema=body["schema"],
        origin=origin,
        reference=body.get("reference"),
        components=tuple(component(name, body["values"][name]) for name in sorted(body["values"])),
        missing=tuple(sorted(name for name, value in body["values"].items() if value is None)),
        identity=body.get("soulprint"),
        simhash=body.get("simhash"),
        math=_math(chain, signals),
        buckets=tuple(chain.bucket.body["buckets"]) if chain.bucket else (),
        why=None,
    )


def _math(chain: Chain, signals: Body) -> dict[str, str | None]:
    growth = (chain.trade.body.get("math_optimization") if chain.trade else None) or signals.get("math") or {}
    return {str(name): None if value is None else str(value) for name, value in sorted(growth.items())}
