"""Tables, charts and blocks: one value written the same way for terminals, markdown and HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from throughline.rendering.blocks import Bullets, Columns, Details, Heading, Paragraph, Picture, find_sections, markdown
from throughline.rendering.chart import WIDTH, Panel, drawing, image_markdown, ticks, time_ticks
from throughline.rendering.formats import (
    amount_usd,
    clock_time,
    counts,
    p_value,
    percent,
    probability,
    significant,
    usd,
)
from throughline.rendering.page import render_page
from throughline.rendering.table import Table

HOSTILE = (
    "<script>alert(1)</script>",
    "\"onload='x'",
    "{{ title }}{% raw %}",
    "</style></main>",
    "a|b\nc",
    "\x1b[31mRED\x1b]0;title\x07",
    "--><!--",
    "'; DROP TABLE outcomes",
    "=cmd()",
    "../../etc",
)


def page_of(*blocks: object) -> str:
    return render_page(
        "tear_sheet.html.j2",
        title="t",
        heading="h",
        lines=[],
        tiles=[],
        warnings=[],
        sections=[("s", blocks)],
        footer="f",
    )


def test_a_table_is_aligned_in_text_and_marked_in_markdown() -> None:
    table = Table(("name", "n"), [("a", 1), ("b|c", None)])
    assert table.text("") == "name  n\na     1\nb|c   -"
    assert table.markdown() == "| name | n |\n| --- | ---: |\n| a | 1 |\n| b\\|c |  |"
    assert '<th scope="row">b|c</th><td>&ndash;</td>' in page_of(table)


def test_a_table_without_rows_is_its_header() -> None:
    table = Table(("name", "n"), [])
    assert table.lines() == ["name  n"]
    assert table.markdown().count("\n") == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_wherever_it_stands(name: str) -> None:
    table = Table((name, "n"), [(name, name)], caption=name)
    page = page_of(
        name, Paragraph(name), Heading(name), Bullets([name]), table, Columns([table]), Details(name, [name])
    )
    assert "<script>" not in page
    assert "</style></main>" not in page
    assert "onload='" not in page
    assert page.count("<table") == page.count("</table>") == 2
    assert len(table.lines()) == 2
    assert all(line.isprintable() for line in table.lines())
    assert len(table.markdown().splitlines()) == 3
    panel = Panel((0, 0, 10, 10), (0, 1), (0, 1))
    panel.write(0, 0, name)
    if "\x1b" not in name:  # no XML can hold it, and no name with it gets past the archive
        texts = [item.text for item in ET.fromstring(drawing("x", 10, [panel], name)).iter("text")]
        assert texts == [name]


def test_markup_stands_as_it_is_in_a_page_and_has_no_markdown() -> None:
    assert "<b>x</b>" in page_of(Markup("<b>x</b>"))
    with pytest.raises(TypeError, match="no markdown"):
        markdown([Markup("<b>x</b>")])


def test_blocks_are_written_as_markdown_in_their_order() -> None:
    text = markdown([Heading("h", level=2), "p", Bullets(["a", "b"]), Details("d", ["inside"])])
    assert text == "## h\n\np\n\n- a\n- b\n\nd\n\ninside"


@given(low=st.floats(-1e9, 1e9), width=st.floats(1e-6, 1e9), count=st.integers(2, 9))
def test_ticks_are_round_and_within_the_axis(low: float, width: float, count: int) -> None:
    high = low + width
    found = ticks(low, high, count)
    assert len(found) <= count + 1
    slack = 1e-6 * width + 1e-9 * max(abs(low), abs(high))
    assert all(low - slack <= value <= high + slack for value in found)


@pytest.mark.parametrize(
    ("days", "first", "last"),
    [(0.4, "02:00", "10:00"), (3, "12:00", "Jan 4"), (151, "Feb 2021", "Jun"), (1500, "2022", "2025")],
)
def test_time_ticks_are_named_by_what_changes(days: float, first: str, last: str) -> None:
    start = datetime(2021, 1, 1, 1, tzinfo=UTC).timestamp()
    labels = [label for _, label in time_ticks(start, start + days * 86_400)]
    assert 2 <= len(labels) <= 9
    assert labels[0] == first
    assert labels[-1] == last


def test_a_line_of_very_many_points_keeps_its_extremes_and_stays_small() -> None:
    points = [(float(k), 0.0) for k in range(100_000)]
    points[54_321] = (54_321.0, 9.0)
    panel = Panel((0, 0, WIDTH, 100), (0, 100_000), (0, 10))
    panel.line(points, "base")
    assert len(panel.parts[0]) < 60_000
    assert f"L{panel.x(54_321):.1f} {panel.y(9.0):.1f}" in panel.parts[0]


def test_a_drawing_as_an_image_brings_its_own_colours() -> None:
    import base64

    text = image_markdown(drawing("x", 10, [], "title"), "a picture")
    assert text.startswith("![a picture](data:image/svg+xml;base64,")
    svg = base64.b64decode(text.rsplit(",", 1)[1][:-1]).decode()
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "<style>.chart" in svg
    assert Picture(drawing("x", 10, [], "t"), "p") == Picture(drawing("x", 10, [], "t"), "p")


def test_figures_are_written_for_people() -> None:
    assert (percent(0.12345), percent(None), percent(0.5, signed=False, digits=0)) == ("+12.35 %", "n/a", "50 %")
    assert (usd(-3.2), usd("1234.5"), amount_usd(None), amount_usd("-0.0", signed=True)) == (
        "-$3.20",
        "$1,234.50",
        "not recorded",
        "+0.00 USD",
    )
    assert (p_value(0.0004), p_value(0.0321), p_value(None)) == ("< 0.001", "0.032", "n/a")
    assert (probability(0.99999), probability(1e-9), probability(0.5)) == ("> 99.9 %", "< 0.1 %", "50.0 %")
    assert [significant(text) for text in ("1e-9", "25000000000", "1234.5678912", None)] == [
        "0.000000001",
        "25,000,000,000",
        "1,234.5679",
        None,
    ]
    assert (clock_time("2021-01-01T05:00:00.000000Z"), clock_time("2021-01-01T05:00:09Z")) == (
        "2021-01-01 05:00",
        "2021-01-01 05:00:09",
    )
    assert (counts({"a_b": 2, "c": 0, "d": 3}), counts({})) == ("d 3, a b 2", "none")


@pytest.mark.parametrize("package", ["throughline.dossier.sections", "throughline.analytics.tear_sheet.sections"])
def test_sections_stand_in_their_order_whatever_their_files_are_called(package: str) -> None:
    orders = [section.order for section in find_sections(package)]
    assert orders == sorted(set(orders))
    assert len(orders) == 14
