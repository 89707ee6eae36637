"""The judgement of the rule: what closes it, what opens it, and that neither the future nor an order of rows counts."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.configuration import CashSettings, Configuration
from throughline.identity import canonical_bytes
from throughline.learning.cash import (
    RuleOutcome,
    RuleTerm,
    closed_stretches,
    judge_rule,
    look_due,
    replay,
    same_judgement,
    term_at,
)
from throughline.learning.rule_outcomes import shadow_return

EPOCH = date(2024, 1, 1)  # a Monday
T0 = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SETTINGS = CashSettings()
OPEN, CLOSED = RuleTerm(False, T0), RuleTerm(True, T0)
RULES = {"take_profit": 0.30, "reach_days": 10}


def outcomes(days: int, mean: float, *, spread: float = 0.08, a_day: int = 8, seed: int = 1) -> list[RuleOutcome]:
    """Candidates whose shadows are known from the end of the third day on."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(days):
        common = 0.5 * spread * rng.standard_normal()
        returns = np.clip(mean + common + spread * rng.standard_normal(a_day), -1.0, 0.30)
        made += [RuleOutcome(EPOCH + k * DAY, EPOCH + (k + 2) * DAY, float(value)) for value in returns]
    return made


def at(days: int) -> datetime:
    return T0 + days * DAY


def test_a_rule_whose_candidates_lose_is_closed_and_one_whose_candidates_gain_is_not() -> None:
    assert judge_rule(outcomes(200, -0.05), OPEN, SETTINGS, as_of=at(200), **RULES).verdict == "close"
    told = judge_rule(outcomes(200, 0.02), OPEN, SETTINGS, as_of=at(200), **RULES)
    assert (told.verdict, told.days, told.candidates) == ("keep", 198, 8 * 198)
    assert told.mean_return == pytest.approx(0.02, abs=0.02)


def test_a_closed_rule_opens_where_its_candidates_gain_and_stays_closed_where_they_lose() -> None:
    assert judge_rule(outcomes(300, 0.05), CLOSED, SETTINGS, as_of=at(300), **RULES).verdict == "open"
    assert judge_rule(outcomes(300, -0.05), CLOSED, SETTINGS, as_of=at(300), **RULES).verdict == "keep"


def test_a_total_loss_counts_whole_and_a_gain_only_up_to_the_bound() -> None:
    calm = outcomes(100, 0.01, spread=0.0)
    ruined = [replace(item, net_return=-1.0) if k % 10 == 0 else item for k, item in enumerate(calm)]
    assert judge_rule(calm, OPEN, SETTINGS, as_of=at(100), **RULES).verdict == "keep"
    assert judge_rule(ruined, OPEN, SETTINGS, as_of=at(100), **RULES).verdict == "close"
    # one gain of 60 takes a hundred days of losses with it, as far as the bound goes
    lucky = [*outcomes(100, -0.05, spread=0.0), RuleOutcome(EPOCH, EPOCH, 60.0)]
    assert judge_rule(lucky, OPEN, SETTINGS, as_of=at(100), **RULES).verdict == "close"


def test_a_few_days_never_close_the_rule_however_bad_they_are() -> None:
    told = judge_rule(outcomes(SETTINGS.minimum_days + 1, -0.9, spread=0.0), OPEN, SETTINGS, as_of=at(21), **RULES)
    assert told.days < SETTINGS.minimum_days
    assert (told.verdict, told.evidence > told.needed) == ("keep", True)


def test_nothing_to_judge_by_is_no_evidence() -> None:
    for nothing in ([], [RuleOutcome(EPOCH, EPOCH, None)]):
        told = judge_rule(nothing, OPEN, SETTINGS, as_of=at(30), **RULES)
        assert (told.verdict, told.days, told.mean_return, told.evidence) == ("keep", 0, None, 1.0)
        assert "no candidate since 2024-01-01 has a known outcome yet" in told.reason


def test_a_day_with_an_open_shadow_holds_back_the_later_days_until_it_can_never_resolve() -> None:
    known = outcomes(30, -0.05)
    waiting = [*known, RuleOutcome(EPOCH + 4 * DAY, None, None)]
    assert judge_rule(waiting, OPEN, SETTINGS, as_of=at(14), **RULES).days == 4
    assert judge_rule(waiting, OPEN, SETTINGS, as_of=at(15), **RULES).days == 13  # eleven days later: it never will


@given(st.integers(1, 60), st.integers(0, 10_000), st.floats(-0.2, 0.2))
def test_what_is_known_later_changes_no_judgement_and_neither_does_the_order_of_rows(
    days: int, seed: int, mean: float
) -> None:
    rows = outcomes(60, mean, a_day=3, seed=seed)
    told = judge_rule(rows, OPEN, SETTINGS, as_of=at(days), **RULES)
    until = EPOCH + days * DAY
    hidden = [
        replace(item, resolved=None, net_return=None) if item.resolved is None or item.resolved >= until else item
        for item in rows
        if item.decided < until
    ]
    random.Random(seed).shuffle(hidden)
    assert judge_rule(hidden, OPEN, SETTINGS, as_of=at(days), **RULES) == told
    other = [replace(item, net_return=0.3) if item.resolved and item.resolved >= until else item for item in rows]
    assert judge_rule(other, OPEN, SETTINGS, as_of=at(days), **RULES) == told


