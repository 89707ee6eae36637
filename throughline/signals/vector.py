"""The soulprint: the vector of everything measured of an instrument's window, its text, its check and its content hash.

Belongs here: which components there are, in which order, how many bars each needs, and how values become text and
identity. Does not belong here: similarity (simhash) and the measures themselves (the other modules).

A component is None where it cannot be known (short history, no volume, no reference, no movement), never a number in
its stead. Values are rounded half-even to 6 decimals, so that the last bits of a processor's arithmetic do not reach
the hash.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from numbers import Real

import numpy as np

from throughline.identity import hash_body, score_text
from throughline.signals import drift, moments, phase, spectrum, warp
from throughline.signals.window import F64, WINDOW_BARS, Returns, SignalWindow, log_returns, paired_returns

SOULPRINT_SCHEMA = "soulprint/1"
"""Names, order, meaning, centers and scales of the components. Any change of them is another schema."""

PSI_BINS = 4
PSI_QUANTILE = 0.95
"""The newest third of the returns is judged against the older two thirds, in quartiles of those, at the 5 % level of
independent returns (under volatility clustering it is exceeded more often, see `throughline.signals.drift`)."""

DECIMALS = 6
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Component:
    """One number of the soulprint.

    `center` and `scale` standardise it for similarity (an infinite scale: recorded, but not compared); `least_bars` is
    the least number of bars with a close (with both closes, where a reference is read) below which it is None.
    """

    name: str
    center: float
    scale: float
    least_bars: int
    doc: str


NOT_COMPARED = math.inf

# Centers and scales: median and half the distance between the 15.87 % and 84.13 % quantiles, two digits, over the 550
# windows of real hourly Binance spot bars (December 2020 to May 2021, 39 coins with a median cap below $250M or not
# reported, BTC as reference) that end with a bar 20 % or more above the close of 24 h before, the first in 48 h. The
# phase is uniform on the circle: center 0, scale sqrt(1/2). Frozen with the schema, whatever later data say.
COMPONENTS: tuple[Component, ...] = (
    Component("chrono_resonance", 0.63, 0.27, 40, "phase-locking value with the reference in the 8-bar band, [0, 1]"),
    Component("drift", 1.4, 0.58, 48, "mean return of the newest third against the older ones, standard errors"),
    Component("imbalance", 0.19, 0.21, 24, "(rising - falling volume) / volume, [-1, 1]"),
    Component("lead", 0.029, 1.0, 32, "bars ahead of the reference along the warping path, [-8, 8]"),
    Component("momentum", 0.15, 0.18, 24, "log return over the window"),
    Component("own_cycle", 0.13, 0.047, 32, "1 - entropy of the power at periods of 4 to 32 bars, [0, 1]"),
    Component("phase", 0.0, NOT_COMPARED, 25, "phase of the 8-bar cycle at the newest bar, radians (-pi, pi]"),
    Component("phase_cos", 0.0, 0.71, 25, "cosine of the phase: the circle is compared by both coordinates"),
    Component("phase_sin", 0.0, 0.71, 25, "sine of the phase"),
    Component("psi", 0.46, 0.36, 48, "population stability index of the newest third over its 5 % threshold, >= 0"),
    Component("range", 0.028, 0.0098, 24, "Parkinson volatility from highs and lows, per bar"),
    Component(
        "resonance_excess", 0.16, 0.23, 40, "chrono resonance minus the mean of phase-shuffled surrogates, [-1, 1]"
    ),
    Component("slope", 0.00076, 0.0034, 24, "least-squares slope of the log close, per bar"),
    Component("spectral_entropy", 0.89, 0.027, 32, "entropy of the power of the log returns, [0, 1]"),
    Component(
        "temporal_warp", 0.48, 0.073, 32, "cost per step of the alignment with the reference, standard deviations"
    ),
    Component("time_scale", 1.0, 0.047, 32, "median local slope of the alignment; above 1 = slower than the reference"),
    Component("trend_t", 0.77, 0.92, 24, "mean log return over its standard error"),
    Component("volatility", 0.026, 0.0096, 24, "standard deviation of the log returns, per bar"),
)

NAMES: tuple[str, ...] = tuple(component.name for component in COMPONENTS)


class _Reading:
    """A window with what several components share, computed once."""

    def __init__(self, window: SignalWindow) -> None:
        self.window = window
        self.returns: Returns = log_returns(window.close)
        self.own, self.reference, self.pairs = paired_returns(window.close, window.reference_close)

    @cached_property
    def resonance(self) -> float | None:
        return phase.chrono_resonance(self.own, self.reference)

    @property
    def excess(self) -> float | None:
        null = phase.surrogate_mean(self.own, self.reference)
        return None if self.resonance is None or null is None else self.resonance - null

    @cached_property
    def alignment(self) -> warp.Warp | None:
        return warp.temporal_warp(self.own, self.reference)

    @cached_property
    def angle(self) -> float | None:
        return phase.phase_at_end(self.returns.values)

    @cached_property
    def newest_and_older(self) -> tuple[F64, F64]:
        """Newest third and older two thirds of the bars' returns."""
        known: F64 = self.returns.values[self.returns.known]
        cut = len(known) - len(known) // 3
        return known[cut:], known[:cut]


_Measure = Callable[[_Reading], float | None]

