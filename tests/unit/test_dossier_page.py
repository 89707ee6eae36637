"""The dossier's page: self-contained, escaped, fit to be read aloud, and written whole or not at all."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from tests.unit.dossier_cases import bodies, dossier, step, story
from throughline.catalogue import catalogue
from throughline.dossier.page import dossier_html
from throughline.dossier.pictures import LABEL, price_chart, spans_chart
from throughline.dossier.record_text import TITLES, describe, record_title
from throughline.dossier.text import parts
from throughline.errors import StorageError
from throughline.rendering.page import write_page

VOID = {"meta", "br", "hr", "img", "input", "line", "rect", "polyline", "path"}
EVIL = "<script>alert(1)</script>\"'&{{body}}{{title}}"


class Page(HTMLParser):
    """Reads a page strictly: every element is closed by its own end; attributes and texts are kept."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def test_the_page_needs_no_network_and_runs_nothing() -> None:
    html = dossier_html(dossier())
    page = Page(html)
    for name, attributes in page.tags:
        assert name not in ("script", "link", "iframe", "img", "object", "base", "form")
        assert not {"src", "href", "onload", "onclick"} & set(attributes)
    assert not re.search(r"https?://|@import|url\(|xlink", html)
    assert "default-src 'none'" in html


def test_the_page_is_well_formed_and_has_every_section() -> None:
    page = Page(dossier_html(dossier()))
    assert page.texts["h2"] == [
        "Price path",
        "Timeline of the chain",
        "What was known",
        "What was missing",
        "Who decided, and why",
        "Costs",
        "Three fill models",
        "Soulprint",
        "Similar trades, and how they ended",
        "Registry entry",
        "Every hash and its check",
        "Seals and the log",
        "Bars and stored inputs",
        "The records in full",
    ]
    assert page.count("h1") == 1


def test_light_dark_phone_and_print_are_all_thought_of() -> None:
    html = dossier_html(dossier())
    for words in ("prefers-color-scheme:dark", "@media print", "width=device-width", "max-width:760px"):
        assert words in html


def test_everything_that_comes_from_a_record_is_escaped() -> None:
    told = bodies(EVIL)
    told["candidates"] |= {"strategy": EVIL, "model_version": EVIL, "arm": EVIL, "verdicts": {EVIL: EVIL}}
    told["research_docs"]["inputs"][0] |= {"name": EVIL, "source": EVIL, "availability": EVIL, "value": EVIL}
    told["research_docs"] |= {"missing": [EVIL], "trade_rationale": EVIL}
    told["dispositions"] |= {"disposition": EVIL, "reason": EVIL}
    told["outcomes"] |= {"termination_reason": EVIL, "flags": [EVIL]}
    made = dossier(story(told), EVIL)
    broken = step("market_scans", {}, problems=(EVIL,), supersedes=EVIL, run_id=EVIL)
    quarantined = replace(made.registration, quarantine={"soulprints": EVIL}, corrects=EVIL)
    made = replace(made, states=(broken,), registration=quarantined, similar=replace(made.similar, note=EVIL))
    made = replace(made, story=replace(made.story, steps=(*made.story.steps, broken)))
    html = dossier_html(made)
    assert "<script" not in html
    assert "alert(1)&lt;/script&gt;&#34;&#39;&amp;{{body}}{{title}}" in html
    Page(html)


def test_pictures_and_tables_can_be_read_aloud() -> None:
    page = Page(dossier_html(dossier()))
    pictures = [attributes for name, attributes in page.tags if name == "svg"]
    assert len(pictures) == 2
    ids = {attributes.get("id") for _, attributes in page.tags}
    for picture in pictures:
        assert picture["role"] == "img"
        assert set((picture["aria-labelledby"] or "").split()) <= ids
    assert page.count("desc") == 2
    assert page.count("caption") == page.count("table") == page.count("thead")
    assert all(attributes.get("scope") in ("col", "row") for name, attributes in page.tags if name == "th")