def test_what_was_decided_before_the_term_does_not_count() -> None:
    rows = [
        *outcomes(100, -0.10),
        *(
            replace(item, decided=item.decided + 100 * DAY, resolved=item.decided + 102 * DAY)
            for item in outcomes(100, 0.05)
        ),
    ]
    told = judge_rule(rows, RuleTerm(True, at(100)), SETTINGS, as_of=at(200), **RULES)
    assert told.mean_return == pytest.approx(0.05, abs=0.03)


def test_evidence_begins_anew_after_every_term() -> None:
    settings = CashSettings(term_days=30)
    assert term_at(False, T0, at(0), settings) == RuleTerm(False, T0)
    assert term_at(False, T0, at(30), settings) == RuleTerm(False, T0)
    assert term_at(True, T0, at(31), settings) == RuleTerm(True, at(30))
    assert term_at(True, T0, at(91), settings) == RuleTerm(True, at(90))


def test_a_good_year_does_not_hide_a_bad_one() -> None:
    settings = CashSettings(term_days=200)
    bad = [replace(i, decided=i.decided + 400 * DAY, resolved=i.decided + 402 * DAY) for i in outcomes(160, -0.05)]
    changes = replay([*outcomes(400, 0.05), *bad], settings, epoch=EPOCH, until=at(560), **RULES)
    assert [item.verdict for item in changes] == ["close"]
    assert at(400) < changes[0].as_of < at(560)


def test_a_replay_closes_and_opens_at_its_looks_and_each_is_what_a_judge_says_there() -> None:
    turn = [replace(i, decided=i.decided + 150 * DAY, resolved=i.decided + 152 * DAY) for i in outcomes(250, 0.08)]
    rows = [*outcomes(150, -0.06), *turn]
    changes = replay(rows, SETTINGS, epoch=EPOCH, until=at(400), **RULES)
    assert [item.verdict for item in changes] == ["close", "open"]
    assert all(look_due(item.as_of) for item in changes)
    assert changes[0].as_of < at(150) < changes[1].as_of
    assert changes[1].term == RuleTerm(True, changes[0].as_of)
    for told in changes:
        assert judge_rule(rows, told.term, SETTINGS, as_of=told.as_of, **RULES) == told
    # a history that ends earlier has the same changes up to its end
    cut = changes[1].as_of - DAY
    assert replay(rows, SETTINGS, epoch=EPOCH, until=cut, **RULES) == changes[:1]
    stretches = closed_stretches([(item.as_of, item.verdict == "close") for item in changes], at(400))
    assert stretches == ((changes[0].as_of, changes[1].as_of),)
    assert closed_stretches([(at(7), True)], at(10)) == ((at(7), at(10)),)


def test_a_rule_that_gains_nothing_is_rarely_closed_in_a_year_with_total_losses_and_days_that_share_a_market() -> None:
    rng = np.random.default_rng(11)
    closed = 0
    for _ in range(150):
        drawn = rng.standard_normal(362)
        shared = (drawn[:360] + drawn[1:361] + drawn[2:362]) / np.sqrt(3.0)
        body = 0.05 * shared[:, None] + 0.08 * rng.standard_normal((360, 8))
        ruined = rng.random((360, 8)) < 0.05
        returns = np.where(ruined, -1.0, np.clip(body, -0.2, 0.24) + 0.05 / 0.95)  # 5 % lose all, the mean is nought
        rows = [RuleOutcome(EPOCH + k * DAY, EPOCH + k * DAY, float(value)) for k in range(360) for value in returns[k]]
        closed += judge_rule(rows, OPEN, SETTINGS, as_of=at(360), **RULES).verdict == "close"
    assert closed / 150 <= 0.05


def test_the_evidence_that_an_event_keeps_is_canonical_and_compared_with_what_is_found_again() -> None:
    told = judge_rule(outcomes(200, -0.05), OPEN, SETTINGS, as_of=at(200), **RULES)
    body = told.body()
    canonical_bytes(body)  # without floats
    assert same_judgement(body, told)
    assert same_judgement({**body, "mean_return": body["mean_return"][:-1]}, told)  # the last digit is a machine's
    for wrong in ({"days": 7}, {"verdict": "open"}, {"mean_return": "0.01"}, {"evidence": "51"}, {"evidence": None}):
        assert not same_judgement({**body, **wrong}, told)
    assert not same_judgement({}, told)


def test_the_policy_closes_the_rule_by_default_where_models_may_decide_and_nowhere_else() -> None:
    assert Configuration(model_policy="gated").closes_rule
    assert not Configuration(model_policy="gated", cash_policy="report").closes_rule
    assert not Configuration().closes_rule


def test_a_shadow_over_a_doubtful_jump_says_nothing_of_gain_or_loss() -> None:
    assert shadow_return("850.5", ["doubtful_jump"]) is None
    assert shadow_return("-12.5", []) == shadow_return("-12.5", None) == -0.125
    assert shadow_return(None, None) is None
