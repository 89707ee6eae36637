"""The tear sheet of a backtest: one static HTML file that needs no network and no other file.

Belongs here: the page and its file. Does not belong here: the figures (report), the sections (`sections/`) and how
anything looks (`throughline.rendering`). The same report gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path

from throughline.analytics.model import Report
from throughline.analytics.report_tables import sharpe_text
from throughline.analytics.sentences import revision_sentence, warning_sentences
from throughline.rendering.blocks import find_sections
from throughline.rendering.formats import percent
from throughline.rendering.page import render_page, write_page
from throughline.storage.artifacts import ArtifactRef, ArtifactStore


def tear_sheet_html(report: Report) -> str:
    """Return the page as one HTML document.

    Args:
        report: what is shown; at least one day. Its `dossiers` are linked as files of a folder beside the page.
    """
    base, days = report.paths["base"], (report.end - report.start).days + 1
    sections = find_sections("throughline.analytics.tear_sheet.sections")
    parts = [(section.title, list(section.blocks(report))) for section in sections]
    counted = f"{report.instruments:,} instruments, {report.bars:,} bars, {report.candidates:,} candidates"
    warnings = warning_sentences(report)
    if report.revision:
        warnings.append(revision_sentence(report.revision, report.experiment))
    return render_page(
        "tear_sheet.html.j2",
        title=f"Throughline {report.mode} {report.start} to {report.end}",
        heading=f"Backtest {report.start} to {report.end}",
        lines=[
            f"{days:,} day{'s' if days > 1 else ''}, {counted}",
            f"experiment {report.experiment}",
        ],
        tiles=[
            (percent(base.total_return), "return, base path"),
            (sharpe_text(base), "Sharpe ± standard error (daily, √365)"),
            (percent(-base.max_drawdown), "max drawdown"),
            (str(report.trades), "closed trades"),
            (percent(base.win_rate, signed=False), "win rate"),
            (str(len(report.open_positions)), "open at the end"),
        ],
        warnings=warnings,
        sections=[(title, blocks) for title, blocks in parts if blocks],
        footer="Written by Throughline. Times are UTC.",
    )


def write_tear_sheet(report: Report, folder: Path, artifacts: ArtifactStore) -> tuple[Path, ArtifactRef]:
    """Write the page to ``folder/<mode>-<start>-<end>-<experiment>.html`` and into the artifact store.

    Returns:
        The path of the page and its artifact.

    Raises:
        StorageError: the folder cannot be written.
    """
    content = tear_sheet_html(report)
    name = f"{report.mode}-{report.start}-{report.end}-{report.experiment[:12]}.html"
    page = write_page(content, folder / name, "tear sheet", "choose another --home")
    return page, artifacts.put(content.encode("utf-8"), "tear_sheet", "text/html")
