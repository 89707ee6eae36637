"""Exit rules: trailing stop and ROI table by hand, levels recomputed for the proof, and a rule that is one file."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documented import example
from tests.unit.test_trading_cases import BASE, FREE, HOUR, QUIET, closes, market, only, orders, run
from tests.unit.trading_random import random_case
from throughline.errors import SettingsError
from throughline.exits import Bar, Entry, RuleSettings, all_rules, reason_names, registry
from throughline.exits.rules import roi_table, trailing_stop
from throughline.trading import PATHS, Bars, ExitRules, SimulationInputError, simulate
from throughline.trading.compiling import stamp
from throughline.trading.kernel.path import run_path

ROOT = Path(__file__).resolve().parents[2]
WIDE = {"stop_loss": 0.9, "take_profit": 9.0}


def with_rule(settings: RuleSettings, **options: Any) -> ExitRules:
    return ExitRules(**{**WIDE, **options}, others=(settings,))


TRAIL = trailing_stop.Settings(percent=0.1)
HOURLY: dict[str, tuple[RuleSettings, list[tuple[float, ...]], tuple[str, float, int]]] = {
    "a trailing stop follows the high of the bar before": (
        TRAIL,
        [(1, 100, 120, 100, 118), (2, 118, 119, 105, 106)],
        ("trailing_stop", 108.0, 3),
    ),
    "it does not follow the high of the bar itself": (
        TRAIL,
        [(1, 100, 140, 95, 130), (2, 130, 131, 127, 130), (3, 130, 130, 120, 121)],
        ("trailing_stop", 126.0, 4),
    ),
    "a gap below it fills at the open": (
        TRAIL,
        [(1, 100, 120, 100, 118), (2, 104, 119, 104, 110)],
        ("trailing_stop", 104.0, 2),
    ),
    "it never falls": (
        TRAIL,
        [(1, 100, 120, 100, 118), (2, 118, 119, 109, 110), (3, 110, 111, 107, 108)],
        ("trailing_stop", 108.0, 4),
    ),
    "it begins to trail at its activation": (
        trailing_stop.Settings(percent=0.1, activation=0.2),
        [(1, 100, 119, 100, 101), (2, 101, 121, 100, 120), (3, 120, 120, 100, 101)],
        ("trailing_stop", 108.9, 4),
    ),
    "a target of the table is met inside a bar": (
        roi_table.Settings(steps=((0, 0.3), (2, 0.05))),
        [(1, 100, 104, 99, 101), (2, 101, 106, 100, 102)],
        ("roi_table", 105.0, 3),
    ),
    "a step below the price sells at the open": (
        roi_table.Settings(steps=((0, 0.3), (2, 0.05))),
        [(1, 100, 110, 99, 108), (2, 108, 109, 100, 102)],
        ("roi_table", 105.0, 2),
    ),
}


@pytest.mark.parametrize("name", HOURLY)
def test_exit(name: str) -> None:
    settings, rows, (reason, price, hour) = HOURLY[name]
    bars = market({"A": [(0, *QUIET), *rows]})
    paths = run(bars, orders((0, 0)), FREE, rules=with_rule(settings))
    for path in PATHS:
        trade = only(paths[path])
        assert (trade["reason"], trade["hour"]) == (reason, hour)
        booked = price if path == "pessimistic" or trade["raw_exit_price"] == pytest.approx(price) else rows[-1][1]
        assert trade["raw_exit_price"] == pytest.approx(booked), (
            path
        )  # above a target only the pessimistic path gets it


def test_a_bar_that_meets_trailing_stop_and_target_is_ambiguous_and_booked_by_path() -> None:
    bars = market({"A": [(0, *QUIET), (1, 100, 120, 100, 118), (2, 118, 140, 100, 120)]})
    paths = run(bars, orders((0, 0)), FREE, rules=with_rule(TRAIL, take_profit=0.3))
    found = {path: (only(paths[path])["reason"], only(paths[path])["ambiguous"]) for path in PATHS}
    assert found == {
        "pessimistic": ("trailing_stop", True),
        "base": ("trailing_stop", True),
        "optimistic": ("profit_target", True),
    }


def test_between_equal_levels_the_rule_that_comes_first_gives_the_reason() -> None:
    bars = market({"A": [(0, 100, 100, 99, 100), (1, 100, 100, 80, 81)]})
    trade = only(run(bars, orders((0, 0)), FREE, rules=with_rule(TRAIL, stop_loss=0.1))[BASE])
    assert (trade["reason"], trade["raw_exit_price"]) == ("stop_loss", 90.0)


def test_with_closes_only_a_trailing_stop_follows_closes_and_fills_at_one() -> None:
    trade = only(run(closes(50, 100, 120, 109, 107), orders((0, 1)), FREE, rules=with_rule(TRAIL))[BASE])
    assert (trade["reason"], trade["raw_exit_price"], trade["hour"]) == ("trailing_stop", 107.0, 5)


def test_a_quote_at_which_nobody_could_trade_does_not_raise_a_trailing_stop() -> None:
    rows = [(0, *QUIET), (1, 100, 120, 100, 100), (2, 100, 101, 99, 100)]
    open_ = run(market({"A": rows}, volume=[1e9, 0.0, 1e9]), orders((0, 0)), FREE, rules=with_rule(TRAIL))[BASE]
    assert open_.state.positions[0].slots == {"trailing_stop.highest": 101.0}


def test_a_state_of_other_rules_is_refused() -> None:
    bars = market({"A": [(0, *QUIET)]})
    state = run(bars, orders((0, 0)), FREE, rules=with_rule(TRAIL), keys=["k"])[BASE].state
    with pytest.raises(SimulationInputError, match=r"carries 'trailing_stop\.highest', which no exit rule"):
        run(bars, orders(), FREE, state={BASE: state}, keys=[])


# the proof ------------------------------------------------------------------------------------------------------------


def held_bars(bars: Bars, k: int, since: int) -> list[Bar]:
    def at(ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, UTC)

    return [
        Bar(
            opens=at(int(bars.open_time[r])),
            closes=at(int(bars.open_time[r]) + HOUR),
            open=Decimal(repr(float(bars.open[r]))),
            high=Decimal(repr(float(bars.high[r]))),
            low=Decimal(repr(float(bars.low[r]))),
            close=Decimal(repr(float(bars.close[r]))),
            traded=bars.volume is None or bars.volume[r] != 0.0,
            close_only=bars.close_only,
        )
        for r in range(bars.starts[k], bars.starts[k + 1])
        if bars.open_time[r] >= since
    ]


@given(st.integers(0, 2**32 - 1))
def test_the_levels_recomputed_for_the_proof_are_those_that_the_engine_filled_at(seed: int) -> None:
    case = random_case(seed)
    if case.bars.close_only:
        return
    case = replace(case, rules=replace(case.rules, max_participation=None), overlap=True)
    result = simulate(case.bars, case.entries, case.rules, FREE, None, overlap=True).paths[BASE]
    by_name = {registry.rule_of(settings).name: settings for settings in case.rules.others}
    trades = result.trades
    for k in range(len(trades["entry"])):
        name = reason_names()[trades["reason"][k]]
        inside = trades["exit_time"][k] == trades["exit_bar_open"][k] + HOUR
        if name not in by_name or not inside:
            continue
        index = case.bars.instruments.index(trades["instrument"][k])
        entered = datetime.fromtimestamp(trades["entry_time"][k] / 1000, UTC)
        entry = Entry(Decimal(repr(float(trades["raw_entry_price"][k]))), entered)
        bars = held_bars(case.bars, index, trades["entry_bar_open"][k])
        (level,) = all_rules()[name].recompute(by_name[name], entry, bars)
        opened = datetime.fromtimestamp(trades["exit_bar_open"][k] / 1000, UTC)
        assert float(level.at(opened) or 0) == pytest.approx(trades["raw_exit_price"][k], rel=1e-9)


# the seam -------------------------------------------------------------------------------------------------------------


def test_a_rule_in_a_folder_is_configured_compiled_recorded_and_part_of_the_identity(tmp_path: Path) -> None:
    folder, settings = tmp_path / "rules", tmp_path / "settings.toml"
    folder.mkdir()
    (folder / "break_even.py").write_text(example("Adding an exit rule"))
    settings.write_text("[exits.break_even]\ntrigger = 0.1\n")
    code = f"""
