"""The house itself: the lock, the package list, the names at the top, and what a clean start imports."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP_LEVEL = ("pipelines", "assets", "resources", "sensors", "throughline", "tests")
LOCKS = ("requirements.lock", "requirements-dev.lock")
HEAVY = {"great_expectations", "mlflow", "sklearn", "ccxt", "skops", "quantstats", "matplotlib", "numba", "scipy"}


@pytest.fixture(scope="module")
def project(repo: Path) -> dict[str, Any]:
    return tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))


def entries(lock: Path) -> dict[str, list[str]]:
    """Return the locked requirements, each with its hashes."""
    text = re.sub(r"(?m)^\s*#.*$", "", lock.read_text(encoding="utf-8")).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    return {line.split("--hash")[0].strip(): re.findall(r"--hash=sha256:([0-9a-f]{64})", line) for line in lines}


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_no_installed_package_shadows_a_top_level_name(repo: Path, name: str) -> None:
    module = importlib.import_module(name)
    places = [Path(place).resolve() for place in module.__path__]
    assert places == [repo / name]


def test_no_loose_module_at_the_root_shadows_an_installed_package(repo: Path) -> None:
    loose = sorted(path.name for path in repo.glob("*.py"))
    assert loose == [], f"move {loose} into a package: a module at the root shadows installed ones for Dagster"


def test_every_package_is_listed_and_every_listed_package_exists(repo: Path, project: dict[str, Any]) -> None:
    listed = set(project["tool"]["setuptools"]["packages"])
    roots = [repo / name for name in TOP_LEVEL if name != "tests"]
    found = {
        ".".join(path.parent.relative_to(repo).parts)
        for root in roots
        for path in root.rglob("*.py")
        if "__pycache__" not in path.parts
    }
    assert found - listed == set(), "name these in [tool.setuptools] packages"
    assert {name for name in listed if not (repo / Path(*name.split("."))).is_dir()} == set()


def test_every_data_file_in_a_package_is_shipped(repo: Path, project: dict[str, Any]) -> None:
    listed = {Path(*name.split(".")) for name in project["tool"]["setuptools"]["packages"]}
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    names = subprocess.run(["git", "ls-files", *TOP_LEVEL[:-1]], cwd=repo, capture_output=True, text=True, check=False)
    if names.returncode != 0:
        pytest.skip("not a git checkout")
    for path in map(Path, names.stdout.splitlines()):
        if path.suffix != ".py":
            assert path.parent in listed, f"{path} lies outside every listed package"
            assert any(path.match(pattern) for pattern in patterns), f"{path} matches no pattern of package-data"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_requirement_is_pinned_and_hashed(repo: Path, lock: str) -> None:
    locked = entries(repo / lock)
    assert len(locked) > 80
    for requirement, hashes in locked.items():
        assert re.match(r"^[a-z0-9.\-]+==[^ ]+( ;.*)?$", requirement), requirement
        assert hashes, requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_names_no_host(repo: Path, lock: str) -> None:
    text = (repo / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"--(index-url|extra-index-url|find-links|trusted-host)", text)


def test_the_development_lock_holds_the_same_versions_as_the_lock(repo: Path) -> None:
    run, dev = entries(repo / LOCKS[0]), entries(repo / LOCKS[1])
    missing = {name.split(" ;")[0] for name in run} - {name.split(" ;")[0] for name in dev}
    assert missing == set()


def test_the_build_backend_is_in_the_lock(repo: Path, project: dict[str, Any]) -> None:
    locked = {requirement.split(" ;")[0] for requirement in entries(repo / LOCKS[0])}
    assert set(project["build-system"]["requires"]) <= locked


def test_every_declared_dependency_is_in_the_lock(repo: Path, project: dict[str, Any]) -> None:
    locked = {requirement.split("==")[0] for requirement in entries(repo / LOCKS[1])}
    declared = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    assert {re.split(r"[=<>!~ ]", item)[0] for item in declared} <= locked


def test_both_ways_to_load_the_code_name_the_same_location(repo: Path, project: dict[str, Any]) -> None:
    (place,) = yaml.safe_load((repo / "workspace.yaml").read_text(encoding="utf-8"))["load_from"]
    dg = project["tool"]["dg"]["project"]
    assert place["python_module"]["location_name"] == dg["code_location_name"]
    assert place["python_module"]["module_name"] == dg["code_location_target_module"]


def test_no_heavy_library_is_imported_by_the_definitions(repo: Path) -> None:
    program = "import json, sys, pipelines.definitions as d; print(json.dumps([d.__file__, sorted(sys.modules)]))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=repo, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    place, modules = json.loads(done.stdout.splitlines()[-1])
    assert Path(place) == repo / "pipelines" / "definitions.py"
    assert sorted({name.split(".")[0] for name in modules} & HEAVY) == []


def test_no_file_cites_a_page_that_is_not_in_the_repository(repo: Path) -> None:
    listing = subprocess.run(("git", "ls-files"), cwd=repo, capture_output=True, text=True, check=True).stdout
    files = listing.splitlines()
    names = {Path(name).name for name in files}
    missing = set()
    for name in files:
        if not name.endswith((".py", ".md", ".toml", ".yaml", ".sh")):
            continue
        text = (repo / name).read_text(encoding="utf-8")
        for page in re.findall(r"(?<![\w/.])((?:\.\./|[\w-]+/)*[\w-]+\.md)\b", text):
            near = ((repo / name).parent / page).resolve()
            if not ((repo / page).exists() or near.exists() or ("/" not in page and page in names)):
                missing.add((name, page))
        missing.update((name, cited) for cited in re.findall(r"\bDESIGN section \d+", text))
    assert missing == set()
