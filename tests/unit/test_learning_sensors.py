"""The sensors of learning: each failed gate is told once, and a verdict that nobody acted on launches its rollback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from resources.flow import EXPERIMENT_TAG
from resources.home import HOME
from resources.notifier import NOTIFIER, NotifierResource
from sensors import gate_failed as gates
from sensors.canary_degraded import canary_degraded_sensors
from sensors.gate_failed import gate_failed_sensors
from tests.mode_specs import spec_of
from tests.unit.test_definitions_webhook import listening
from throughline.errors import SettingsError
from throughline.learning.standing import DueRollback

SPEC = spec_of("demo")
BARS = dg.AssetKey(["demo", "market_bars"])
OTHER = dg.AssetKey(["elsewhere", "market_bars"])
CHECK = "every_day_passes_its_suite"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def judged(instance: dg.DagsterInstance, passed: bool, reason: str, key: dg.AssetKey = BARS) -> None:
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(key, CHECK, passed, metadata={"experiment": "e" * 64}, description=reason)
    )


def watching(url: str) -> tuple[dg.SensorDefinition, NotifierResource]:
    """Return the sensor of the location of mode demo, with a notifier that posts to `url`."""
    (sensor,) = gate_failed_sensors([SPEC])
    return sensor, NotifierResource(url=url, allow_private=True)


def tick(
    watched: tuple[dg.SensorDefinition, NotifierResource], instance: dg.DagsterInstance, cursor: str | None
) -> tuple[str, str | None]:
    sensor, notifier = watched
    data = sensor.evaluate_tick(dg.build_sensor_context(instance, cursor=cursor, resources={NOTIFIER: notifier}))
    assert data.cursor is not None
    return data.cursor, data.skip_message


def test_a_failed_gate_is_told_once_with_its_asset_experiment_and_reason(instance: dg.DagsterInstance) -> None:
    with listening() as server:
        sensor = watching(server.url)
        cursor, _ = tick(sensor, instance, None)
        judged(instance, True, "all 3 sealed days pass")
        judged(instance, False, "1 of 4 sealed days fail, the first 2021-03-02")
        cursor, said = tick(sensor, instance, cursor)
        assert said == "reported 1 failed gate(s)"
        assert tick(sensor, instance, cursor) == (cursor, "no gate failed since the last tick")
    ((_, message),) = server.messages
    assert message["text"] == (
        f"Throughline: gate {CHECK} of demo/market_bars failed: 1 of 4 sealed days fail, the first 2021-03-02"
    )
    assert (message["asset"], message["experiment"], message["severity"]) == ("demo/market_bars", "e" * 64, "ERROR")


def test_a_gate_that_fails_again_is_told_again(instance: dg.DagsterInstance) -> None:
    with listening() as server:
        sensor = watching(server.url)
        cursor, _ = tick(sensor, instance, None)
        for number in range(2):
            judged(instance, False, f"night {number}")
            cursor, _ = tick(sensor, instance, cursor)
    assert [message["reason"] for _, message in server.messages] == ["night 0", "night 1"]


def test_what_failed_before_the_sensor_was_started_is_not_told(instance: dg.DagsterInstance) -> None:
    with listening() as server:
        sensor = watching(server.url)
        judged(instance, False, "long ago")
        cursor, said = tick(sensor, instance, None)
        assert said == "watching from now on: earlier failures are in the UI"
        tick(sensor, instance, cursor)
    assert server.messages == []


def test_checks_of_other_assets_are_not_told(instance: dg.DagsterInstance) -> None:
    with listening() as server:
        sensor = watching(server.url)
        cursor, _ = tick(sensor, instance, None)
        judged(instance, False, "not ours", OTHER)
        after, _ = tick(sensor, instance, cursor)
        assert int(after) > int(cursor), "and is not read again"
    assert server.messages == []


def test_more_failures_than_a_tick_may_post_are_told_by_the_next_ticks_each_once(
    instance: dg.DagsterInstance,
) -> None:
    with listening() as server:
        sensor = watching(server.url)
        cursor, _ = tick(sensor, instance, None)
        count = gates.REPORTED_AT_ONCE * 2 + 1
        for number in range(count):
            judged(instance, False, str(number))
        judged(instance, True, "all is well again")
        for _ in range(4):
            cursor, _ = tick(sensor, instance, cursor)
    assert [message["reason"] for _, message in server.messages] == [str(number) for number in range(count)]


def test_a_webhook_that_refuses_does_not_make_the_sensor_tell_again(instance: dg.DagsterInstance) -> None:
    with listening(500) as server:
        sensor = watching(server.url)
        cursor, _ = tick(sensor, instance, None)
        judged(instance, False, "bad day")
        cursor, _ = tick(sensor, instance, cursor)
        tick(sensor, instance, cursor)
    assert len(server.messages) == 1


DUE = DueRollback("e" * 64, "m" * 64, datetime(2021, 3, 9, tzinfo=UTC), "it is worse: e-value 31 of 20")


class DueHome:
    """A home, and the flow of its mode, in which a rollback is due or not."""

    def __init__(self, due: Callable[[], DueRollback | None]) -> None:
        self.rollback_due = due

    def flow(self, mode: str) -> DueHome:
        return self


def asked(due: Callable[[], DueRollback | None], instance: dg.DagsterInstance) -> Any:
    (sensor,) = canary_degraded_sensors(SPEC)
    return sensor.evaluate_tick(dg.build_sensor_context(instance, resources={HOME: DueHome(due)}))


def test_a_verdict_that_nobody_acted_on_launches_the_rollback_of_that_model_alone(
    instance: dg.DagsterInstance,
) -> None:
    (request,) = asked(lambda: DUE, instance).run_requests
    config = request.run_config["ops"]["roll_back_demo_model"]["config"]
    assert config == {"by": "judge", "model": "m" * 64, "reason": "it is worse: e-value 31 of 20"}
    assert request.tags[EXPERIMENT_TAG] == "e" * 64


def test_the_same_look_asks_under_the_same_key_and_another_look_under_another(instance: dg.DagsterInstance) -> None:
    keys = [asked(lambda: DUE, instance).run_requests[0].run_key for _ in range(2)]
    later = DueRollback(DUE.experiment, DUE.model, datetime(2021, 3, 10, tzinfo=UTC), DUE.reason)
    assert keys[0] == keys[1] != asked(lambda: later, instance).run_requests[0].run_key


def test_nobody_to_roll_back_and_no_experiment_are_skipped_with_the_reason(instance: dg.DagsterInstance) -> None:
    def none() -> None:
        raise SettingsError("mode 'demo' has no active experiment")

    assert asked(lambda: None, instance).skip_message == "no model serves against the judge's verdict"
    assert asked(none, instance).skip_message == "mode 'demo' has no active experiment"


def test_both_sensors_wait_to_be_started() -> None:
    for sensor in (*canary_degraded_sensors(SPEC), *gate_failed_sensors([SPEC])):
        assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
