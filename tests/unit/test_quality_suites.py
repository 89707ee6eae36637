"""Each rule of each suite is broken by one defect, and by nothing else."""

from __future__ import annotations

import json
from datetime import date, timedelta
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
import pytest

from throughline.catalogue import catalogue
from throughline.configuration import GateSettings
from throughline.errors import SettingsError, ThroughlineError
from throughline.quality.runner import GreatExpectationsRunner
from throughline.quality.suite import TRAINING_SET, Rule, count_words, load_suite, parse_suite, resolved_kwargs
from throughline.quality.verdict import Failure

DAY = date(2021, 1, 2)
SUITES = (*catalogue().gated, TRAINING_SET)
NAN = float("nan")

BAR = {"open_time": 0, "open": 2.0, "high": 4.0, "low": 1.0, "close": 3.0, "volume": 5.0}
ROWS: dict[str, list[dict[str, Any]]] = {
    "market_bars": [
        {"key": "A@0", "instrument": "A", **BAR},
        {"key": "B@0", "instrument": "B", **BAR, "volume": NAN},
    ],
    "market_scan": [
        {"key": "01:00", "instruments": 9, "eligible": 4, "triggered": 3, "admitted": 2, "removed_total": 6},
        {"key": "02:00", "instruments": 0, "eligible": 0, "triggered": 0, "admitted": 0, "removed_total": 0},
    ],
    "trade_candidates": [
        {
            "key": f"u{i}",
            "instrument": name,
            "decision_time": "2021-01-02T01:00",
            "decision_day": DAY,
            "confidence": 0.5,
            "opportunity_score": 0.6,
            "momentum": 0.2,
            "volatility": NAN,
            "market_cap": NAN,
            "volume_24h": 1e6,
            "notional_usd": 100.0,
        }
        for i, name in enumerate(("A", "B"))
    ],
    "research_snapshots": [
        {
            "key": f"r{i}",
            "candidate": f"u{i}",
            "inputs": 4,
            "latest_available_lag_s": 0.0,
            "missing": 2,
            "rationale_length": 40,
        }
        for i in range(2)
    ],
    "executions": [
        {
            "key": f"e{i}",
            "entry_price": 2.0,
            "quantity": 50.0,
            "notional_usd": 100.0,
            "fee_usd": 0.1,
            "slippage": 0.002,
            "latency_ms": 0,
            "participation": NAN,
        }
        for i in range(2)
    ],
    "outcomes": [
        {
            "key": f"o{i}",
            "exit_price": 2.5,
            "realized_pnl_percent": 20.0,
            "time_in_market_seconds": 3600,
            "termination_reason": "profit_target",
            "pnl_low_usd": -15.0,
            "realized_pnl_usd": 20.0,
            "pnl_high_usd": 30.0,
        }
        for i in range(2)
    ],
    "canonical_trades": [
        {
            "key": f"t{i}",
            "outcome": f"o{i}",
            "entry_price": 2.0,
            "exit_price": 2.5,
            "amount": 50.0,
            "profit_usd": 20.0,
            "seconds_open": 3600.0,
        }
        for i in range(2)
    ],
    "soulprints": [{"key": f"s{i}", "canonical": f"t{i}", "components": 15, "missing": 2} for i in range(2)],
    "profit_buckets": [
        {
            "key": f"b{i}",
            "canonical": f"t{i}",
            "buckets": 4,
            "max_favorable_percent": 30.0,
            "max_adverse_percent": -2.0,
        }
        for i in range(2)
    ],
    "trade_features": [
        {
            "key": f"f{i}",
            "candidate": f"u{i}",
            "source": "shadow",
            "net_return": -0.15,
            "decided_before_entry": 1,
            "entered_before_exit": 1,
            "resolved_in_day": 1,
            "missing_share": 0.3,
            "features": 40,
        }
        for i in range(2)
    ],
    "training_set": [
        {
            "key": f"u{i}",
            "source": "executed",
            "net_return": 0.3,
            "weight": 0.5,
            "decided": 100.0,
            "t0": 100.0,
            "t1": 200.0,
            "as_of": 200.0,
        }
        for i in range(2)
    ],
}
DAYS: dict[str, dict[str, Any]] = {
    "market_bars": {
        "bars": 2,
        "instruments": 2,
        "quarantined": 0,
        "quarantined_share": 0.0,
        "universe_ratio": NAN,
        "hours": 1,
        "day_share": 1.0,
        "hours_missing": 0,
    },
    "market_scan": {"scans": 2},
    "trade_candidates": {"candidates": 2},
    "research_snapshots": {"candidates": 2, "documents": 2},
    "executions": {"executions": 2, "written": 2},
    "outcomes": {"outcomes": 2, "written": 2},
    "canonical_trades": {"trades": 2, "outcomes": 2},
    "soulprints": {"soulprints": 2, "written": 2},
    "profit_buckets": {"profit_buckets": 2, "written": 2},
    "trade_features": {"labels": 2},
    "training_set": {"labels": 2},
}

