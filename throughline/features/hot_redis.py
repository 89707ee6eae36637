"""The hot store on Redis: one string a key, written by a script that lets only newer entries in.

Belongs here: the client, its errors without secrets, and the script. A single SET writes a whole entry, so a server
that is killed has the entry of before or of after, never half of one. A value without an instant gives way to any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from throughline.errors import SettingsError, StorageError
from throughline.features.hot import HotEntry, entry_bytes, newest_of, read_entry, require_fit
from throughline.identity import time_text

SCHEMES = ("redis://", "rediss://", "unix://")
TIMEOUT = 2.0
"""Seconds for a connection or an answer; a slower store is as good as none, since the ledger can answer."""

# The instant stands in the entry as text of fixed form. It is compared in two numbers of its digits: one would not fit
# a double, and comparing text depends on the server's locale. Quotes inside texts are escaped: the key is found once.
_PUBLISH = """
local stored = redis.call('GET', KEYS[1])
if stored then
  local stamp = string.match(stored, '"event_time":"([%d:T.-]+)Z"')
  if stamp then
    local old, new = string.gsub(stamp, '%D', ''), string.gsub(ARGV[2], '%D', '')
    local day, time = tonumber(string.sub(old, 1, 8)), tonumber(string.sub(old, 9))
    local newday, newtime = tonumber(string.sub(new, 1, 8)), tonumber(string.sub(new, 9))
    if day and time and (newday < day or (newday == day and newtime <= time)) then return 0 end
  end
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""


class RedisHotStore:
    """`HotStore` of one namespace on a Redis server. Made by `open_hot_store`."""

    def __init__(self, url: str, namespace: str) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        if not url.startswith(SCHEMES):
            raise SettingsError("The hot store's URL is of no kind that is known: write redis://host:6379/0.")
        try:
            self._client: Any = redis.Redis.from_url(
                url,
                socket_timeout=TIMEOUT,
                socket_connect_timeout=TIMEOUT,
                retry=Retry(NoBackoff(), 1),  # for a connection that the server dropped; beyond that the ledger answers
            )
        except (ValueError, redis.RedisError):
            # What could not be read may be a part of the password: nothing of it is shown, nor chained.
            raise SettingsError("The hot store's URL cannot be read: write redis://:password@host:6379/0.") from None
        self._namespace = namespace
        self._publish = self._client.register_script(_PUBLISH)
        try:
            with _reached():
                self._client.ping()
        except StorageError:
            self.close()
            raise

    def publish(self, entries: Sequence[HotEntry]) -> int:
        """Write the entries that are newer than what is there; return how many instruments got one."""
        pipeline = self._client.pipeline(transaction=False)
        for entry in newest_of(entries):
            arguments: list[Any] = [entry_bytes(entry, self._namespace), time_text(entry.event_time)]
            self._publish(keys=[self._key(entry.instrument)], args=arguments, client=pipeline)
        with _reached():
            return sum(pipeline.execute())

    def latest(
        self, instrument: str, *, as_of: datetime | None = None, max_age: timedelta | None = None
    ) -> HotEntry | None:
        """Return the entry of an instrument (see `HotStore.latest`)."""
        with _reached():
            data = self._client.get(self._key(instrument))
        return None if data is None else require_fit(read_entry(data, self._namespace, instrument), as_of, max_age)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _key(self, instrument: str) -> str:
        return f"throughline:hot:{self._namespace}:{instrument}"


@contextmanager
def _reached() -> Iterator[None]:
    """Turn the client's errors into one sentence that names only their kind: their texts may quote what was sent."""
    import redis

    try:
        yield
    except redis.RedisError as error:
        raise StorageError(
            f"The hot store's Redis does not serve ({type(error).__name__}): start it, or correct or remove its URL."
        ) from None