def test_the_price_picture_shows_each_bar_each_level_and_both_fills() -> None:
    picture = price_chart(dossier())
    assert picture.count('<g class="bar') == 24
    for label in ("target +30% 130", "stop -15% 85", "entry 100.2", "exit 129.7", "decision"):
        assert label in picture
    assert picture.count('class="fill') == 2
    assert picture.count("later") == 15  # the bars that opened at or after the exit at 09:00


def test_closes_are_joined_by_lines_but_not_over_missing_bars() -> None:
    made = dossier(close_only=True)
    picture = price_chart(made)
    assert (picture.count("<polyline"), picture.count("closes later")) == (23, 15)
    assert '<g class="bar' not in picture
    gap = replace(made.prices, bars=made.prices.bars[:10] + made.prices.bars[12:])
    assert price_chart(replace(made, prices=gap)).count("<polyline") == 20


def test_a_trade_that_touched_both_barriers_says_between_which_results_it_lies() -> None:
    told = bodies()
    told["outcomes"] |= {"ambiguous": True, "pnl_low_usd": "-12.5", "pnl_high_usd": "290.5"}
    html = dossier_html(dossier(story(told)))
    assert "touched both barriers" in html
    assert "\N{MINUS SIGN}12.50" in html
    assert "touched both barriers" not in dossier_html(dossier())


@pytest.mark.parametrize(("flag", "words"), [("gap", "first price after a gap"), ("doubtful_jump", "doubtful price")])
def test_a_trade_over_a_gap_or_a_doubtful_jump_says_between_which_results_it_lies(flag: str, words: str) -> None:
    told = bodies()
    told["outcomes"] |= {"flags": [flag], "pnl_low_usd": "-12.5", "pnl_high_usd": "8290.5"}
    html = dossier_html(dossier(story(told)))
    assert words in html
    assert "8,290.50" in html


def test_labels_of_near_levels_do_not_cover_each_other() -> None:
    told = bodies()
    told["outcomes"]["exit_price"] = "100.3"
    picture = price_chart(dossier(story(told)))
    places = [float(y) for y in re.findall(r'<text class="label[^"]*" x="[\d.]+" y="([\d.]+)"', picture)]
    assert len(places) == 4
    assert all(b - a >= LABEL - 0.11 for a, b in pairwise(places))


@pytest.mark.parametrize("scale", ["1e-9", "0.001", "1", "25000", "1e9"])
def test_prices_of_any_size_have_ticks_that_differ(scale: str) -> None:
    made = dossier()
    size = float(scale)
    grown = tuple(
        replace(bar, **{name: repr(float(getattr(bar, name)) * size) for name in ("open", "high", "low", "close")})
        for bar in made.prices.bars
    )
    made = replace(
        made, prices=replace(made.prices, bars=grown), barriers=None, chain=replace(made.chain, execution=None)
    )
    picture = price_chart(replace(made, chain=replace(made.chain, outcome=None)))
    ticks = re.findall(r'text-anchor="end">([\d.,]+)</text>', picture)
    assert 3 <= len(ticks) <= 8
    assert len(set(ticks)) == len(ticks)
    assert "e" not in "".join(ticks)


def test_a_price_that_never_moved_can_be_drawn() -> None:
    made = dossier()
    flat = tuple(replace(bar, open="5", high="5", low="5", close="5") for bar in made.prices.bars)
    made = replace(made, prices=replace(made.prices, bars=flat), barriers=None)
    assert "<svg" in price_chart(replace(made, chain=replace(made.chain, execution=None, outcome=None)))


def test_an_input_of_years_ago_does_not_take_the_room_of_the_trade() -> None:
    told = bodies()
    told["research_docs"]["inputs"][0]["event_time"] = "2015-01-01T00:00:00.000000Z"
    picture = spans_chart(dossier(story(told)))
    widths = [float(width) for width in re.findall(r'class="span held" x="[\d.]+" y="\d+" width="([\d.]+)"', picture)]
    assert widths[0] > 30
    assert "&#9664;" in picture


