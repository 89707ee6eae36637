"""The card of a model says what is in its record, draws what it has numbers for, and nothing of a model without any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from throughline.analytics.model_card import ModelCard, card_markdown, card_pictures, trial_points, verdict_sentence
from throughline.learning.types import GateResult, Trial

IDENTITY = {
    "against": "rule",
    "as_of": "2021-06-01T00:00:00.000000Z",
    "code": "c" * 64,
    "experiment": "e" * 64,
    "feature_schema": "f" * 64,
    "hyper_parameters": {},
    "lock": "1" * 64,
    "seals": [["2021-03-01", "a" * 64], ["2021-05-31", "b" * 64]],
    "seed": 7,
}


def bins(first: float, step: float, count: int = 10) -> list[dict[str, Any]]:
    return [
        {"labels": 40 + k, "observed": str(first + step * k), "predicted": str(first + 0.9 * step * k), "weight": "20"}
        for k in range(count)
    ]


def trial(number: int, gain: str | None = "0.001") -> Trial:
    parameters = {"max_iter": 40, "learning_rate": "0.05", "max_leaf_nodes": 2 + number, "selected": 10}
    told = {"parameters": parameters, "gain_per_taken": gain, "growth_per_candidate": "0.0002", "taken": 310}
    return Trial(f"{number:064d}", {**told, "sharpe": f"0.0{number}"})


def metrics() -> dict[str, Any]:
    return {
        "brier": "0.2134",
        "brier_skill": "0.031",
        "chosen": trial(2).hash,
        "deciles": bins(-0.03, 0.01),
        "deflated_sharpe": "0.41",
        "importance": [
            {"feature": "momentum_24h", "rise": "0.004", "spread": "0.001"},
            {"feature": "never_used", "rise": "0", "spread": "0"},
        ],
        "labels_tested": 1234,
        "parameters": {"max_iter": 40},
        "pbo": None,
        "reliability": bins(0.1, 0.08),
        "taken": 321,
    }


def card(**changes: Any) -> ModelCard:
    body = {
        "dropped": {"never_tested": 12, "purged_before_holdout": 0},
        "identity": IDENTITY,
        "labels": {"effective": "312.5", "executed": 88, "labels": 1500, "segments": 40},
        "metrics": metrics(),
        "trials": [trial(k).hash for k in range(1, 4)],
        "window": {"first": "2021-03-01", "last": "2021-05-31"},
    }
    verdicts = (
        GateResult("minimum_labels", "pass", 1500.0, 1000.0, "1,500 resolved labels"),
        GateResult("r2", "fail", -0.012, 0.0, "R2 is -0.0120; above 0 is asked for"),
        GateResult("holdout", "insufficient", None, 0.0, "the holdout stays sealed"),
    )
    made = ModelCard("m" * 64, body, verdicts, tuple(trial(k) for k in range(6)), "d" * 64)
    return replace(made, **changes)


def untrained() -> ModelCard:
    short = GateResult("minimum_labels", "insufficient", 3.0, 1000.0, "3 resolved labels")
    made = card(verdicts=(short,), file=None)
    return replace(made, body={**made.body, "metrics": {}, "trials": [], "window": None, "dropped": {}})


def test_every_gate_is_a_line_with_verdict_value_threshold_and_reason() -> None:
    text = card_markdown(card())
    assert "| minimum labels | pass | 1500 | 1000 | 1,500 resolved labels |" in text
    assert "| r2 | **fail** | -0.012 | 0 | R2 is -0.0120; above 0 is asked for |" in text
    assert "| holdout | **insufficient** |  | 0 | the holdout stays sealed |" in text


def test_the_card_names_window_seals_hashes_and_what_the_model_was_held_against() -> None:
    text = card_markdown(card())
    for told in ("m" * 64, "e" * 64, "f" * 64, "c" * 64, "1" * 64, "d" * 64, "2021-03-01 to 2021-05-31", "the rule"):
        assert told in text, told
    assert "`aaaaaaaaaaaa` (2021-03-01) to `bbbbbbbbbbbb` (2021-05-31)" in text
    assert "12 never tested" in text
    assert "purged before holdout" not in text, "what is nil is not told"


def test_the_first_sentence_says_which_gates_refused_and_keeps_failed_apart_from_insufficient() -> None:
    assert verdict_sentence(card()) == (
        "**Refused: of 3 gates 1 failed (r2) and 1 had insufficient evidence (holdout).** "
        "A refused model never decides anything."
    )
    passed = card(verdicts=card().verdicts[:1])
    assert verdict_sentence(passed) == "**It passed every one of 1 gates.**"


def test_a_figure_that_could_not_be_measured_is_left_out_and_others_are_written_with_their_unit() -> None:
    text = card_markdown(card())
    assert "overfitting" not in text
    assert "| Brier score | 0.2134 |" in text
    assert "| Brier score, better than the base rate by | +3.100 % |" in text


def test_a_trained_model_has_four_pictures_that_are_equal_for_equal_records() -> None:
    pictures = card_pictures(card())
    assert [item.title for item in pictures] == ["calibration", "deciles", "importance", "trials"]
    for item in pictures:
        assert ET.fromstring(item.svg).tag == "svg"
        assert "nan" not in item.svg
    assert pictures == card_pictures(card())
    assert card_markdown(card()).count("](data:image/svg+xml;base64,") == 4


def test_a_model_that_was_not_trained_has_a_card_without_pictures_or_figures() -> None:
    made = untrained()
    assert card_pictures(made) == []
    text = card_markdown(made)
    assert "### Figures" not in text
    assert "none: nothing was trained" in text
    assert "**No model was trained: of 1 gates 1 had insufficient evidence (minimum labels).**" in text
    assert "| minimum labels | **insufficient** | 3 | 1000 | 3 resolved labels |" in text


def test_the_ledger_shows_other_trainings_first_and_fills_the_chosen_trial() -> None:
    points = trial_points(card())
    assert [point.other for point in points] == [True, True, True, False, False, False]
    assert [point.name for point in points] == ["", "", "", "1", "2", "3"]
    assert [point.name for point in points if point.chosen] == ["2"]
    text = card_markdown(card())
    assert "3 trials were run for this model, 6 in the experiment so far" in text
    told = "40 trees of 4 leaves, rate 0.05, 10 features | 310 | +0.100 % | +0.020 % | 0.0200 |"
    assert f"| **2** | {told}" in text


@pytest.mark.parametrize("gain", [None, "-0.01"])
def test_a_trial_that_took_nothing_is_drawn_without_a_gain(gain: str | None) -> None:
    trials = tuple(trial(k, gain) for k in range(1, 4))
    assert {point.gain for point in trial_points(card(trials=trials))} == {None if gain is None else -0.01}
    assert card_pictures(card(trials=trials))[-1].title == "trials"
