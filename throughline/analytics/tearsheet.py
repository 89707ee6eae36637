"""The tear sheet of a backtest: one static HTML file that needs no network and no other file.

Belongs here: the page. Does not belong here: the figures (report), the sentences (words) and where it is kept
(`write_tear_sheet` writes the file and hands the bytes to the artifact store).
Our own part says what was assumed and what chance would have given; the library part (quantstats) gives the usual
statistics and charts of the base path's daily returns. The same report gives the same bytes.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from throughline.analytics.baselines import compound
from throughline.analytics.library_charts import Section, library_sections
from throughline.analytics.model import Report
from throughline.analytics.performance import daily_returns
from throughline.analytics.pictures import equity_png, funnel_png
from throughline.analytics.registry_model import RegistryAnalytics
from throughline.analytics.registry_pages import registry_parts
from throughline.analytics.registry_pictures import registry_pictures
from throughline.analytics.tearsheet_trades import trades_html
from throughline.analytics.words import (
    BASELINE_HEADER,
    baseline_rows,
    baseline_sentences,
    counts_text,
    note_lines,
    path_rows,
    percent,
    revision_sentence,
    sharpe_text,
    usd,
    warning_sentences,
)
from throughline.errors import StorageError
from throughline.experiment.mode import mode_warning
from throughline.storage.artifacts import ArtifactRef, ArtifactStore
from throughline.user_files import write_whole

NOTES_SHOWN = 50
"""How many doubtful jumps, and how many corporate actions, the page lists."""


def _text(value: object) -> str:
    return html.escape(str(value))


def _table(rows: Sequence[Sequence[object]], text_columns: Iterable[int] = ()) -> str:
    """Return a table that scrolls sideways on a narrow screen; the first row is its header."""
    left = set(text_columns)

    def row(cells: Sequence[object], tag: str) -> str:
        parts = []
        for k, cell in enumerate(cells):
            kind = ' class="text"' if k in left else ""
            parts.append(f"<{tag}{kind}>{_text(cell)}</{tag}>")
        return "<tr>" + "".join(parts) + "</tr>"

    head, *rest = rows
    body = "".join(row(cells, "td") for cells in rest)
    return f'<div class="wide"><table><thead>{row(head, "th")}</thead><tbody>{body}</tbody></table></div>'


def _image(png: bytes, what: str) -> str:
    return f'<img alt="{_text(what)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _header(report: Report) -> str:
    base = report.paths["base"]
    days = (report.end - report.start).days + 1
    tiles = [
        (percent(base.total_return), "return, base path"),
        (sharpe_text(base), "Sharpe ± standard error (daily, √365)"),
        (percent(-base.max_drawdown), "max drawdown"),
        (str(report.trades), "closed trades"),
        (percent(base.win_rate, signed=False), "win rate"),
        (str(len(report.open_positions)), "open at the end"),
    ]
    tile_html = "".join(
        f'<div class="tile"><b>{_text(big)}</b><span>{_text(small)}</span></div>' for big, small in tiles
    )
    warnings = warning_sentences(report)
    if mode_warning(report.mode):
        warnings.insert(0, mode_warning(report.mode))
    if report.revision:
        warnings.append(revision_sentence(report.revision, report.experiment))
    return (
        f"<h1>Backtest {report.start} to {report.end}</h1>"
        f'<p class="sub">{days:,} day{"s" if days > 1 else ""}, {report.instruments:,} instruments, '
        f"{report.bars:,} bars, "
        f"{report.candidates:,} candidates</p>"
        f'<p class="sub id">experiment {_text(report.experiment)}</p>'
        f'<div class="tiles">{tile_html}</div>' + "".join(f'<p class="warn">{_text(item)}</p>' for item in warnings)
    )


def _own_sections(report: Report, links: Mapping[str, str]) -> list[Section]:
    curves = {**report.curves.equity, **report.curves.market}
    sections: list[Section] = [
        (
            "Equity, beside the market",
            _image(
                equity_png(report.curves.dates, curves, width=9.5), "daily equity of the three paths and the market"
            ),
        ),
        (
            "Three fill models side by side",
            _table(path_rows(report))
            + '<p class="sub">Pessimistic: ambiguous bars stop first, costs twice base, halted positions lost, '
            "nothing gained over a doubtful jump. Optimistic: fee only, ambiguous bars at the target. "
            "Each path has its own slots and cash.</p>",
        ),
        ("Month by month", _months(report)),
        (
            "Baselines",
            _table([BASELINE_HEADER, *baseline_rows(report)])
            + "".join(f'<p class="sub">{_text(sentence)}</p>' for sentence in baseline_sentences(report)),
        ),
        ("Funnel", _image(funnel_png(report.funnel, width=9.5), "how many instruments each filter removed")),
        (
            "What happened",
            _table(
                [
                    ("", "counts"),
                    ("why trades ended", counts_text(report.termination_reasons)),
                    ("dispositions of candidates", counts_text(report.dispositions)),
                    ("quarantined rows", counts_text(report.quarantined.get("rules", {}))),
                ],
                text_columns=(1,),
            ),
        ),
    ]
    sections.append(("Trades", trades_html(report, links)))
    notes = note_lines(report, NOTES_SHOWN)
    if notes:
        sections.append(("Notes on the data", "<ul>" + "".join(f"<li>{_text(line)}</li>" for line in notes) + "</ul>"))
    if report.open_positions:
        sections.append(("Open positions, marked to market and not closed at the end", _positions(report)))
    items = "".join(f"<li>{_text(item)}</li>" for item in report.assumptions)
    sections.append(("Assumptions and missing data", f"<ul>{items}</ul>"))
    return sections


def _months(report: Report) -> str:
    """Return a table of monthly returns by path; the first and last month may be cut by the range."""
    months: dict[str, dict[str, list[float]]] = {}
    for path in report.paths:
        for day, value in zip(report.curves.dates, daily_returns(report.curves.with_start(path)), strict=True):
            months.setdefault(f"{day:%Y-%m}", {}).setdefault(path, []).append(value)
    rows: list[Sequence[object]] = [("month", "days", *report.paths)]
    for month, values in months.items():
        days = len(next(iter(values.values())))
        rows.append((month, days, *(percent(compound(values[path])) for path in report.paths)))
    return _table(rows)


def _positions(report: Report) -> str:
    rows: list[Sequence[object]] = [("instrument", "entry (UTC)", "entry price", "last price", "value", "unrealised")]
    rows += [
        (
            item["instrument"],
            str(item["entry_time"])[:16].replace("T", " "),
            f"{float(item['entry_price']):.8g}",
            f"{float(item['last_price']):.8g}",
            usd(float(item["value_usd"])),
            usd(float(item["unrealized_pnl_usd"])),
        )
        for item in report.open_positions
    ]
    return _table(rows)


def _registry(told: RegistryAnalytics, pictures: Mapping[str, bytes]) -> str:
    """Return the registries' figures: closed trades from the epoch to the report's end, whatever its start."""
    blocks = []
    for part in registry_parts(told):
        blocks.append(f"<h3>{_text(part.title)}</h3>")
        blocks += [f'<p class="sub">{_text(sentence)}</p>' for sentence in part.sentences]
        if part.picture is not None and part.picture in pictures:
            blocks.append(_image(pictures[part.picture], part.title))
        if part.rows:
            blocks.append(_table(part.rows))
    return "".join(blocks)


def _seals(report: Report) -> str:
    rows = [("asset", "root over the range"), *report.seals.items()]
    checked = f"{report.chain['checked']:,} records of the chain recomputed, {report.chain['broken']:,} broken."
    return f'<p class="sub">{_text(checked)}</p><div class="id">{_table(rows, text_columns=(1,))}</div>'


def tear_sheet_html(
    report: Report, links: Mapping[str, str] | None = None, pictures: Mapping[str, bytes] | None = None
) -> str:
    """Return the page.

    Args:
        report: what is shown; at least one day.
        links: trade ID -> address of its dossier, relative to the page.
        pictures: those of the report's registries, as `registry_pictures` gives; None draws them.

    Returns:
        One HTML document.
    """
    benchmark = report.curves.market.get("benchmark")
    start = report.curves.starting["base"]
    parts = _own_sections(report, links or {})
    parts += library_sections(
        report.curves.dates,
        daily_returns(report.curves.with_start("base")),
        daily_returns([start, *benchmark]) if benchmark else None,
        str((report.baselines.get("benchmark") or {}).get("name", "benchmark")),
    )
    if report.registry is not None:
        drawn = registry_pictures(report.registry) if pictures is None else pictures
        parts.append(("Registry", _registry(report.registry, drawn)))
    parts.append(("Seals", _seals(report)))
    body = _header(report) + "".join(f"<h2>{_text(title)}</h2>{content}" for title, content in parts)
    body += "<footer>Written by Throughline; statistics and charts of daily returns by quantstats.</footer>"
    template = files("throughline.analytics").joinpath("tearsheet.html").read_text(encoding="utf-8")
    title = f"Throughline {report.mode} {report.start} to {report.end}"
    return template.replace("{{title}}", _text(title)).replace("{{body}}", body)


def write_tear_sheet(
    report: Report,
    folder: Path,
    artifacts: ArtifactStore,
    links: Mapping[str, str] | None = None,
    pictures: Mapping[str, bytes] | None = None,
) -> tuple[Path, ArtifactRef]:
    """Write the page to ``folder/<mode>-<start>-<end>-<experiment>.html`` and into the artifact store.

    The file appears whole or not at all (written beside it, then renamed). links, pictures: as for `tear_sheet_html`.
    Returns its path and the artifact. Raises StorageError where the folder cannot be written.
    """
    content = tear_sheet_html(report, links, pictures).encode("utf-8")
    target = folder / f"{report.mode}-{report.start}-{report.end}-{report.experiment[:12]}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(target, content)
    except OSError as error:
        raise StorageError(
            f"the tear sheet cannot be written to {folder} ({error.strerror}): choose another --home"
        ) from error
    return target, artifacts.put(content, "tear_sheet", "text/html")
