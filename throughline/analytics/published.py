"""A report with its files: the tear sheet, and the dossier pages that its table of trades links to.

Belongs here: which trades get a page, where the files lie, and the entry of the tear sheet in the artifact store. Does
not belong here: the pages themselves (tearsheet, dossier) and the figures (report). The command and the asset
`backtest_report` both write a report through here, so they give the same files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Engine

from throughline.analytics.model import Report
from throughline.analytics.tear_sheet.page import write_tear_sheet
from throughline.dossier.page import write_dossiers
from throughline.proof.log import anchor_logged
from throughline.proof.settings import Proof
from throughline.registry.index_loading import load_index
from throughline.storage.artifacts import ArtifactRef, ArtifactStore
from throughline.storage.queries import record_artifacts

DOSSIERS = 5
"""So many of the best and of the worst trades get a page with each report where nobody asks for more; a page takes
about 0.25 s."""
FOLDER = "dossiers"
"""Where the pages lie, beside the tear sheet."""


@dataclass(frozen=True)
class PublishedReport:
    """A report and its files. page: the tear sheet; artifact: its bytes in the store; dossiers: trade ID -> page."""

    report: Report
    page: Path
    artifact: ArtifactRef
    dossiers: Mapping[str, Path]


def publish_report(
    engine: Engine,
    artifacts: ArtifactStore,
    proof: Proof | None,
    report: Report,
    folder: Path,
    *,
    dossiers: int = DOSSIERS,
) -> PublishedReport:
    """Write the dossiers of the best and worst trades, then the tear sheet that links to them; return where they are.

    Args:
        engine: may write (the artifact is recorded).
        artifacts: gets the bytes of the tear sheet.
        proof: key and anchor for the dossiers; None leaves signature and anchor of the seal log unchecked in them.
        report: what is shown.
        folder: where the tear sheet goes; the pages go to its folder `dossiers`.
        dossiers: how many of the best and how many of the worst trades get a page.

    Returns:
        The report, with the paths of its tear sheet and pages.

    Raises:
        StorageError: a file cannot be written.
    """
    pages: dict[str, Path] = {}
    chosen = list(dict.fromkeys((*report.best_trades(dossiers), *report.worst_trades(dossiers))))
    if chosen:
        with engine.connect() as connection:
            loaded = load_index(connection, report.experiment)
        pages = write_dossiers(engine, artifacts, proof, chosen, folder / FOLDER, loaded)
    report = replace(report, dossiers={name: str(path) for name, path in pages.items()})
    page, ref = write_tear_sheet(report, folder, artifacts)
    with engine.begin() as connection:
        record_artifacts(connection, [ref])
    if proof is not None:
        anchor_logged(engine, proof)  # where it cannot be done, the run has said why when it began
    return PublishedReport(replace(report, tear_sheet=str(page)), page, ref, pages)
