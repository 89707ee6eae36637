"""What every test may ask for: the real data beside the repository, and settings for Hypothesis."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.folders import pytest_fixture_post_finalizer, pytest_fixture_setup, tmp_path_factory
from tests.prepared import homes_start_prepared

__all__ = [  # pytest finds them by name
    "homes_start_prepared",
    "pytest_fixture_post_finalizer",
    "pytest_fixture_setup",
    "tmp_path_factory",
]

REPO = Path(__file__).resolve().parent.parent

AddModule = Callable[[str, str, str], Path]

# `default` is reproducible and short; HYPOTHESIS_PROFILE=thorough looks further, with other seeds each time.
settings.register_profile(
    "default", max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# A shell that starts the tests in the background has them ignore SIGINT, and what they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Nothing under test reports to anyone, whatever the person's own environment says.
os.environ.update(
    DAGSTER_DISABLE_TELEMETRY="1", GX_ANALYTICS_ENABLED="false", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true"
)


@pytest.hookimpl(optionalhook=True)  # xdist may be switched off
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes run the tests: one more than processors, since some tests wait for servers."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def own_signing_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test ever signs with, or makes, the person's own key: neither here nor in processes that tests start."""
    folder = tmp_path_factory.mktemp("settings")
    changed = {"THROUGHLINE_SIGNING_KEY": str(folder / "throughline" / "signing.pem"), "XDG_CONFIG_HOME": str(folder)}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the repository."""
    return REPO


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real market data, beside the repository as ../shared/data; tests on it are skipped where it is not there."""
    folder = REPO.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data files (../shared/data beside the repository) are not on this machine")
    return folder


@pytest.fixture
def add_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AddModule]:
    """Return a function that adds a module to a package from a temporary folder: package, name, source -> file."""
    added: list[tuple[str, str]] = []

    def add(package: str, name: str, source: str) -> Path:
        folder = tmp_path / package
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(source)
        owner = importlib.import_module(package)
        monkeypatch.setattr(owner, "__path__", [*owner.__path__, str(folder)])
        importlib.invalidate_caches()
        added.append((package, name))
        return folder / f"{name}.py"

    yield add
    for package, name in added:
        sys.modules.pop(f"{package}.{name}", None)
        vars(sys.modules[package]).pop(name, None)
