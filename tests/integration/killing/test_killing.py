"""kill -9 at random moments, a hundred times: no acknowledged trade is lost, none is half linked.

Fifty times the writer dies, thirty-five times PostgreSQL with all its processes (the writer repeats its call and finds
the server healed), fifteen times both at once. The moments are drawn from numbered seeds and reach from before the
writer has opened the home to its sixth call or so; each lands wherever in transaction, signing and anchoring it lands.
"""

from __future__ import annotations

import os
import signal
import time
from random import Random

import pytest

from tests.integration.killing.conftest import Battlefield

KILLS = 50
LATEST = 0.3
"""Seconds after its start at which a writer is killed at the latest."""
BOTH = 15

pytestmark = pytest.mark.slow


def _is_whole(field: Battlefield, before: int, label: str) -> None:
    """Nothing that was acknowledged since `before` is lost, nothing is half there, the log is whole and anchored."""
    fresh = field.acknowledged[before:]
    assert field.incomplete(fresh) == [], label
    held = field.counts()
    assert held["soulprints"] == held["profit_buckets"] == held["canonical_trades"] >= len(field.acknowledged), label
    assert held["last_event"] == held["seal_events"] - 1, label
    assert field.findings() == [], label
    size, anchored = field.publish()
    assert anchored == size == field.counts()["seal_events"], label


def _to_the_end(field: Battlefield) -> None:
    """After everything: every trade that was ever acknowledged is there, and nothing is found."""
    assert len(set(field.acknowledged)) == len(field.acknowledged)
    assert field.incomplete(field.acknowledged) == []
    assert field.findings() == []


def test_a_writer_that_is_killed_loses_nothing_that_was_acknowledged(battlefield: Battlefield) -> None:
    start = len(battlefield.acknowledged)
    for number in range(KILLS):
        before = len(battlefield.acknowledged)
        writer = battlefield.start_writer()
        time.sleep(Random(f"writer {number}").uniform(0, LATEST))
        os.kill(writer, signal.SIGKILL)
        assert battlefield.wait_for("ended") == "-9"
        _is_whole(battlefield, before, f"writer {number}")
    assert len(battlefield.acknowledged) - start > KILLS, (
        "most writers died before their first trade: nothing was tried"
    )
    _to_the_end(battlefield)


def test_a_server_that_is_killed_heals_and_loses_nothing_that_was_acknowledged(battlefield: Battlefield) -> None:
    start = len(battlefield.acknowledged)
    for number in range(KILLS):
        before = len(battlefield.acknowledged)
        random = Random(f"server {number}")
        writer = battlefield.start_writer()
        time.sleep(random.uniform(0, LATEST))
        battlefield.kill_server()
        if number < BOTH:
            os.kill(writer, signal.SIGKILL)
        else:
            told = battlefield.take_in()
            while len(battlefield.acknowledged) < told + 1 + random.randrange(3):
                battlefield.wait_for("trade")
            os.kill(writer, signal.SIGKILL)
        assert battlefield.wait_for("ended") == "-9"
        _is_whole(battlefield, before, f"server {number}")
    assert len(battlefield.acknowledged) - start > KILLS
    assert battlefield.lost > KILLS // 4, "hardly a writer was in the middle of a call: nothing was tried"
    _to_the_end(battlefield)
