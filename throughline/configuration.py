"""The one configuration file: strategy, exits, costs, portfolio and gates, frozen and validated once.

Belongs here: names, units, ranges and defaults of every parameter that decides a trade. Does not belong here: paths,
dates, seeds of a run (they are arguments of the command) and secrets. Every value is part of the experiment's identity.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from throughline.errors import SettingsError

OnMissing = Literal["reject", "admit_flagged"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RangeFilter(_Frozen):
    """Admit values in [minimum, maximum]; either end may be open (None)."""

    enabled: bool = True
    minimum: float | None = None
    maximum: float | None = None
    on_missing: OnMissing = "reject"

    @model_validator(mode="after")
    def _ordered(self) -> RangeFilter:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        return self


class StrategySettings(_Frozen):
    """High volatility, low cap. Windows in hours, measured on closed bars; shares and changes are fractions.

    The trigger is momentum: the first bar after `rearm_hours` without one on which every filter and the momentum rule
    hold. market_cap and volume_24h in USD; volatility is the daily standard deviation of bar returns; rug_risk and
    sentiment in [0, 1].
    """

    name: str = "high_volatility_low_cap"
    market_cap: RangeFilter = RangeFilter(minimum=100_000.0, maximum=50_000_000.0)
    volume_24h: RangeFilter = RangeFilter(minimum=100_000.0)
    volatility: RangeFilter = RangeFilter(minimum=0.02)
    rug_risk: RangeFilter = RangeFilter(maximum=0.6, on_missing="admit_flagged")
    sentiment: RangeFilter = RangeFilter(enabled=False, minimum=0.3, on_missing="admit_flagged")
    momentum_minimum: float = Field(default=0.10, gt=0)
    momentum_window_hours: int = Field(default=24, gt=0)
    volatility_window_hours: int = Field(default=72, gt=0)
    rearm_hours: int = Field(default=6, ge=0)
    emergency_rug_risk: float = Field(default=0.85, gt=0, le=1)


class SizingSettings(_Frozen):
    """Position size from a small fund. USD, fractions.

    A position is `small_fund_usd` / `max_positions`, scaled down by target_volatility / volatility where that is below
    one, and capped by `max_volume_share` of the 24 h volume where it is known. A path that has lost scales its sizes by
    what is left of the fund; gains are not staked.
    """

    small_fund_usd: float = Field(default=10_000.0, gt=0)
    max_positions: int = Field(default=5, ge=1, le=100)
    target_volatility: float = Field(default=0.10, gt=0)
    max_volume_share: float = Field(default=0.01, gt=0, le=1)
    minimum_position_usd: float = Field(default=10.0, gt=0)
    shadow_reference_usd: float = Field(default=500.0, gt=0)


class ExitSettings(_Frozen):
    """Barriers as fractions of the entry price, times in hours."""

    stop_loss: float = Field(default=0.15, gt=0, lt=1)
    take_profit: float = Field(default=0.30, gt=0)
    max_hold_hours: int = Field(default=48, gt=0)
    halt_hours: int = Field(default=24, gt=0)


class CostSettings(_Frozen):
    """Costs a side, as fractions of price or notional (0.001 = 10 basis points)."""

    fee: float = Field(default=0.001, ge=0, lt=0.1)
    half_spread: float = Field(default=0.001, ge=0, lt=0.1)
    impact_coefficient: float = Field(default=1.0, ge=0)
    impact_floor: float = Field(default=0.001, ge=0, lt=0.1)
    max_participation: float = Field(default=0.05, gt=0, le=1)
    halted_recovery: float = Field(default=0.5, ge=0, le=1)


class GateSettings(_Frozen):
    """Thresholds that the data-quality suites are given. Shares are fractions of a day's rows."""

    max_quarantined_share: float = Field(default=0.20, ge=0, le=1)
    min_universe_ratio: float = Field(default=0.50, ge=0, le=1)


class CanarySettings(_Frozen):
    """Share of episodes that a challenger decides. Zero until a challenger exists."""

    share: float = Field(default=0.0, ge=0, le=1)


class Configuration(_Frozen):
    """Everything that decides a trade, in one file."""

    strategy: StrategySettings = StrategySettings()
    sizing: SizingSettings = SizingSettings()
    exits: ExitSettings = ExitSettings()
    costs: CostSettings = CostSettings()
    gates: GateSettings = GateSettings()
    canary: CanarySettings = CanarySettings()
    model_policy: Literal["none"] = "none"


def load_configuration(path: Path | None) -> Configuration:
    """Read a TOML configuration; None gives the defaults. Raises SettingsError that names file and key."""
    if path is None:
        return Configuration()
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: there is no such configuration file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML ({error})") from error
    try:
        return Configuration.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{path}: setting '{key}': {first['msg']} (got {first['input']!r})") from error
