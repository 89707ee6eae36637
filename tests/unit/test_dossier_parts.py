"""The parts of a dossier: what follows from the records of one story, and from nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dossier_cases import CLOSED, DECIDED, bodies, dossier, step, story
from throughline.configuration import ExitSettings
from throughline.dossier.exit_levels import rule_levels
from throughline.dossier.parts import (
    chain_of,
    costs,
    knowledge,
    path_ends,
    raw_exit_price,
    timeline,
)
from throughline.dossier.pictures import price_chart
from throughline.dossier.prices import barriers, bars_of
from throughline.dossier.soulprint import soulprint
from throughline.dossier.text import parts
from throughline.identity import decimal_text, parse_time

MONEY = st.decimals(min_value=0, max_value=10**9, places=9)


@given(gross=MONEY, spread=MONEY, impact=MONEY, fee=MONEY, leaving=MONEY, last_fee=MONEY, lost=MONEY)
def test_what_is_deducted_is_exactly_the_way_from_gross_to_net(
    gross: Decimal, spread: Decimal, impact: Decimal, fee: Decimal, leaving: Decimal, last_fee: Decimal, lost: Decimal
) -> None:
    told = bodies()
    costs_usd, fees = spread + impact + leaving, fee + last_fee
    net = gross - costs_usd - fees - lost
    told["executions"] |= {
        "spread_cost_usd": decimal_text(spread),
        "impact_cost_usd": decimal_text(impact),
        "fee_usd": decimal_text(fee),
    }
    told["outcomes"] |= {
        "gross_pnl_usd": decimal_text(gross),
        "costs_usd": decimal_text(costs_usd),
        "fees_usd": decimal_text(fees),
        "attrition_usd": decimal_text(lost),
        "realized_pnl_usd": decimal_text(net),
    }
    made = costs(chain_of(story(told)))
    deducted = sum((Decimal(line.usd) for line in made.lines if line.usd is not None), start=Decimal(0))
    assert all(line.usd is not None for line in made.lines)
    assert abs(Decimal(made.gross or 0) - deducted - Decimal(made.net or 0)) <= Decimal("1e-9") * max(
        1, costs_usd, fees
    )


def test_spread_impact_fees_and_attrition_stand_on_lines_of_their_own() -> None:
    lines = {line.what: line.usd for line in costs(chain_of(story())).lines}
    assert list(lines.values()) == ["0.5", "1.5", "1", "3", "1.5", "2"]
    assert list(lines)[:3] == ["spread at entry", "impact at entry", "fee at entry"]


def test_a_cost_that_was_not_told_is_not_zero() -> None:
    told = bodies()
    told["executions"]["impact_cost_usd"] = None
    lines = {line.what: line.usd for line in costs(chain_of(story(told))).lines}
    assert lines["impact at entry"] is None
    assert lines["spread and impact at exit"] is None
    assert lines["fee at exit"] == "1.5"


def test_without_an_outcome_there_are_no_costs_and_a_sentence_says_why() -> None:
    told = {name: body for name, body in bodies().items() if name not in ("outcomes", "canonical_trades")}
    made = costs(chain_of(story(told)))
    assert made.lines == ()
    assert "no trade was closed" in (made.why or "")


def test_the_market_price_of_the_exit_follows_from_the_gross_result() -> None:
    assert raw_exit_price(chain_of(story())) == "130"


def test_barriers_stand_on_the_market_price_of_the_fill_not_on_the_price_paid() -> None:
    limits = barriers(bodies()["executions"], ExitSettings(stop_loss=0.15, take_profit=0.3, max_hold_hours=48))
    assert (limits.stop, limits.target, limits.deadline) == ("85", "130", "2021-01-03T03:00:00.000000Z")


def test_levels_of_an_optional_rule_are_recomputed_from_the_sealed_bars_listed_and_drawn() -> None:
    made = dossier()
    assert made.chain.execution
    assert made.chain.outcome
    exits = ExitSettings.model_validate({"trailing_stop": {"percent": 0.1, "activation": 0.03}})
    levels = rule_levels(made.chain.execution.body, made.chain.outcome.body, exits, made.prices)
    filled, ended = made.chain.execution.body["fill_bar_open"], made.chain.outcome.body["exit_bar_open"]
    highs = [bar for bar in made.prices.bars if filled <= bar.open_time < ended]
    highest = max(float(bar.high or bar.close) for bar in highs)
    (level,) = levels
    assert (level.points[0][1], float(level.points[-1][1] or 0)) == (None, pytest.approx(0.9 * highest))
    shown = replace(made, levels=levels)
    assert f"{0.9 * highest:.8g} at the end" in "\n".join(line for part in parts(shown) for line in part[2])
    assert 'class="level moving"' in price_chart(shown)
    assert 'class="level moving"' not in price_chart(made)


def test_only_bars_of_the_trades_own_segment_and_window_are_told() -> None:
    line = {
        "bars": {"close": ["1", "2", "3", "4"], "slots": [0, 1, 5, 6], "volume": ["7", None, "8", "9"]},
        "interval_seconds": 3600,
        "segments": [[0, "AAA@old"], [5, "AAA@new"]],
    }
    first, last = (parse_time(f"2021-01-01T0{hour}:00:00.000000Z") for hour in (1, 6))

    def told(segment: str) -> list[tuple[str, str, str | None]]:
        return [
            (bar.open_time[11:16], bar.close, bar.volume) for bar in bars_of(line, first.date(), segment, first, last)
        ]

    assert told("AAA@old") == [("01:00", "2", None)]
    assert told("AAA@new") == [("05:00", "3", "8"), ("06:00", "4", "9")]


def test_a_correction_takes_the_place_of_what_it_corrects() -> None:
    told = story()
    wrong = next(item for item in told.steps if item.table == "outcomes")
    right = replace(wrong, uuid=str(UUID(int=5)), supersedes=wrong.uuid, body=wrong.body | {"realized_pnl_usd": "1"})
    for steps in ((*told.steps, right), (right, *told.steps)):
        chain = chain_of(replace(told, steps=steps))
        assert chain.outcome is right
        assert costs(chain).net == "1"


def test_the_soulprint_of_a_corrected_trade_is_the_one_of_the_correction() -> None:
    told = story()
    first = next(item for item in told.steps if item.table == "canonical_trades")
    second = replace(first, uuid=str(UUID(int=6)), supersedes=first.uuid)

    def entry(trade: Any, uuid: int) -> Any:
        body = {"canonical": {"uuid": trade.uuid}, "decision_time": DECIDED}
        return step("soulprints", body, uuid=str(UUID(int=uuid)))

    prints = (entry(second, 8), entry(first, 7))
    assert chain_of(replace(told, steps=(*told.steps, second, *prints))).soulprint is prints[0]


def test_a_scan_of_many_candidates_is_no_chain() -> None:
    told = replace(story(), found_in="market_scans", candidate=None)
    assert chain_of(told).candidate is None
    assert costs(chain_of(told)).why is not None


def test_what_was_known_keeps_both_times_of_each_input_and_what_was_missing() -> None:
    known = knowledge(chain_of(story()))
    assert [(item.name, item.event_time, item.available_at) for item in known.inputs] == [
        ("close", "2021-01-01T02:00:00.000000Z", DECIDED)
    ]
    assert known.missing == ("sentiment",)


def test_the_timeline_runs_forward_and_keeps_the_chains_order_within_an_instant() -> None:
    chain = chain_of(story())
    told = timeline(chain, knowledge(chain), "2021-01-03T03:00:00.000000Z")
    assert [item.time for item in told] == sorted(item.time for item in told)
    assert [item.what for item in told] == [
        "oldest input",
        "newest input available",
        "decision",
        "taken",
        "entry filled",
        "closed",
        "time limit",
    ]
    assert [item.time for item in told][-2:] == [CLOSED, "2021-01-03T03:00:00.000000Z"]


def _state(day: int, **paths: tuple[list[str], list[str]]) -> Any:
    told = {
        name: {
            "closed": [
                {
                    "ambiguous": False,
                    "candidate": key,
                    "exit_time": CLOSED,
                    "net_pnl_usd": "1",
                    "return_percent": "2",
                    "termination_reason": "stop_loss",
                }
                for key in closed
            ],
            "positions": [{"key": key} for key in held],
        }
        for name, (held, closed) in paths.items()
    }
    return step("portfolio_states", {"paths": told}, partition=f"2021-01-0{day}", uuid=str(day))


def test_each_path_ends_on_its_own_day_and_one_that_never_entered_says_so() -> None:
    states = [
        _state(1, base=(["x"], []), optimistic=(["x"], []), pessimistic=([], ["other"])),
        _state(2, base=([], ["x"]), optimistic=(["x"], []), pessimistic=(["x"], [])),
        _state(3, base=([], []), optimistic=(["x"], []), pessimistic=([], ["x"])),
    ]
    ends = {item.path: (item.status, item.state) for item in path_ends(states, "x")}
    assert ends == {"base": ("closed", "2"), "optimistic": ("open", "3"), "pessimistic": ("not taken", "1")}


def test_records_without_signals_have_no_soulprint_and_say_why() -> None:
    made = soulprint(chain_of(story()))
    assert made.components == ()
    assert made.why is not None


def test_a_decision_that_was_not_taken_has_the_soulprint_of_its_research_snapshot() -> None:
    told = bodies()
    told["research_docs"]["signals"] = {
        "schema": "soulprint/1",
        "reference": "BTC",
        "values": {"momentum": "0.33", "phase": "1", "psi": None},
    }
    made = soulprint(chain_of(story(told)))
    assert (made.origin, made.reference, made.missing) == ("research_docs", "BTC", ("psi",))
    scores = {item.name: item.score for item in made.components}
    assert scores["momentum"] == pytest.approx(1.0)
    assert scores["phase"] is None  # told, but on a circle: no value is unusual
    assert scores["psi"] is None


def test_a_dossier_is_one_json_object_with_all_that_the_story_had() -> None:
    made = dossier()
    told = json.loads(json.dumps(made.as_json(), allow_nan=False))
    assert set(made.story.as_json()) < set(told)
    assert told["prices"]["barriers"]["stop"] == "85"
    assert told["costs"]["lines"][0] == {"what": "spread at entry", "usd": "0.5"}


def test_anything_that_does_not_hold_breaks_the_dossier() -> None:
    made = dossier()
    assert made.ok
    day = replace(made.prices.days[0], problem="its bars give another seal")
    assert not replace(made, prices=replace(made.prices, days=(day,))).ok
    assert not replace(made, artifacts=(replace(made.artifacts[0], ok=False, problem="other bytes"),)).ok
    assert not replace(made, log=replace(made.log, problems=("the root does not follow",))).ok
    assert not replace(made, states=(step("candidates", {}, problems=("body hashes to another",)),)).ok
    expired = replace(made.prices.days[0], expired="expired on 2023-01-01: a year")
    assert replace(made, prices=replace(made.prices, days=(expired,))).ok
