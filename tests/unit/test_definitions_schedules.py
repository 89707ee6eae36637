"""The daily schedule asks for what is missing, and says why it asks for nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pytest

from pipelines.job_factory import RANGE_END, RANGE_START
from pipelines.jobs.canary import canary_definitions
from pipelines.jobs.daily import daily_definitions
from pipelines.jobs.drift import drift_definitions
from pipelines.jobs.registry_check import registry_check_definitions
from pipelines.jobs.training import training_definitions
from resources.flow import EXPERIMENT_TAG, DueDays
from resources.home import HOME
from tests.mode_specs import spec_of
from throughline.errors import SettingsError

SPEC = spec_of("demo")
Due = Callable[[date], DueDays | None]


class DueFlow:
    """A home, and the flow of its mode, in which certain days are due."""

    def __init__(self, due: Due) -> None:
        self.unsealed_days = due

    def flow(self, mode: str) -> DueFlow:
        assert mode == "demo"
        return self


def tick(due: Due) -> Any:
    """Return what the daily schedule decides on 10 March 2021."""
    (daily,) = [item for item in daily_definitions(SPEC) if isinstance(item, dg.ScheduleDefinition)]
    time = datetime(2021, 3, 10, 0, 15, tzinfo=UTC)
    return daily.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=time, resources={HOME: DueFlow(due)}))


@pytest.mark.parametrize(
    ("first", "last"),
    [(date(2021, 3, 9), "2021-03-09"), (date(2021, 3, 7), "2021-03-09"), (date(2021, 1, 1), "2021-01-30")],
)
def test_a_tick_asks_for_every_unsealed_day_up_to_yesterday_but_no_more_than_a_chunk(first: date, last: str) -> None:
    (request,) = tick(lambda until: DueDays("e" * 64, first, until)).run_requests
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (first.isoformat(), last)


def test_a_tick_names_the_experiment_whose_days_it_asks_for() -> None:
    keys = set()
    for name in ("a" * 64, "b" * 64):
        due = DueDays(name, date(2021, 3, 9), date(2021, 3, 9))
        (request,) = tick(lambda until, due=due: due).run_requests
        assert request.tags[EXPERIMENT_TAG] == name
        keys.add(request.run_key)
    assert len(keys) == 2, "the same days of another experiment are another request"


def test_a_tick_skips_where_all_days_are_sealed() -> None:
    assert tick(lambda until: None).skip_message == "all days up to 2021-03-09 for which there is data are sealed"


def test_a_tick_without_an_experiment_says_how_to_set_one() -> None:
    def none(until: date) -> DueDays:
        raise SettingsError("mode 'demo' has no active experiment")

    assert tick(none).skip_message == "mode 'demo' has no active experiment"


def test_checks_and_training_follow_the_pipeline_the_canary_is_hourly_and_drift_weekly_all_in_utc() -> None:
    factories = (registry_check_definitions, training_definitions, canary_definitions, drift_definitions)
    schedules = {
        item.name: item for make in factories for item in make(SPEC) if isinstance(item, dg.ScheduleDefinition)
    }
    assert {name: (item.cron_schedule, item.job_name) for name, item in schedules.items()} == {
        "demo_registry_daily": ("45 0 * * *", "check_demo_registry_job"),
        "demo_registry_weekly": ("30 3 * * 0", "check_demo_registry_job"),
        "demo_training_nightly": ("30 1 * * *", "train_demo_model_job"),
        "demo_canary_hourly": ("0 * * * *", "evaluate_demo_canary_job"),
        "demo_drift_weekly": ("30 2 * * 1", "report_demo_drift_job"),
    }
    assert {item.execution_timezone for item in schedules.values()} == {"UTC"}


def test_a_mode_says_which_of_its_schedules_run_by_default() -> None:
    spec = replace(SPEC, mode=replace(SPEC.mode, running_schedules=frozenset({"daily", "drift_weekly"})))
    schedules = [
        item
        for make in (daily_definitions, canary_definitions, drift_definitions)
        for item in make(spec)
        if isinstance(item, dg.ScheduleDefinition)
    ]
    running = {item.name for item in schedules if item.default_status == dg.DefaultScheduleStatus.RUNNING}
    assert running == {"demo_daily", "demo_drift_weekly"}