DEFECTS: list[tuple[str, dict[str, Any], str]] = [
    ("market_bars", {"instrument": None}, "instrument_is_known"),
    ("market_bars", {"open": NAN}, "open_is_known"),
    ("market_bars", {"high": NAN}, "high_is_known"),
    ("market_bars", {"low": NAN}, "low_is_known"),
    ("market_bars", {"close": NAN}, "close_is_known"),
    ("market_bars", {"low": 0.0}, "low_is_a_price"),
    ("market_bars", {"low": -1.0}, "low_is_a_price"),
    ("market_bars", {"high": float("inf")}, "high_is_a_price"),
    ("market_bars", {"high": 1e20}, "high_is_a_price"),
    ("market_bars", {"high": 2.5}, "high_is_not_below_close"),
    ("market_bars", {"high": 3.5, "open": 3.7}, "high_is_not_below_open"),
    ("market_bars", {"low": 2.5}, "low_is_not_above_open"),
    ("market_bars", {"low": 1.9, "close": 1.5}, "low_is_not_above_close"),
    ("market_bars", {"volume": -1.0}, "volume_is_not_negative"),
    ("market_bars", {"volume": float("inf")}, "volume_is_not_negative"),
    ("market_bars", {"key": "B@0"}, "one_bar_per_instrument_and_time"),
    ("market_scan", {"instruments": NAN}, "instruments_is_known"),
    ("market_scan", {"admitted": -1}, "admitted_is_a_count"),
    ("market_scan", {"eligible": 10}, "eligible_are_among_instruments"),
    ("market_scan", {"admitted": 4}, "admitted_are_among_triggered"),
    ("market_scan", {"removed_total": 5}, "funnel_adds_up"),
    ("market_scan", {"key": "02:00"}, "one_scan_per_instant"),
    ("trade_candidates", {"instrument": None}, "instrument_is_known"),
    ("trade_candidates", {"decision_day": date(2021, 1, 3)}, "decision_is_on_its_day"),
    ("trade_candidates", {"decision_day": None}, "decision_day_is_known"),
    ("trade_candidates", {"confidence": 1.01}, "confidence_is_a_share"),
    ("trade_candidates", {"confidence": NAN}, "confidence_is_known"),
    ("trade_candidates", {"opportunity_score": -0.1}, "score_is_a_share"),
    ("trade_candidates", {"momentum": 0.0}, "momentum_is_upward"),
    ("trade_candidates", {"volatility": -0.1}, "volatility_is_not_negative"),
    ("trade_candidates", {"market_cap": 0.0}, "market_cap_is_positive"),
    ("trade_candidates", {"volume_24h": -5.0}, "volume_24h_is_not_negative"),
    ("trade_candidates", {"notional_usd": 0.0}, "notional_is_positive"),
    ("trade_candidates", {"key": "u1"}, "one_row_per_candidate"),
    ("trade_candidates", {"instrument": "B"}, "one_candidate_per_instrument_and_instant"),
    ("research_snapshots", {"candidate": None}, "candidate_is_known"),
    ("research_snapshots", {"inputs": 0}, "snapshot_has_inputs"),
    ("research_snapshots", {"latest_available_lag_s": -1.0}, "no_input_is_from_the_future"),
    ("research_snapshots", {"missing": -1}, "missing_is_a_count"),
    ("research_snapshots", {"rationale_length": 0}, "rationale_is_written"),
    ("research_snapshots", {"candidate": "u1"}, "one_snapshot_per_candidate"),
    ("executions", {"entry_price": -2.0}, "entry_price_is_a_price"),
    ("executions", {"quantity": 0.0}, "quantity_is_positive"),
    ("executions", {"notional_usd": NAN}, "notional_usd_is_known"),
    ("executions", {"fee_usd": -0.1}, "fee_is_not_negative"),
    ("executions", {"fee_usd": 200.0}, "fee_is_below_notional"),
    ("executions", {"slippage": 9.0}, "slippage_is_believable"),
    ("executions", {"latency_ms": -1}, "fill_is_not_before_decision"),
    ("executions", {"participation": 1.5}, "participation_is_a_share"),
    ("executions", {"key": "e1"}, "one_row_per_execution"),
    ("outcomes", {"exit_price": -1.0}, "exit_price_is_not_negative"),
    ("outcomes", {"realized_pnl_percent": -300.0}, "loss_is_not_beyond_stake"),
    ("outcomes", {"time_in_market_seconds": -60}, "exit_is_not_before_entry"),
    ("outcomes", {"termination_reason": "end_of_data"}, "reason_is_one_of_ours"),
    ("outcomes", {"termination_reason": None}, "termination_reason_is_known"),
    ("outcomes", {"pnl_low_usd": 21.0}, "profit_is_not_below_its_interval"),
    ("outcomes", {"pnl_high_usd": 19.0}, "profit_is_not_above_its_interval"),
    ("outcomes", {"key": "o1"}, "one_row_per_outcome"),
    ("canonical_trades", {"entry_price": 0.0}, "entry_price_is_a_price"),
    ("canonical_trades", {"exit_price": -1.0}, "exit_price_is_not_negative"),
    ("canonical_trades", {"amount": 0.0}, "amount_is_positive"),
    ("canonical_trades", {"profit_usd": NAN}, "profit_usd_is_known"),
    ("canonical_trades", {"seconds_open": -1.0}, "trade_closes_after_it_opens"),
    ("canonical_trades", {"outcome": "o1"}, "one_trade_per_outcome"),
    ("canonical_trades", {"key": "t1"}, "one_row_per_trade"),
    ("soulprints", {"components": 0, "missing": 0}, "soulprint_has_components"),
    ("soulprints", {"missing": -1}, "missing_is_a_count"),
    ("soulprints", {"missing": 16}, "missing_are_among_components"),
    ("soulprints", {"canonical": "t1"}, "one_soulprint_per_trade"),
    ("soulprints", {"key": "s1"}, "one_row_per_soulprint"),
    ("profit_buckets", {"buckets": 0}, "entry_lies_in_a_bucket"),
    ("profit_buckets", {"max_adverse_percent": 31.0}, "best_is_not_below_worst"),
    ("profit_buckets", {"canonical": "t1"}, "one_entry_per_trade"),
    ("profit_buckets", {"key": "b1"}, "one_row_per_entry"),
    ("trade_features", {"net_return": NAN}, "net_return_is_known"),
    ("trade_features", {"net_return": -2.1}, "net_return_is_not_beyond_stake"),
    ("trade_features", {"source": "guess"}, "source_is_one_of_ours"),
    ("trade_features", {"decided_before_entry": 0}, "decision_is_not_after_entry"),
    ("trade_features", {"entered_before_exit": 0}, "entry_is_not_after_exit"),
    ("trade_features", {"resolved_in_day": 0}, "label_resolved_in_its_day"),
    ("trade_features", {"missing_share": 0.91}, "features_are_not_mostly_missing"),
    ("trade_features", {"features": 0}, "there_are_features"),
    ("trade_features", {"candidate": "u1"}, "one_row_per_label"),
    ("training_set", {"net_return": NAN}, "net_return_is_known"),
    ("training_set", {"weight": NAN}, "weight_is_known"),
    ("training_set", {"weight": 0.0}, "weight_is_a_share"),
    ("training_set", {"weight": 1.1}, "weight_is_a_share"),
    ("training_set", {"t0": 99.0}, "entry_is_not_before_decision"),
    ("training_set", {"t0": 201.0, "t1": 200.0}, "exit_is_not_before_entry"),
    ("training_set", {"t1": 201.0}, "label_was_resolved_by_then"),
    ("training_set", {"key": "u1"}, "one_row_per_label"),
]

