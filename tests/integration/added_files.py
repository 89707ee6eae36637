"""A process with one more stage, registry and migration: ``python added_files.py STAGES REGISTRIES MIGRATIONS HOME``.

The folders are put on the paths of the packages before anything is imported that reads them, as if their files lay in
those packages. What came of it is printed as JSON.
"""

from __future__ import annotations

import json
import sys
from datetime import date

import throughline.catalogue.stages
import throughline.registries
import throughline.storage.migrations.versions

throughline.catalogue.stages.__path__.append(sys.argv[1])
throughline.registries.__path__.append(sys.argv[2])
throughline.storage.migrations.versions.__path__.append(sys.argv[3])

from sqlalchemy import Engine, text  # noqa: E402

from pipelines.build import build_defs  # noqa: E402
from resources.settings import load_settings  # noqa: E402
from tests.integration.small_home import seal_experiment  # noqa: E402
from tests.integration.tampering.home import trade  # noqa: E402
from throughline.dossier.story import tell  # noqa: E402
from throughline.registry.consistency import check_connection  # noqa: E402
from throughline.registry.coordinator import RegistryCoordinator  # noqa: E402
from throughline.storage.artifacts import ArtifactStore  # noqa: E402
from throughline.storage.database import open_database  # noqa: E402
from throughline.storage.home import Home  # noqa: E402
from throughline.verification import verify_connection  # noqa: E402

TABLES = ("notes", "holding_times")
FIRST, LAST = date(2024, 3, 2), date(2024, 3, 4)


def findings(engine: Engine, store: ArtifactStore) -> dict[str, list[str]]:
    """Return what the check of the registries and the verification find."""
    with engine.connect() as connection:
        registry = check_connection(connection, scope="full", artifacts=store)
        whole = verify_connection(connection, store)
    return {
        "registry": [f"{item.table}: {item.problem}" for item in registry.findings],
        "verify": [f"{item.table}: {item.problem}" for item in whole.findings],
    }


def edited(owner: Engine, reader: Engine, store: ArtifactStore, table: str, column: str) -> dict[str, list[str]]:
    """Return the findings after one more is added to a number in the first row of a table."""
    with owner.begin() as connection:
        first = f"SELECT uuid FROM {table} ORDER BY uuid LIMIT 1"
        connection.execute(text(f"UPDATE {table} SET {column} = {column} + 1 WHERE uuid = ({first})"))
    return findings(reader, store)


def edges(home: str) -> dict[str, list[str]]:
    """Return the upstream assets that Dagster shows, of each asset of mode 'demo'."""
    graph = build_defs(load_settings({}, home=home)).resolve_asset_graph()
    keys = [key for key in graph.get_all_asset_keys() if key.path[0] == "demo"]
    return {key.path[-1]: sorted(parent.path[-1] for parent in graph.get(key).parent_keys) for key in keys}


def main() -> None:
    """Run a few days, register a trade by hand, ask, check, and edit a row of each table."""
    home = Home(sys.argv[4])
    with open_database(home) as database:
        owner, reader = database.engine("owner"), database.engine("auditor")
        store = ArtifactStore(home.artifacts)
        experiment = seal_experiment(database, store, start=FIRST, end=LAST)
        with RegistryCoordinator(sys.argv[4]) as registry:
            linked = registry.get_trade_with_all_linkages(registry.add_trade_with_linkages(*trade(2)))
            statistics = registry.get_registry_statistics(experiment=experiment.id)
        with reader.connect() as connection:
            counted = ("outcomes", "canonical_trades", *TABLES)
            rows = {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in counted}
            sealed = "SELECT count(*) FROM partition_seals WHERE asset = :asset"
            days = {name: connection.execute(text(sealed), {"asset": name}).scalar_one() for name in TABLES}
            one = connection.execute(text("SELECT uuid FROM holding_times ORDER BY uuid LIMIT 1")).scalar_one()
            story = tell(connection, one)
        result = {
            "rows": rows,
            "sealed_days": days,
            "linkage": linked["linkages"]["holding_times"]["linked"],
            "complete": linked["complete"],
            "statistics": {"linkage": statistics["linkage"]["holding_times"], "mean_hours": statistics["mean_hours"]},
            "story": [step.table for step in story.steps if step.ok],
            "edges": edges(sys.argv[4]),
            "untouched": findings(reader, store),
            "edited_entry": edited(owner, reader, store, "holding_times", "hours"),
            "edited_note": edited(owner, reader, store, "notes", "words"),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
