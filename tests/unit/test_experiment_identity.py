"""What names an experiment, and what does not."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from throughline.clock import SystemClock
from throughline.configuration import Configuration, load_configuration
from throughline.errors import SettingsError
from throughline.experiment.identity import (
    Experiment,
    configuration_pointer,
    decision_code_hash,
    from_body,
    lock_hash,
    make_experiment,
)
from throughline.experiment.provider import make_provider
from throughline.identity import canonical_bytes, content_hash

DAY = date(2021, 2, 1)


def _made(**changes: Any) -> Experiment:
    told: dict[str, Any] = {
        "mode": "backtest",
        "epoch": DAY,
        "configuration": Configuration(),
        "source_hash": "s" * 64,
        "seed": 0,
        "lock": "l" * 64,
        "code": "c" * 64,
        "parent": None,
        "data_revision": None,
    } | changes
    return make_experiment(
        told.pop("mode"),
        told.pop("epoch"),
        told.pop("configuration"),
        told.pop("source_hash"),
        told.pop("seed"),
        **told,
    )


def test_everything_that_decides_a_record_is_in_the_identity(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[costs]\nfee = 0.002\n")
    changes: list[dict[str, Any]] = [
        {"mode": "demo"},
        {"epoch": date(2021, 2, 2)},
        {"configuration": load_configuration(path)},
        {"source_hash": "t" * 64},
        {"seed": 1},
        {"lock": "m" * 64},
        {"code": "d" * 64},
        {"parent": "p" * 64, "data_revision": "r" * 64},
    ]
    ids = {_made().id} | {_made(**change).id for change in changes}
    assert len(ids) == 1 + len(changes)
    assert _made().id == _made().id


@pytest.mark.parametrize("section", ["strategy", "sizing", "exits", "costs", "gates", "canary"])
def test_every_single_setting_is_in_the_identity(section: str) -> None:
    base = Configuration().model_dump()
    seen = {_made().id}
    for name, value in base[section].items():
        if isinstance(value, dict):
            changed: Any = value | {"enabled": not value["enabled"]}
        else:
            changed = value * 0.9 if isinstance(value, float) and value else value + 1
        told = base | {section: base[section] | {name: changed}}
        seen.add(_made(configuration=Configuration.model_validate(told)).id)
    assert len(seen) == 1 + len(base[section])


def test_writing_out_a_default_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[exits]\nstop_loss = 0.150\n")
    assert _made(configuration=load_configuration(path)).id == _made().id


def test_an_experiment_reads_back_from_its_body() -> None:
    for made in (_made(), _made(parent="p" * 64, data_revision="r" * 64, seed=2**40)):
        assert from_body(made.body) == made


def test_an_experiment_of_an_earlier_release_reads_back_without_the_settings_that_are_gone() -> None:
    told = json.loads(_made().body)
    told["configuration"]["strategy"]["name"] = "my label"
    told["configuration"]["learning"]["max_fold_spread"] = "2.0"
    body = canonical_bytes(told)
    old = from_body(body)
    assert old.configuration == Configuration()
    assert (old.body, old.id) == (body, content_hash("experiment", body)), "its identity is that of all that it said"
    del told["configuration"]["learning"]
    assert from_body(canonical_bytes(told)).configuration == Configuration()


def test_a_setting_with_many_digits_reads_back_exactly_and_is_told_from_its_neighbour() -> None:
    base = Configuration().model_dump()
    one, other = (
        Configuration.model_validate(base | {"costs": base["costs"] | {"fee": fee}})
        for fee in (0.00123456789012, 0.00123456789013)
    )
    assert _made(configuration=one).id != _made(configuration=other).id
    assert from_body(_made(configuration=one).body).configuration == one


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(SettingsError, match="mode 'paper' does not exist: choose one of backtest, demo"):
        _made(mode="paper")


def test_the_code_hash_covers_the_rooms_that_decide_and_nothing_else(tmp_path: Path) -> None:
    for room in ("market", "strategy", "trading", "storage"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "a.py").write_text("x = 1\n")
    before = decision_code_hash(tmp_path)
    (tmp_path / "storage" / "a.py").write_text("x = 2\n")
    (tmp_path / "strategy" / "notes.txt").write_text("not code")
    assert decision_code_hash(tmp_path) == before
    (tmp_path / "strategy" / "a.py").write_text("x = 2\n")
    changed = decision_code_hash(tmp_path)
    assert changed != before
    (tmp_path / "strategy" / "b.py").write_text("")
    assert decision_code_hash(tmp_path) not in (before, changed)


def test_a_missing_lock_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"requirements\.lock: the lock file is missing"):
        lock_hash(tmp_path / "requirements.lock")


def test_a_pointer_leads_to_the_experiment_and_the_part_of_its_body() -> None:
    made = _made()
    assert configuration_pointer(made, "strategy") == f"experiment:{made.id}#/configuration/strategy"


def test_a_provider_needs_its_inputs_and_a_mode_that_has_one() -> None:
    assert make_provider("demo", {"seed": 7}, SystemClock()).description.benchmark
    with pytest.raises(SettingsError, match="mode 'demo' needs seed"):
        make_provider("demo", {}, SystemClock())
    with pytest.raises(SettingsError, match="mode 'backtest' needs data"):
        make_provider("backtest", {"archive": "x.toml"}, SystemClock())
    with pytest.raises(SettingsError, match="mode 'live' does not exist: choose one of backtest, demo"):
        make_provider("live", {}, SystemClock())


def test_an_experiment_recorded_with_a_label_as_its_strategy_reads_back_without_it() -> None:
    body = json.loads(_made().body)
    body["configuration"]["strategy"]["name"] = "my own label"
    old = canonical_bytes(body)
    again = from_body(old)
    assert again.body == old
    assert again.id != _made().id
    assert again.configuration == _made().configuration


def test_an_experiment_recorded_with_settings_beyond_today_s_bounds_is_one_sentence() -> None:
    body = json.loads(_made().body)
    body["configuration"]["exits"]["max_hold_hours"] = 10**12
    with pytest.raises(SettingsError, match=r"experiment [0-9a-f]{12}: setting 'exits.max_hold_hours' must be less"):
        from_body(canonical_bytes(body))