DAY_DEFECTS: list[tuple[str, dict[str, Any], str]] = [
    ("market_bars", {"bars": 0}, "day_has_bars"),
    ("market_bars", {"hours": 0}, "day_has_hours"),
    ("market_bars", {"day_share": 0.5, "hours_missing": 12}, "day_is_complete"),
    ("market_bars", {"quarantined_share": NAN}, "quarantined_share_is_known"),
    ("market_bars", {"quarantined_share": 0.21, "quarantined": 42}, "few_rows_are_quarantined"),
    ("market_bars", {"universe_ratio": 0.49}, "universe_does_not_collapse"),
    ("market_scan", {"scans": NAN}, "scans_is_known"),
    ("trade_candidates", {"candidates": -1}, "candidates_are_counted"),
    ("research_snapshots", {"documents": 1}, "every_candidate_has_a_snapshot"),
    ("executions", {"written": NAN}, "written_is_known"),
    ("executions", {"written": 3}, "ledger_holds_what_the_session_wrote"),
    ("outcomes", {"outcomes": 1}, "ledger_holds_what_the_session_wrote"),
    ("canonical_trades", {"trades": 1}, "every_outcome_is_registered"),
    ("soulprints", {"written": 3}, "registry_holds_what_was_written"),
    ("profit_buckets", {"profit_buckets": 1}, "registry_holds_what_was_written"),
    ("trade_features", {"labels": NAN}, "labels_is_known"),
    ("training_set", {"labels": NAN}, "labels_is_known"),
]

