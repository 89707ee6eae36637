"""What `throughline dev` says before it starts anything."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from pipelines.dev import require_free, require_loopback, write_dagster_home
from throughline.errors import SettingsError
from throughline.storage.home import Home


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_loopback_addresses_are_served(host: str) -> None:
    require_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org", ""])
def test_any_other_address_is_refused_with_the_remedy(host: str) -> None:
    with pytest.raises(SettingsError, match=r"has no login.*leave --host at"):
        require_loopback(host)


def test_a_taken_port_is_named_with_one_that_is_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"Port {port} on 127.0.0.1 .*taken.*--port (\d+) is free") as caught:
            require_free("127.0.0.1", port)
    assert f"--port {port} " not in str(caught.value)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(SettingsError, match=f"Port {port} does not exist"):
        require_free("127.0.0.1", port)


def test_dagsters_home_lies_in_ours_and_names_the_code_by_its_full_path(tmp_path: Path, repo: Path) -> None:
    folder = write_dagster_home(Home(tmp_path / "a home: 'with' characters"))
    assert folder == tmp_path / "a home: 'with' characters" / "dagster"
    assert (folder / "dagster.yaml").read_bytes() == (repo / "dagster.yaml").read_bytes()
    (place,) = json.loads((folder / "workspace.yaml").read_text(encoding="utf-8"))["load_from"]
    assert place["python_module"]["location_name"] == "throughline"
    assert Path(place["python_module"]["working_directory"]) == repo
