"""A process that has loaded everything and forks a writer when it is told to. Started by test_killing.

One argument: the home. On each line of stdin (the number of the first trade) it forks a writer, says ``child PID`` and,
when that has ended however it ended, ``ended STATUS``. The writer says ``open``, then registers one trade after another
(every fifth time three in one call) and says ``trade HASH`` after the call has returned, never before. Where the server
is lost it says ``again`` and repeats the same call.
"""

from __future__ import annotations

import itertools
import os
import sys
import traceback
from collections.abc import Iterator

import psycopg2
from sqlalchemy.exc import DBAPIError

from tests.integration.tampering.home import trade
from throughline.errors import StorageError
from throughline.registry.coordinator import RegistryCoordinator

STEP = 1000
"""Trades that a writer may register at most: the next one begins with the next thousand."""


def say(words: str) -> None:
    """Write a line whole: what is shorter than a page goes through a pipe in one piece."""
    os.write(1, f"{words}\n".encode())


def calls(first: int) -> Iterator[list[int]]:
    """Yield the numbers of the trades of each call."""
    numbers = itertools.count(first)
    for call in itertools.count(1):
        yield [next(numbers) for _ in range(3 if call % 5 == 0 else 1)]


def write(home: str, first: int) -> None:
    """Register trades until the end."""
    registry = None
    for numbers in calls(first):
        while True:
            try:
                if registry is None:
                    registry = RegistryCoordinator(home)
                    say("open")
                hashes = registry.add_trades([trade(number) for number in numbers])
                break
            except (DBAPIError, psycopg2.Error, StorageError) as error:
                say(f"again {type(error).__name__}")
        for item in hashes:
            say(f"trade {item}")


def main() -> None:
    """Fork writers until stdin ends."""
    say("ready")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                write(sys.argv[1], int(line))
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        say(f"child {child}")
        say(f"ended {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")


if __name__ == "__main__":
    main()
