"""`registry_coordinator`: opened when first used, on the configured home, and on no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.registry_trades import trade
from throughline.registry import registry_coordinator


def test_the_proxy_follows_the_configured_home_and_two_homes_never_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "first"))
        name = registry_coordinator.add_trade_with_linkages(*trade(1))
        assert registry_coordinator.get_performance_analytics()["total_trades"] == 1
        monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "second"))
        assert registry_coordinator.get_performance_analytics()["total_trades"] == 0
        assert registry_coordinator.add_trade_with_linkages(*trade(1)) == name
        monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "first"))
        assert registry_coordinator.get_trade_with_all_linkages(name)["complete"]
        assert "open" in repr(registry_coordinator)
    finally:
        registry_coordinator.close()


def test_importing_it_opens_nothing_and_the_process_ends_cleanly_after_use(tmp_path: Path) -> None:
    environment = {**os.environ, "THROUGHLINE_HOME": str(tmp_path / "home")}
    program = "from throughline.registry import registry_coordinator; print(registry_coordinator)"
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "not opened yet" in told.stdout
    assert not (tmp_path / "home").exists()
    program += "; print(registry_coordinator.get_registry_statistics()['canonical_trades']['entries'])"
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "0"
    assert told.stderr == ""
    assert not list((tmp_path / "home").rglob("postmaster.pid")), "the server of the home is stopped"


def test_names_that_do_not_exist_are_refused_without_a_guess() -> None:
    with pytest.raises(AttributeError):
        registry_coordinator._no_such_name  # noqa: B018