def test_what_is_not_there_is_a_sentence_not_an_empty_section() -> None:
    told = {name: bodies()[name] for name in ("candidates", "dispositions")}
    made = dossier(story(told))
    made = replace(made, prices=replace(made.prices, bars=(), why="no day is sealed"), paths=(), paths_why="not sealed")
    html = dossier_html(made)
    for words in ("No prices: no day is sealed.", "No costs: no trade was closed", "No soulprint:", "No fill models:"):
        assert words in html


def test_a_record_that_cannot_be_read_leaves_the_rest_of_the_page() -> None:
    made = dossier()
    chain = replace(made.chain, candidate=replace(made.chain.candidate, body={}), execution=step("executions", {}))
    with pytest.raises(KeyError):  # of records that hold it would be our own mistake, which nobody may hide
        dossier_html(replace(made, chain=chain))
    steps = (replace(made.story.steps[0], problems=("body hashes to 9",)), *made.story.steps[1:])
    html = dossier_html(replace(made, chain=chain, story=replace(made.story, steps=steps)))
    assert "lacks or garbles a field" in html
    assert "Every hash and its check" in html
    Page(html)


def test_what_is_broken_stands_at_the_top() -> None:
    made = dossier()
    steps = (*made.story.steps[:-1], replace(made.story.steps[-1], problems=("body hashes to 9",), recomputed="9" * 64))
    html = dossier_html(replace(made, story=replace(made.story, steps=steps)))
    assert html.index("body hashes to 9") < html.index("Price path")
    assert "its body gives" in html
    assert "Nothing in it has been changed" not in html
    assert "Nothing in it has been changed" in dossier_html(made)


def test_the_invented_market_is_called_invented() -> None:
    assert "is invented" in dossier_html(dossier(story(mode="demo")))
    assert "is invented" not in dossier_html(dossier())


def test_the_same_dossier_gives_the_same_bytes_and_is_written_whole(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    target.write_text("old")
    assert write_page(dossier_html(dossier()), target, "dossier", "remedy") == target
    assert target.read_text(encoding="utf-8") == dossier_html(dossier())
    assert [item.name for item in tmp_path.iterdir()] == ["page.html"]


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "page.html"
    target.write_text("old")

    def stop(self: Path, _: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_page("new", target, "dossier", "remedy")
    assert target.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("place", ["file/page.html", "folder"])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="the dossier cannot be written to") as caught:
        write_page("new", tmp_path / place, "dossier", "name another")
    assert len(str(caught.value).splitlines()) == 1
    assert list((tmp_path / "folder").iterdir()) == []


def test_every_kind_of_record_has_a_title_and_words() -> None:
    assert set(TITLES) == set(catalogue().records)
    for table in catalogue().records:
        assert describe(table, {}) == ["its body cannot be read"]


def test_a_kind_of_record_without_text_of_its_own_is_shown_by_its_fields() -> None:
    body = {"experiment": "e", "hours": "3", "kept_until": 7, "link": {"hash": "a", "uuid": "b"}, "schema_version": 1}
    assert record_title("holding_times") == "Holding times"
    assert describe("holding_times", body) == ["hours: 3", "kept until: 7"]


def test_the_terminal_tells_the_same_parts() -> None:
    told = {title: "\n".join(lines) for title, _, lines in parts(dossier())}
    assert list(told) == [
        "Prices",
        "Costs",
        "Fill models",
        "Signals of the decision",
        "Similar trades",
        "Registry",
        "Stored inputs",
        "Seal log",
    ]
    assert "stop 85 (-15%), target 130 (+30%)" in told["Prices"]
    assert "spread at entry" in told["Costs"]
    assert "1 of 40 trades looked alike" in told["Similar trades"]
    assert "candidates/2021-01-01: event 3, head 7 by key kkkkkkkkkkkkkkkk, anchored" in told["Seal log"]


def test_a_cost_of_nothing_has_no_minus_sign() -> None:
    told = bodies()
    told["outcomes"] |= {"attrition_usd": "0"}
    page = dossier_html(dossier(story(told)))
    assert "\N{MINUS SIGN}0.00" not in page
    assert "attrition" in page
