"""Provider `archive`: described files of real market data (examples/archives/README.md)."""

from __future__ import annotations

from pydantic import Field

from throughline.clock import Clock
from throughline.experiment.provider import ProviderOptions, ProviderSpec, UserPath
from throughline.market.panel import MarketDataProvider


class ArchiveOptions(ProviderOptions):
    """Where the files of an archive are."""

    archive: UserPath = Field(description="TOML description of the archive.")
    data: UserPath = Field(description="Folder that relative paths of the archive start from.")
    data_also: tuple[UserPath, ...] = Field(
        default=(), description="Another folder from which files of the archive may be read (repeatable)."
    )


def open_provider(options: ArchiveOptions, clock: Clock) -> MarketDataProvider:
    """Return the provider of the described files."""
    from throughline.market.archive import open_archive

    return open_archive(options.archive, options.data, clock, options.data_also)


PROVIDER = ProviderSpec(
    name="archive",
    market="history",
    description="Files that a TOML description explains: CSV, Parquet, Feather or JSON.",
    options=ArchiveOptions,
    open=open_provider,
)
