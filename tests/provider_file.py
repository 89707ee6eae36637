"""A market data provider and a mode in one file each, as a user would write them: what the tests of the seams add."""

RECORDED = '''
"""A provider whose market is recorded: here that of a seed, some days of it."""

from datetime import date
from dataclasses import replace

from pydantic import Field

from throughline.experiment.provider import ProviderOptions, ProviderSpec, UserPath
from throughline.identity import hash_body
from throughline.market.simulated import SimulatedProvider


class RecordedOptions(ProviderOptions):
    tape: UserPath = Field(description="File with the seed of the recording.")
    until: date = Field(default=date(2024, 1, 31), description="Last day that is read.")
    seed: int = 0
    gaps: bool = Field(default=True, description="Read days with gaps.")


class Recorded:
    def __init__(self, options, clock):
        self.market, self.until = SimulatedProvider(int(options.tape.read_text())), options.until

    @property
    def description(self):
        identity = {"schema_version": 1, "recording": self.market.description.source_hash}
        source = hash_body("market_source", identity)
        return replace(self.market.description, name="recorded", source_hash=source, last_day=self.until)

    def load(self, start, end):
        return self.market.load(start, end)


PROVIDER = ProviderSpec("recorded", "history", "Recorded ticks.", RecordedOptions, Recorded)
'''

REPLAY = '''
"""A mode that replays recorded data."""

from throughline.experiment.mode import Mode

MODE = Mode(
    name="replay",
    description="Recorded data, decided again.",
    market="history",
    provider="recorded",
    fills="simulated",
    commands={"backtest": "throughline backtest --mode replay --tape FILE"},
    rank=30,
    warning="Replayed.",
    running_schedules=frozenset({"daily"}),
)
'''
