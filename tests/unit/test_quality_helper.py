"""The helper process gives the verdicts that this process would give, and its death loses none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from throughline.configuration import GateSettings
from throughline.errors import ThroughlineError
from throughline.quality.helper import HelperValidator
from throughline.quality.runner import GreatExpectationsRunner
from throughline.quality.validation import LocalValidator

DAY, NEXT = date(2021, 1, 2), date(2021, 1, 3)
COUNTS = {"instruments": 9, "eligible": 4, "triggered": 3, "admitted": 2, "removed_total": 6}
ROWS = pd.DataFrame(
    [
        {"partition": DAY, "key": "01:00", **COUNTS},
        {"partition": NEXT, "key": "01:00", **COUNTS, "triggered": 1},
        {"partition": NEXT, "key": "02:00", **COUNTS},
    ]
)
DAYS = pd.DataFrame([{"partition": DAY, "scans": 1}, {"partition": NEXT, "scans": 2}])


def test_a_helper_gives_the_verdicts_and_errors_of_this_process_and_its_death_loses_none() -> None:
    expected = GreatExpectationsRunner(GateSettings(), LocalValidator()).evaluate(
        "market_scan", ROWS, DAYS, [DAY, NEXT]
    )
    assert not expected[DAY]
    assert {failure.sample for failure in expected[NEXT]} == {("01:00",)}
    with HelperValidator() as helper:
        runner = GreatExpectationsRunner(GateSettings(), helper)
        assert runner.evaluate("market_scan", ROWS, DAYS, [DAY, NEXT]) == expected
        with pytest.raises(ThroughlineError, match="no quality suite"):
            helper.broken_rules("no_asset", "rows", {}, {})
        os.kill(helper.pid, signal.SIGKILL)
        assert runner.evaluate("market_scan", ROWS, DAYS, [DAY, NEXT]) == expected


def test_a_helper_that_is_closed_stops_what_another_thread_waits_for() -> None:
    validator = HelperValidator()
    runner = GreatExpectationsRunner(GateSettings(), validator)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(runner.evaluate, "market_scan", ROWS, DAYS, [DAY])
        time.sleep(0.2)  # the helper still imports
        validator.close()
        with pytest.raises(ThroughlineError, match="closed"):
            waiting.result(timeout=10.0)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at /proc")
def test_a_helper_ends_when_its_command_is_killed() -> None:
    program = (
        "from throughline.quality.helper import HelperValidator\n"
        "import time\n"
        "helper = HelperValidator()\n"
        "print(helper.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    command = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    with command.stdout:
        pid = int(command.stdout.readline())
    command.kill()
    command.wait()
    deadline = time.monotonic() + 60.0
    while Path(f"/proc/{pid}").is_dir() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]:
        assert time.monotonic() < deadline, "the helper still runs"
        time.sleep(0.05)