import sys
import throughline.exits.rules as package
package.__path__.append({str(folder)!r})
from pathlib import Path
from throughline.configuration import load_configuration
from throughline.exits import chosen
from throughline.experiment.identity import current_code_hash, decision_code_hash
from throughline.learning.types import STOPPED
from throughline.quality.suite import load_suite, resolved_kwargs
from throughline.tracking import TerminationReason
from throughline.trading import REASONS
from tests.documented import example
from tests.unit.test_trading_cases import *

exits = load_configuration(Path({str(settings)!r})).exits
bars = market({{"A": [(0, *QUIET), (1, 100, 115, 100, 112), (2, 112, 113, 90, 91)]}})
trade = only(run(bars, orders((0, 0)), FREE, rules=ExitRules(others=chosen(exits)))[BASE])
assert (trade["reason"], trade["raw_exit_price"]) == ("break_even", 100.0), trade
assert "break_even" in REASONS and "break_even" in STOPPED
assert TerminationReason("break_even").value == "break_even"
rule = next(rule for rule in load_suite("outcomes").rows.rules if rule.name == "reason_is_one_of_ours")
assert "break_even" in resolved_kwargs(rule, {{}})["value_set"]
assert current_code_hash() != decision_code_hash(Path(package.__file__).parents[2])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must define RULE, an instance of ExitRule"),
        ("from throughline.exits.rules.time_limit import RULE\n", "the name 'time_limit' is taken by"),
        (
            (
                "from dataclasses import replace\nfrom throughline.exits.rules.time_limit import RULE\n"
                "RULE = replace(RULE, name='mine')\n"
            ),
            "the reason 'time_limit' belongs to the rule",
        ),
        (
            (
                "from dataclasses import replace\nfrom throughline.exits.rules.trailing_stop import RULE\n"
                "RULE = replace(RULE, name='mine', reasons=(), moves=False)\n"
            ),
            "set moves=True",
        ),
    ],
)
def test_a_file_that_is_no_rule_is_refused_with_its_fault(
    text: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(text)
    monkeypatch.setattr(registry.package, "__path__", [*registry.package.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "throughline.exits.rules.mine", raising=False)
    with pytest.raises(SettingsError, match=problem):
        registry.all_rules.__wrapped__()
    sys.modules.pop("throughline.exits.rules.mine", None)


def test_the_compiled_core_is_made_anew_when_any_of_its_files_changes(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / "sales.py").write_text("x = 1\n")
    before = stamp(tmp_path)
    stamp.cache_clear()
    (tmp_path / "kernel" / "sales.py").write_text("x = 2\n")
    assert stamp(tmp_path) != before
    assert run_path._cache._cache_file._source_stamp == stamp()  # type: ignore[attr-defined]


def test_a_rule_describes_itself_and_its_reasons_in_words() -> None:
    assert all_rules()["trailing_stop"].describe(TRAIL).startswith("stop 0.1 below the highest price")
    assert all(reason.sentence for rule in all_rules().values() for reason in rule.reasons)
