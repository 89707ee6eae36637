"""What every test may ask for: the real data beside the repository, and settings for Hypothesis."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPO = Path(__file__).resolve().parent.parent

# `default` is reproducible and short; HYPOTHESIS_PROFILE=thorough looks further, with other seeds each time.
settings.register_profile(
    "default", max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Nothing under test reports to anyone, whatever the person's own environment says.
os.environ.update(
    DAGSTER_DISABLE_TELEMETRY="1", GX_ANALYTICS_ENABLED="false", MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true"
)


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