ALL_DEFECTS = [(asset, True, change, rule) for asset, change, rule in DEFECTS] + [
    (asset, False, change, rule) for asset, change, rule in DAY_DEFECTS
]
"""(asset, whether the defect is in a row or in the counts of the day, the defect, the rule it breaks)."""


@pytest.fixture(scope="module")
def runner() -> GreatExpectationsRunner:
    return GreatExpectationsRunner(GateSettings())


def rows_of(asset: str, **first: Any) -> pd.DataFrame:
    lines = [dict(line) for line in ROWS[asset]]
    lines[0].update(first)
    return pd.DataFrame([{"partition": DAY, **line} for line in lines])


def days_of(asset: str, **changes: Any) -> pd.DataFrame:
    return pd.DataFrame([{"partition": DAY, **DAYS[asset], **changes}])


@pytest.mark.parametrize("asset", SUITES)
def test_a_sound_day_passes(runner: GreatExpectationsRunner, asset: str) -> None:
    assert runner.evaluate(asset, rows_of(asset), days_of(asset), [DAY]) == {DAY: ()}


@pytest.mark.parametrize("asset", SUITES)
def test_a_day_without_records_passes_the_row_rules(runner: GreatExpectationsRunner, asset: str) -> None:
    empty = {"market_bars": {"bars": 1}, "research_snapshots": {"candidates": 0, "documents": 0}}.get(asset, {})
    rows = pd.DataFrame({"partition": [], "key": []})
    assert runner.evaluate(asset, rows, days_of(asset, **empty), [DAY]) == {DAY: ()}


