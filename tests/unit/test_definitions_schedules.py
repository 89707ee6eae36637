"""The daily schedule asks for what is missing, and says why it asks for nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime

import dagster as dg
import pytest

from pipelines.schedules import CHECK_TIMES, RANGE_END, RANGE_START, daily_schedule, learning_schedules
from resources.flow import EXPERIMENT_TAG, DueDays
from throughline.errors import SettingsError

TICK = dg.build_schedule_context(scheduled_execution_time=datetime(2021, 3, 10, 0, 15, tzinfo=UTC))


@pytest.mark.parametrize(
    ("first", "last"),
    [(date(2021, 3, 9), "2021-03-09"), (date(2021, 3, 7), "2021-03-09"), (date(2021, 1, 1), "2021-01-30")],
)
def test_a_tick_asks_for_every_unsealed_day_up_to_yesterday_but_no_more_than_a_chunk(first: date, last: str) -> None:
    data = daily_schedule("demo", lambda until: DueDays("e" * 64, first, until), 30).evaluate_tick(TICK)
    (request,) = data.run_requests or []
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (first.isoformat(), last)


def test_a_tick_names_the_experiment_whose_days_it_asks_for() -> None:
    keys = set()
    for name in ("a" * 64, "b" * 64):
        due = DueDays(name, date(2021, 3, 9), date(2021, 3, 9))
        (request,) = daily_schedule("demo", lambda until, due=due: due, 30).evaluate_tick(TICK).run_requests or []
        assert request.tags[EXPERIMENT_TAG] == name
        keys.add(request.run_key)
    assert len(keys) == 2, "the same days of another experiment are another request"


def test_a_tick_skips_where_all_days_are_sealed() -> None:
    data = daily_schedule("demo", lambda until: None, 30).evaluate_tick(TICK)
    assert data.skip_message == "all days up to 2021-03-09 for which there is data are sealed"


def test_a_tick_without_an_experiment_says_how_to_set_one() -> None:
    def none(until: date) -> DueDays:
        raise SettingsError("mode 'demo' has no active experiment")

    data = daily_schedule("demo", none, 30).evaluate_tick(TICK)
    assert data.skip_message == "mode 'demo' has no active experiment"


def test_training_is_nightly_after_the_registries_check_the_canary_hourly_and_drift_weekly_all_in_utc() -> None:
    found = {item.name: item for item in learning_schedules("demo")}
    assert {name: (item.cron_schedule, item.job_name) for name, item in found.items()} == {
        "demo_training_nightly": ("30 1 * * *", "train_demo_model_job"),
        "demo_canary_hourly": ("0 * * * *", "evaluate_demo_canary_job"),
        "demo_drift_weekly": ("30 2 * * 1", "report_demo_drift_job"),
    }
    assert {item.execution_timezone for item in found.values()} == {"UTC"}
    assert CHECK_TIMES["daily"] == "45 0 * * *"
