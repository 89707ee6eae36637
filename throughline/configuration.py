"""The one configuration file: strategy, exits, costs, portfolio and gates, frozen and validated once.

Belongs here: names, units, ranges and defaults of every parameter that decides a trade. Does not belong here: paths,
dates, seeds of a run (they are arguments of the command) and secrets. Every value is part of the experiment's identity.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    create_model,
    model_serializer,
    model_validator,
)

from throughline.exits.registry import optional_rules
from throughline.exits.rules import barriers, market_events, time_limit
from throughline.setting_errors import setting_error
from throughline.toml_file import read_toml

OnMissing = Literal["reject", "admit_flagged"]


STRATEGY = "high_volatility_low_cap"
"""The name of the strategy that the code has. Records carry it as who decided, so it is the code's and no label."""
RETIRED = {
    "strategy.name": f"is no setting any more: the name is the code's own, '{STRATEGY}'; remove the line",
    "learning.max_fold_spread": "is no setting any more: remove the line ('fold_gain_minimum' bounds what folds gain)",
}
"""Settings of earlier releases, by dotted name, and what a file that still has them is told."""
LONGEST_HOURS = time_limit.LONGEST_HOURS
"""A year with its leap day: no window, hold or pause is longer. Signals of longer windows would need years of warm-up,
and hours beyond 2**53 / 3,600,000 cannot be told in exact milliseconds."""
LARGEST_USD = 1e15
"""A quadrillion USD: beyond every market. Larger amounts are typing errors and do not fit the records' 20 digits."""

