"""Several processes and threads register the same and different trades at once: the registries are those of one."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from sqlalchemy import text

from tests.integration.registry_trades import trade
from throughline.registry.coordinator import RegistryCoordinator

PROGRAM = Path(__file__).with_name("registry_process.py")
COUNT = 36


def roots(registry: RegistryCoordinator) -> dict[str, object]:
    told = registry.get_registry_statistics()
    return {name: told[name] for name in ("canonical_trades", "soulprints", "profit_buckets", "linkage", "buckets")}


def test_several_writers_at_once_give_the_same_roots_as_one(tmp_path: Path) -> None:
    with RegistryCoordinator(tmp_path / "one") as registry:
        names = registry.add_trades([trade(number) for number in range(COUNT)])
        alone = roots(registry)
    with RegistryCoordinator(tmp_path / "many") as registry:
        commands = [
            [sys.executable, str(PROGRAM), str(tmp_path / "many"), str(seed), str(count)]
            for seed, count in ((1, COUNT), (2, COUNT), (3, COUNT // 2))
        ]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
        failed: list[BaseException] = []

        def register(first: int) -> None:
            try:
                for number in range(first, COUNT, 2):
                    assert registry.add_trade_with_linkages(*trade(number)) == names[number]
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=register, args=(first,)) for first in (0, 1, 0)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = [process.communicate(timeout=120)[0].split() for process in processes]
        assert not failed
        assert [process.returncode for process in processes] == [0, 0, 0]
        assert told == [names, names, names[: COUNT // 2]]
        assert roots(registry) == alone
        with registry._engine.connect() as connection:
            numbers = list(connection.execute(text("SELECT seq FROM seal_events ORDER BY seq")).scalars())
            logged = connection.execute(
                text(
                    "SELECT count(*), count(DISTINCT entry->>1) FROM seal_events, "
                    "jsonb_array_elements(convert_from(body, 'UTF8')::jsonb->'rows') AS entry WHERE kind = 'entries'"
                )
            ).one()
        assert numbers == list(range(len(numbers)))
        assert tuple(logged) == (3 * COUNT, 3 * COUNT)  # each row is logged once, whoever wrote it
        report = registry.validate_registry_consistency()
        assert report["ok"], report["findings"][:3]
        assert report["trades"] == COUNT