_OWN: Mapping[str, _Measure] = {
    "drift": lambda r: drift.mean_shift(*r.newest_and_older),
    "imbalance": lambda r: moments.imbalance(r.returns, r.window.volume),
    "momentum": lambda r: moments.momentum(r.returns),
    "own_cycle": lambda r: phase.own_cycle(r.returns.values),
    "phase": lambda r: r.angle,
    "phase_cos": lambda r: None if r.angle is None else math.cos(r.angle),
    "phase_sin": lambda r: None if r.angle is None else math.sin(r.angle),
    "psi": lambda r: drift.psi_ratio(*r.newest_and_older, PSI_BINS, PSI_QUANTILE),
    "range": lambda r: moments.high_low_range(r.window.high, r.window.low),
    "slope": lambda r: moments.slope(r.window.close),
    "spectral_entropy": lambda r: spectrum.spectral_entropy(r.returns.values),
    "trend_t": lambda r: moments.trend_t(r.returns),
    "volatility": lambda r: moments.volatility(r.returns),
}
_WITH_REFERENCE: Mapping[str, _Measure] = {
    "chrono_resonance": lambda r: r.resonance,
    "lead": lambda r: r.alignment.lead if r.alignment else None,
    "resonance_excess": lambda r: r.excess,
    "temporal_warp": lambda r: r.alignment.distance if r.alignment else None,
    "time_scale": lambda r: r.alignment.time_scale if r.alignment else None,
}


def rounded(value: float) -> float:
    """Return `value` rounded half-even to 6 decimals, without a negative zero."""
    return round(value, DECIMALS) + 0.0


def soulprint_vector(window: SignalWindow) -> dict[str, float | None]:
    """Return all components of a window, names in sorted order, values rounded to 6 decimals, None where unknown.

    A pure function of the window: later bars cannot change it.
    """
    reading = _Reading(window)
    values: dict[str, float | None] = {}
    for component in COMPONENTS:
        own = component.name in _OWN
        enough = (reading.returns.bars if own else reading.pairs) >= component.least_bars
        measure = _OWN[component.name] if own else _WITH_REFERENCE[component.name]
        value = measure(reading) if enough else None
        values[component.name] = None if value is None else rounded(value)
    return values


def require_vector(mapping: Mapping[str, object]) -> dict[str, float | None]:
    """Return a hand-written vector as `soulprint_vector` gives it: all names, rounded; the ones not given are None.

    Raises ValueError naming components that do not exist and values that are not finite numbers.
    """
    unknown = sorted(str(name) for name in mapping if name not in NAMES)
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no component of {SOULPRINT_SCHEMA}; it has {', '.join(NAMES)}")
    values: dict[str, float | None] = {}
    for name in NAMES:
        value = mapping.get(name)
        if value is None:
            values[name] = None
        elif isinstance(value, bool | np.bool_) or not isinstance(value, Real) or not math.isfinite(value):
            raise ValueError(f"{name} is {value!r}: give a finite number, or None where it is not known")
        else:
            values[name] = rounded(float(value))
    return values


def with_phase_coordinates(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return a whole vector (`require_vector`) with both coordinates of the phase, where only the angle was given.

    The angle itself is never compared, since -3.14 and 3.14 are neighbours on the circle.
    """
    angle = values["phase"]
    coordinates = {} if angle is None else {"phase_cos": math.cos(angle), "phase_sin": math.sin(angle)}
    missing = {name: rounded(value) for name, value in coordinates.items() if values[name] is None}
    return {**values, **missing}


def vector_text(values: Mapping[str, float | None]) -> dict[str, str | None]:
    """Return a vector as decimals for records: all names in sorted order, None where unknown."""
    return {name: None if value is None else score_text(value) for name, value in require_vector(values).items()}


def vector_from_text(texts: Mapping[str, str | None]) -> dict[str, float | None]:
    """Return the vector that `vector_text` wrote. Raises ValueError for unknown names and texts that are no numbers."""
    values: dict[str, object] = {}
    for name, text in texts.items():
        try:
            values[name] = None if text is None else float(Decimal(text))
        except (InvalidOperation, TypeError) as error:
            raise ValueError(f"{name} is {text!r}: give decimal digits, or None where it is not known") from error
    return require_vector(values)


def soulprint_hash(decision_time_text: str, subject: str, texts: Mapping[str, str | None]) -> str:
    """Return the content hash (hex SHA-256) of a soulprint: schema, subject, decision time and all components.

    `texts` is what `vector_text` gives; `subject` names what the window is of (the caller's choice: an instrument, a
    candidate). Identity only: two hashes say nothing about likeness. Raises ValueError unless `texts` has exactly the
    schema's names in canonical decimals, since one vector must not have two hashes.
    """
    if set(texts) != set(NAMES) or vector_text(vector_from_text(texts)) != dict(texts):
        raise ValueError("these are not the texts of a whole vector: write it with vector_text first")
    return hash_body(
        "soulprint_vector",
        {"schema": SOULPRINT_SCHEMA, "subject": subject, "decision_time": decision_time_text, "values": dict(texts)},
    )


def signal_days(interval_ms: int) -> int:
    """Return how many whole days before a day the window of its first decision can reach (one bar more, rounded up)."""
    if interval_ms <= 0:
        raise ValueError(f"interval_ms is {interval_ms}: give the length of a bar in milliseconds")
    return -(-(WINDOW_BARS + 1) * interval_ms // DAY_MS)