Hours = Annotated[int, Field(ge=0, le=LONGEST_HOURS)]
Ratio = Annotated[float, Field(ge=-1e6, le=1e6)]
"""A fraction, factor or figure without unit. A million bounds it: a hundred million percent."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RangeFilter(_Frozen):
    """Admit values in [minimum, maximum]; either end may be open (None)."""

    enabled: bool = True
    minimum: float | None = Field(default=None, ge=-LARGEST_USD, le=LARGEST_USD)
    maximum: float | None = Field(default=None, ge=-LARGEST_USD, le=LARGEST_USD)
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

    market_cap: RangeFilter = RangeFilter(minimum=100_000.0, maximum=50_000_000.0)
    volume_24h: RangeFilter = RangeFilter(minimum=100_000.0)
    volatility: RangeFilter = RangeFilter(minimum=0.02)
    rug_risk: RangeFilter = RangeFilter(maximum=0.6, on_missing="admit_flagged")
    sentiment: RangeFilter = RangeFilter(enabled=False, minimum=0.3, on_missing="admit_flagged")
    momentum_minimum: float = Field(default=0.10, gt=0, le=1_000)
    momentum_window_hours: Hours = Field(default=24, gt=0)
    volatility_window_hours: Hours = Field(default=72, gt=0)
    rearm_hours: Hours = 6
    emergency_rug_risk: float = Field(default=0.85, gt=0, le=1)


class SizingSettings(_Frozen):
    """Position size from a small fund. USD, fractions.

    A position is `small_fund_usd` / `max_positions`, scaled down by target_volatility / volatility where that is below
    one, and capped by `max_volume_share` of the 24 h volume where it is known. A path that has lost scales its sizes by
    what is left of the fund; gains are not staked. No position is smaller than `minimum_position_usd`, whatever made it
    small: the wish, scaling, the volume limit of its bar, or the cash.
    """

    small_fund_usd: float = Field(default=10_000.0, gt=0, le=LARGEST_USD)
    max_positions: int = Field(default=5, ge=1, le=100)
    target_volatility: float = Field(default=0.10, gt=0, le=1_000)
    max_volume_share: float = Field(default=0.01, gt=0, le=1)
    minimum_position_usd: float = Field(default=10.0, gt=0, le=LARGEST_USD)
    shadow_reference_usd: float = Field(default=500.0, gt=0, le=LARGEST_USD)


class _ExitSettings(barriers.Settings, time_limit.Settings, market_events.Settings):
    """The rules that every position has; each optional rule is a table of its name, off where it is absent. Which jump
    ends a position as doubtful is a fact of the source (`doubtful_jump` of an archive's [cleaning]), since the same
    jump ends the windows of its signals."""

    @model_serializer(mode="wrap")
    def _without_absent_rules(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A rule that is off is no part of an experiment's identity, so a new rule changes none."""
        return {name: value for name, value in serialize(self).items() if value is not None}


if TYPE_CHECKING:
    ExitSettings = _ExitSettings
else:
    _TABLES = {name: (rule.settings | None, None) for name, rule in optional_rules().items()}
    ExitSettings = create_model("ExitSettings", __base__=_ExitSettings, __module__=__name__, **_TABLES)


class CostSettings(_Frozen):
    """Costs a side, as fractions of price or notional (0.001 = 10 basis points)."""

    fee: float = Field(default=0.001, ge=0, lt=0.1)
    half_spread: float = Field(default=0.001, ge=0, lt=0.1)
    impact_coefficient: float = Field(default=1.0, ge=0, le=1_000)
    impact_floor: float = Field(default=0.001, ge=0, lt=0.1)
    max_participation: float = Field(default=0.05, gt=0, le=1)
    halted_recovery: float = Field(default=0.5, ge=0, le=1)


class GateSettings(_Frozen):
    """Thresholds that the data-quality suites are given. Shares are fractions of a day's rows.

    max_missing_share: of the features of one vector. min_day_share: of the hours of a day in which some instrument has
    a bar. The worst days of the shipped archives, outages of the exchange, have 21 of 24 hours (0.875; Binance,
    December 2020 to June 2021) and 23 of 24 (0.958; 2022 to July 2024); half a day has 0.5.
    """

    max_quarantined_share: float = Field(default=0.20, ge=0, le=1)
    min_universe_ratio: float = Field(default=0.50, ge=0, le=1)
    max_missing_share: float = Field(default=0.90, ge=0, le=1)
    min_day_share: float = Field(default=0.60, ge=0, le=1)


class CanarySettings(_Frozen):
    """A challenger on trial: its share of decisions, and the evidence that ends the trial.

    share: of episodes that the challenger decides; max_notional_share: of the fund that its open positions may hold
    at once (a position is a fifth of the fund by default, so less than that would let it trade nothing). alpha: error
    of rollback, of promotion and of the watch after it, however often one looks; tail_alpha: of the tests on stops
    and on total losses; gain_cap: larger gains count as it, or as the profit target where that is larger (fraction of
    the stake; losses count in full); margin: by which a challenger may be worse a candidate and still count as not
    worse; tail_margin: likewise of the stop rate.
    Promotion needs `minimum_hours`, `minimum_pairs` resolved pairs and `minimum_trades` executed ones; `limit_days`
    end in rejection. Guards, which hold no error (benchmarks/judge.py): drawdown in stakes of one position, losses in
    a row, and shares of the decisions; one is incomplete where more than `incomplete_above` of its features are
    missing.
    """

    share: float = Field(default=0.10, ge=0, le=1)
    max_notional_share: float = Field(default=0.25, gt=0, le=1)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    tail_alpha: float = Field(default=0.01, gt=0, lt=0.5)
    gain_cap: float = Field(default=0.35, gt=0, le=1, validation_alias=AliasChoices("gain_cap", "clip"))
    margin: float = Field(default=0.005, gt=0, lt=0.35)
    tail_margin: float = Field(default=0.02, ge=0, lt=1)
    minimum_hours: Hours = 48
    minimum_pairs: int = Field(default=50, ge=1, le=1_000_000)
    minimum_trades: int = Field(default=5, ge=0, le=1_000_000)
    limit_days: int = Field(default=90, ge=1, le=3_660)
    max_drawdown: float = Field(default=1.5, gt=0, le=1_000)
    max_loss_streak: int = Field(default=12, ge=1, le=1_000_000)
    max_error_share: float = Field(default=0.01, ge=0, le=1)
    max_incomplete_share: float = Field(default=0.20, ge=0, le=1)
    incomplete_above: float = Field(default=0.60, ge=0, le=1)
    max_latency_ms: int = Field(default=90_000_000, gt=0, le=LONGEST_HOURS * 3_600_000)


class CashSettings(_Frozen):
    """When the rule stops trading, and when it begins again (learning/cash.py).

    alpha: error of a closing and of an opening, however often one looks, in each term of `term_days`, in which evidence
    begins anew. gain_targets: gains beyond so many take-profits count as so many. minimum_days: days of decision that a
    verdict stands on at least. The defaults are set by benchmarks/cash.py, so that a rule that gains nothing is closed
    in at most 5 % of years, days that overlap included.
    """

    alpha: float = Field(default=0.02, gt=0, lt=0.5)
    gain_targets: float = Field(default=2.0, ge=1, le=1_000)
    minimum_days: int = Field(default=20, ge=1, le=36_600)
    term_days: int = Field(default=360, ge=30, le=36_600)


class LearningSettings(_Frozen):
    """Training, and every gate that a model must pass before it may decide anything.

    retrain: when a walk-forward trains again. holdout_share: of the labels' days, the last ones, which are opened
    once for each model id (models of successive trainings share days of them). folds: of the purged time-ordered
    validation; embargo_hours: after each test block. Gates, each a number: minimum labels, their days, and effective
    labels (independent ones that they are worth: overlap within a segment and the market that coins of a day share are
    taken out); r2_minimum: lower bound of out-of-fold R2; brier_skill_minimum: against the base rate;
    max_calibration_error: upper bound of the mean distance between probabilities and what happened; resolution_minimum:
    lower bound of the slope of what happened on the probability (1 is right, 0 says nothing); pr_auc_lift_minimum:
    PR-AUC over the base rate; log_growth_minimum: per taken label, at the shadow size's share of the fund;
    fold_gain_minimum: lower bound of the mean gain a candidate, over cash and over the champion, with each fold as one
    observation; minimum_stable_folds: so many folds (all, where `folds` is less) must have taken `minimum_fold_taken`
    labels; improvement_minimum: lower bound of the mean gain over the champion on the same rows;
    deflated_sharpe_minimum: over cash and over the rule; max_pbo, with at least `minimum_trials`; holdout_harm: by
    which the holdout's mean gain over the champion may lie below zero. confidence: of all bounds, over whole days.
    """

    retrain: Literal["monthly", "weekly", "never"] = "monthly"
    window_days: int | None = Field(default=None, ge=30, le=36_600)
    holdout_share: float = Field(default=0.20, gt=0, lt=0.5)
    folds: int = Field(default=5, ge=2, le=20)
    embargo_hours: Hours = 24
    selected_features: int = Field(default=20, ge=1, le=10_000)
    minimum_labels: int = Field(default=1_000, ge=50, le=100_000_000)
    minimum_days: int = Field(default=30, ge=2, le=36_600)
    minimum_effective: float = Field(default=100.0, ge=10, le=1e8)
    r2_minimum: Ratio = 0.0
    brier_skill_minimum: Ratio = 0.0
    max_calibration_error: float = Field(default=0.10, gt=0, le=1)
    resolution_minimum: Ratio = 0.0
    pr_auc_lift_minimum: Ratio = 0.0
    log_growth_minimum: Ratio = 0.0
    fold_gain_minimum: Ratio = 0.0
    minimum_stable_folds: int = Field(default=3, ge=2, le=20)
    minimum_fold_taken: int = Field(default=10, ge=1, le=1_000_000)
    improvement_minimum: Ratio = 0.0
    deflated_sharpe_minimum: float = Field(default=0.95, gt=0, lt=1)
    max_pbo: float = Field(default=0.20, ge=0, le=1)
    minimum_trials: int = Field(default=10, ge=2, le=1_000_000)
    holdout_harm: Ratio = Field(default=0.0, ge=0)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)


