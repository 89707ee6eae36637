"""A dossier says of each 24 h volume where it is from, when it was known, and what it was used for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.dossier_cases import DECIDED, bodies, dossier, story
from throughline.dossier.page import dossier_html
from throughline.dossier.record_text import describe
from throughline.dossier.volumes import day_volumes

DAY_BEFORE = "2021-01-01T00:00:00.000000Z"


def research(used: str | None, reported: str | None) -> dict[str, Any]:
    """Return a research body with the strategy's own 24 h volume, and with one that a source reports."""
    body = bodies()["research_docs"] | {"code_version": "c" * 64, "configuration": "x#strategy", "volume_24h": used}
    bar = body["inputs"][0] | {"name": "bar_volume", "source": "files:volume", "value": "10"}
    inputs = [*body["inputs"], bar]
    if reported is not None:
        inputs.append(
            bar | {"name": "volume_24h", "source": "coingecko:total", "value": reported, "event_time": DAY_BEFORE}
        )
    return body | {"inputs": inputs, "missing": ["sentiment"] + (["volume_24h"] if reported is None else [])}


def test_two_volumes_are_told_apart_by_source_time_and_use() -> None:
    own, other = day_volumes(research("699399", "812345.5"))
    assert (own.usd, own.event_time, own.source) == ("699399", DECIDED, "files:volume")
    assert own.use.startswith("filter")
    assert (other.usd, other.event_time, other.source) == ("812345.5", DAY_BEFORE, "coingecko:total")
    assert other.use.startswith("nothing")


def test_a_reported_volume_that_the_strategy_fell_back_on_is_the_only_one() -> None:
    (only,) = day_volumes(research("812345.1235", "812345.12345678"))
    assert only.source == "coingecko:total"
    assert only.use.startswith("filter")


@pytest.mark.parametrize(("used", "reported", "count"), [(None, None, 0), ("1", None, 1), (None, "1", 1)])
def test_a_volume_that_is_not_known_is_not_shown(used: str | None, reported: str | None, count: int) -> None:
    assert len(day_volumes(research(used, reported))) == count


def test_page_and_terminal_name_both_volumes_and_the_one_that_is_missing() -> None:
    told = bodies() | {"research_docs": research("699399", "812345.5")}
    told["candidates"]["features"]["volume_24h"] = "699399"
    page = dossier_html(dossier(story(told)))
    assert "24 h volume as the strategy used it" in page
    assert "24 h volume as reported" in page
    lines = "\n".join(describe("research_docs", told["research_docs"]))
    assert "24 h volume 699,399.00 USD, sum over the bars of the last 24 h (files:volume, until" in lines
    assert "24 h volume 812,345.50 USD, as reported by a source (coingecko:total, until" in lines
    alone = "\n".join(describe("research_docs", research("699399", None)))
    assert "missing: sentiment, 24 h volume as reported" in alone
