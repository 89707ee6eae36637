"""What a research record and a labelled row say of features and labels, against the records they come from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from throughline.features.vector import feature_schema, feature_vector
from throughline.identity import score_text

Body = Mapping[str, Any]


def research_problems(body: Body, candidate: Body | None) -> list[str]:
    """Return what does not hold between a research record's vector, its hash and the hash on the candidate.

    A vector of another feature schema cannot be made again by this code; then only the two hashes are compared. A
    record of a release that knew no vectors has none, and neither has its candidate.
    """
    told = body["features"]
    if told is None:
        served = None if candidate is None else candidate["features_hash"]
        return [] if served is None else [f"its candidate was decided on the vector {served[:16]}..., it has none"]
    problems = []
    if told["schema"] == feature_schema():
        made = feature_vector(body).hash
        if made != told["hash"]:
            problems.append(f"its features give the vector {made[:16]}..., it says {told['hash'][:16]}...")
    if candidate is not None and candidate["features_hash"] != told["hash"]:
        served = str(candidate["features_hash"])
        problems.append(f"its candidate was decided on the vector {served[:16]}..., it says {told['hash'][:16]}...")
    return problems


def label_problems(body: Body, research: Body | None, end: Body | None) -> list[str]:
    """Return what does not hold between a labelled row, its research record and the outcome that ended it.

    end: the shadow outcome or the real outcome that the row names; None where it does not exist (the link says so).
    """
    problems = []
    named = [source for source, key in (("shadow", "shadow"), ("executed", "outcome")) if body[key] is not None]
    if named != [body["source"]]:
        problems.append(f"source is {body['source']}, which is not the kind of end that it names")
    if research is not None and (research["features"] or {}).get("hash") != body["features"]["hash"]:
        problems.append("its vector is not the one of its research record")
    elif (
        research is not None
        and body["features"]["schema"] == feature_schema()
        and dict(feature_vector(research).values) != dict(body["features"]["values"])
    ):
        problems.append("its values are not those that its research record gives")
    if end is not None:
        percent = end["return_percent"] if body["source"] == "shadow" else end["realized_pnl_percent"]
        if percent is None or score_text(Decimal(percent) / 100) != body["label"]["net_return"]:
            problems.append(f"label is {body['label']['net_return']}, its end says {percent} %")
        ended = end["exit_time"]
        if ended != body["label"]["t1"] or body["resolved_at"] != ended:
            problems.append(f"label ends at {body['label']['t1']}, its end is of {ended}")
    return problems