class Configuration(_Frozen):
    """Everything that decides a trade, in one file.

    model_policy: 'none' trades by the rule alone; 'gated' lets models that passed every gate decide, first as a canary.
    cash_policy: 'close' stops the rule where its candidates are shown to lose, and starts it again where they are shown
    to gain (only under 'gated'); 'report' says in the report when it would have been stopped, and lets it trade.
    """

    strategy: StrategySettings = StrategySettings()
    sizing: SizingSettings = SizingSettings()
    exits: ExitSettings = ExitSettings()
    costs: CostSettings = CostSettings()
    gates: GateSettings = GateSettings()
    canary: CanarySettings = CanarySettings()
    learning: LearningSettings = LearningSettings()
    cash: CashSettings = CashSettings()
    model_policy: Literal["none", "gated"] = "none"
    cash_policy: Literal["close", "report"] = "close"

    @property
    def closes_rule(self) -> bool:
        """Whether evidence against the rule stops it; else it is only reported."""
        return self.model_policy == "gated" and self.cash_policy == "close"


def load_configuration(path: Path | None) -> Configuration:
    """Read a TOML configuration; None gives the defaults. Raises SettingsError that names file and key."""
    if path is None:
        return Configuration()
    raw = read_toml(path, "configuration file")
    try:
        return Configuration.model_validate(raw, strict=True)
    except ValidationError as error:
        raise setting_error(path, Configuration, error, RETIRED) from None
