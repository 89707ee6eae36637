"""The examples of docs/extending.md are added as they stand and are found."""

from __future__ import annotations

import re
from pathlib import Path

import dagster as dg

from pipelines.build import build_defs
from resources.settings import load_settings
from tests.conftest import AddModule
from throughline.experiment.mode import find_mode
from throughline.experiment.provider import providers_of

EXAMPLES = {
    "a market data provider": ("throughline.experiment.providers", "recorded"),
    "a mode": ("throughline.experiment.modes", "replay"),
    "an asset": ("assets", "losses"),
    "a job or a schedule": ("pipelines.jobs", "losses"),
    "a sensor": ("sensors", "late"),
}


def example(page: str, title: str) -> str:
    """Return the first Python block of a section."""
    section = page.partition(f"\n## Adding {title}\n")[2].partition("\n## ")[0]
    block = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert block is not None, f"docs/extending.md has no example under 'Adding {title}'"
    return block[1]


def test_the_examples_are_found_as_they_stand(repo: Path, tmp_path: Path, add_module: AddModule) -> None:
    page = (repo / "docs" / "extending.md").read_text(encoding="utf-8")
    for title, (package, name) in EXAMPLES.items():
        add_module(package, name, example(page, title))
    mode = find_mode("replay")
    assert list(providers_of(mode)) == ["recorded", "archive"]
    repository = build_defs(load_settings({}, home=str(tmp_path))).get_repository_def()
    assert dg.AssetKey(["replay", "largest_loss"]) in repository.assets_defs_by_key
    assert "report_replay_loss_job" in repository.job_names
    statuses = {item.name: item.default_status.value for item in repository.schedule_defs}
    assert (statuses["replay_daily"], statuses["replay_loss_weekly"]) == ("RUNNING", "STOPPED")
    assert "late_replay" in {item.name for item in repository.sensor_defs}