@pytest.fixture(scope="module")
def verdicts(runner: GreatExpectationsRunner) -> dict[tuple[str, int], tuple[Failure, ...]]:
    """The failures of each defect (asset, its number), all judged at once: each defect has a day of its own."""
    found: dict[tuple[str, int], tuple[Failure, ...]] = {}
    for asset in SUITES:
        numbers = [n for n, item in enumerate(ALL_DEFECTS) if item[0] == asset]
        rows, days = [], []
        for number in numbers:
            _, in_rows, change, _ = ALL_DEFECTS[number]
            day = DAY + timedelta(days=number)
            lines = rows_of(asset, **(change if in_rows else {})).assign(partition=day)
            if asset == "trade_candidates":  # the fixture's decision day moves along, a defect in it stays one
                moved = lines["decision_day"] == DAY
                lines.loc[moved, "decision_day"] = day
            rows.append(lines)
            days.append(days_of(asset, **({} if in_rows else change)).assign(partition=day))
        wanted = [DAY + timedelta(days=number) for number in numbers]
        judged = runner.evaluate(asset, pd.concat(rows), pd.concat(days), wanted)
        found.update({(asset, number): judged[day] for number, day in zip(numbers, wanted, strict=True)})
    return found


@pytest.mark.parametrize("number", range(len(ALL_DEFECTS)), ids=lambda n: f"{ALL_DEFECTS[n][0]}-{ALL_DEFECTS[n][3]}")
def test_one_defect_breaks_one_rule_and_names_the_line(
    verdicts: dict[tuple[str, int], tuple[Failure, ...]], number: int
) -> None:
    asset, in_rows, change, rule = ALL_DEFECTS[number]
    (failure,) = verdicts[asset, number]
    assert failure.rule == rule
    if in_rows:
        assert change.get("key", ROWS[asset][0]["key"]) in failure.sample
        assert failure.rows == (2 if rule.startswith("one_") else 1)
    else:
        counted = {"day_is_complete": 12, "few_rows_are_quarantined": 42}.get(rule, 1)
        assert (failure.rows, failure.sample) == (counted, ((DAY + timedelta(days=number)).isoformat(),))


@pytest.mark.parametrize(
    ("rule", "count", "words"),
    [
        ("few_rows_are_quarantined", 42, "42 rows"),
        ("few_rows_are_quarantined", 1, "1 row"),
        ("day_is_complete", 12, "12 hours"),
        ("day_has_bars", 1, "the whole day"),
        ("high_is_known", 1_200, "1,200 rows"),
        ("a_rule_of_an_older_suite", 3, "3 rows"),
    ],
)
def test_what_a_failure_counts_is_said_in_its_unit(rule: str, count: int, words: str) -> None:
    assert count_words("market_bars", rule, count) == words


def test_every_rule_that_judges_more_than_presence_is_broken_by_a_test() -> None:
    tested = {(asset, rule) for asset, _, _, rule in ALL_DEFECTS}
    rules = {
        (asset, rule.name)
        for asset in SUITES
        for frame in (load_suite(asset).rows, load_suite(asset).days)
        for rule in frame.rules
        if not rule.name.endswith("_is_known")
    }
    untested = {name for asset, name in rules - tested if not name.endswith(("_is_a_count", "_is_a_price"))}
    assert untested <= {
        "scans_are_counted",
        "notional_is_positive",
        "executions_are_counted",
        "taken_are_counted",
        "one_row_per_snapshot",
    }


def test_thresholds_come_from_the_experiment() -> None:
    strict = GreatExpectationsRunner(GateSettings(max_quarantined_share=0.01, min_universe_ratio=0.9))
    failures = strict.evaluate(
        "market_bars", rows_of("market_bars"), days_of("market_bars", quarantined_share=0.02, universe_ratio=0.8), [DAY]
    )[DAY]
    assert [failure.rule for failure in failures] == ["few_rows_are_quarantined", "universe_does_not_collapse"]


def test_a_wanted_day_that_nobody_reports_fails(runner: GreatExpectationsRunner) -> None:
    other = date(2021, 1, 3)
    verdicts = runner.evaluate("market_scan", rows_of("market_scan"), days_of("market_scan"), [DAY, other])
    assert verdicts[DAY] == ()
    assert [failure.rule for failure in verdicts[other]] == ["day_is_reported"]


def test_a_frame_without_a_column_names_frame_and_column(runner: GreatExpectationsRunner) -> None:
    with pytest.raises(ThroughlineError, match=r"outcomes.rows has no column 'exit_price'"):
        runner.evaluate("outcomes", rows_of("outcomes").drop(columns="exit_price"), days_of("outcomes"), [DAY])


def test_text_where_a_number_belongs_names_frame_and_column(runner: GreatExpectationsRunner) -> None:
    with pytest.raises(ThroughlineError, match=r"outcomes.rows: column 'exit_price' is not a number"):
        runner.evaluate("outcomes", rows_of("outcomes", exit_price="dear"), days_of("outcomes"), [DAY])


def test_columns_of_one_missing_kind_are_judged_like_numbers(runner: GreatExpectationsRunner) -> None:
    rows = rows_of("trade_candidates")
    rows["market_cap"] = pd.Series([None, None], dtype="object")
    assert runner.evaluate("trade_candidates", rows, days_of("trade_candidates"), [DAY]) == {DAY: ()}


def test_a_suite_names_its_version_and_its_hash_follows_its_content() -> None:
    suite = load_suite("outcomes")
    assert suite.name == "outcomes@2"
    assert len(suite.hash) == 64
    assert len({load_suite(asset).hash for asset in SUITES}) == len(SUITES)


def frame(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"columns": {"x": "number"}, "rules": list(rules)}


def rule(name: str, type_: str = "expect_column_values_to_not_be_null", **kwargs: Any) -> dict[str, Any]:
    return {"rule": name, "why": "because", "type": type_, "kwargs": kwargs or {"column": "x"}}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (frame(rule("twice"), rule("twice")), "rule 'twice' appears twice"),
        (frame(rule("mean", "expect_column_mean_to_be_between")), "does not judge line by line"),
        (frame(rule("other", column="y")), "reads column 'y', which is not declared"),
        ({"columns": {"x": "colour"}, "rules": []}, "kind 'colour'"),
        (frame(rule("much") | {"counts": {"column": "z", "unit": "rows"}}), "reads column 'z', which is not declared"),
    ],
)
def test_a_malformed_suite_is_refused_by_name(rows: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_suite({"asset": "a", "version": 1, "frames": {"rows": rows, "days": frame()}}, "suites/a.json")


def test_an_unknown_threshold_is_refused_by_name() -> None:
    lost = Rule(
        "lost", "because", "expect_column_values_to_be_between", {"column": "x", "max_value": {"setting": "no"}}
    )
    with pytest.raises(SettingsError, match=r"gates\.no, which does not exist"):
        resolved_kwargs(lost, {"yes": 1.0})


def test_an_asset_without_a_suite_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="'shadow_outcomes' has no quality suite"):
        load_suite("shadow_outcomes")


def test_failing_many_rows_samples_the_same_few_in_any_order(runner: GreatExpectationsRunner) -> None:
    rows = pd.DataFrame(
        [{"partition": DAY, **ROWS["outcomes"][0], "key": f"o{i}", "exit_price": -1.0} for i in range(50)]
    )
    shuffled = rows.sample(frac=1.0, random_state=np.random.RandomState(3))
    first = runner.evaluate("outcomes", rows, days_of("outcomes"), [DAY])
    assert first == runner.evaluate("outcomes", shuffled, days_of("outcomes"), [DAY])
    assert (first[DAY][0].rows, first[DAY][0].sample) == (50, ("o0", "o1", "o10"))


def test_the_suites_are_json_whose_only_numbers_are_integers() -> None:
    def walk(value: Any) -> None:
        assert not isinstance(value, float)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(item)

    for asset in SUITES:
        walk(json.loads(resources.files("throughline.quality.suites").joinpath(f"{asset}.json").read_text()))
