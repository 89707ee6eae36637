"""Who lives in the simulated market: tickers, and the coins that use them one after another.

Belongs here: the names, and each life's dates and character. Does not belong here: prices (`simulated_world`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.market.simulated_noise import F64, uniform, words

I64 = NDArray[np.int64]

BENCHMARK = "BTC-SIM"
LARGE = ("ETH-SIM", "NEXA-SIM", "SOLA-SIM", "TERO-SIM", "VELA-SIM", "XONE-SIM")
_NAMES = """
ABACO ALPEN AMBRA ARKIO BALTO BIRKE BORAX BRISA CALIX CEDRO CINTA COBRA DELFI DOLCE DRAVA DUNAR EBANO ELBAN ENZIA
FABLE FJORD FLORA GALEO GINGO GRANO HAVEL HELIX HUMBO IBEXO INDIO JASPO JUNIP KARST KELPO LAGUN LIMON LOTUS MAGNO
MIRTO NARDO NIMBO OCRIA OPALO PERLA PINJO QUARZ RIVAL SALVI TALCO TUNDR UMBRA ZEFIR ZINKO
"""
SMALL = tuple(f"{name}-SIM" for name in _NAMES.split())
TICKERS = tuple(sorted((BENCHMARK, *LARGE, *SMALL)))

BLOCK_DAYS = 6
"""Days in a block of the event calendar."""

_WHOLE = ("ticker", "listed", "ended", "rug", "evidence", "redenominated")
_REAL = (
    "factor",
    "supply",
    "base",
    "beta",
    "volatility",
    "drift",
    "pull",
    "turnover",
    "pool",
    "locked",
    "top10",
    "sentiment",
    "burst",
)


@dataclass(frozen=True)
class Lives:
    """Every life of every ticker, parallel arrays in order of (ticker, listing). Hours count from the first day.

    ticker: index into TICKERS; listed, ended, rug: hours (rug -1 = ends by delisting or not at all); evidence: hour
    from which the liquidity lock is seen to be gone (-1 = no warning); supply in coins; base: USD price at listing;
    beta, volatility (daily), drift, pull: of the daily path; turnover: daily volume / cap; pool: quote reserve / cap
    (NaN = no pool); locked, top10: shares (NaN = not published); sentiment: 1 if published; burst: chance of a burst
    a day.
    """

    ticker: I64
    listed: I64
    ended: I64
    rug: I64
    evidence: I64
    redenominated: I64
    factor: F64
    supply: F64
    base: F64
    beta: F64
    volatility: F64
    drift: F64
    pull: F64
    turnover: F64
    pool: F64
    locked: F64
    top10: F64
    sentiment: F64
    burst: F64


def draw_lives(seed: int, days: int, closed: NDArray[np.bool_]) -> Lives:
    """Return every life of every ticker in a calendar of `days` days; `closed`: hours of maintenance.

    A rug pull waits until the exchange is open and has been for an hour, so that the fall is seen in a bar.
    """
    rows: list[dict[str, float]] = []
    for number, ticker in enumerate(TICKERS):
        if ticker in SMALL:
            rows.extend(_small_lives(seed, number, ticker, days, closed))
        else:
            rows.append(_large_life(seed, number, ticker, days))
    columns: dict[str, Any] = {name: np.array([int(row[name]) for row in rows], np.int64) for name in _WHOLE}
    columns |= {name: np.array([row[name] for row in rows], np.float64) for name in _REAL}
    return Lives(**columns)


def _large_life(seed: int, number: int, ticker: str, days: int) -> dict[str, float]:
    u = uniform(words(seed, ticker, "lives", 0, 1, 32))[0].tolist()
    benchmark = ticker == BENCHMARK
    supply = 19_000_000.0 if benchmark else 100_000_000.0 * (1 + round(9 * u[0]))
    base = 20_000.0 if benchmark else 2.0 + round(400 * u[1]) / 4
    return {
        "ticker": number,
        "listed": 0,
        "ended": days * 24,
        "rug": -1,
        "evidence": -1,
        "redenominated": -1,
        "factor": 1.0,
        "supply": supply,
        "base": base,
        "beta": 1.0 if benchmark else 0.8 + 0.6 * u[2],
        "volatility": 0.008 if benchmark else 0.015 + 0.015 * u[3],
        "drift": 0.0,
        "pull": 0.01,
        "turnover": 0.03 + 0.05 * u[4],
        "pool": float("nan"),
        "locked": float("nan"),
        "top10": float("nan"),
        "sentiment": 1.0,
        "burst": 0.0,
    }


def _small_lives(seed: int, number: int, ticker: str, days: int, closed: NDArray[np.bool_]) -> list[dict[str, float]]:
    result: list[dict[str, float]] = []
    draws = uniform(words(seed, ticker, "lives", 0, 2 + days // 60, 32))
    day = -round(480 * float(draws[0][0])) if draws[0][1] < 0.88 else round(200 * float(draws[0][0]))
    for u in draws.tolist():
        length = 60 + round(480 * u[2])
        listed, ended = day * 24 + round(23 * u[3]), (day + length) * 24 + round(23 * u[4])
        day += length + 20 + round(60 * u[5])
        if ended <= 24 * 10:
            continue
        if listed >= days * 24:
            break
        listed = max(listed, 0)
        rugged = u[6] < 0.5 and ended < days * 24
        rug = ended - 20 - round(40 * u[7]) if rugged else -1
        while rugged and (closed[rug] or closed[rug - 1]):
            rug += 1
        evidence = rug - 6 - round(60 * u[8]) if rugged and u[9] < 0.6 else -1
        # A redenomination needs room for its gap: it is placed in the middle third of a long life.
        block = (listed // 24 + (ended - listed) // 72 + round(u[11] * (ended - listed) / 72)) // BLOCK_DAYS
        renamed = u[10] < 0.2 and ended - listed > 24 * 90
        cap = 150_000.0 * (1 + 7 * u[12]) * (1 + 30 * u[13] * u[13])
        supply = float(10 ** (6 + int(5 * u[14]))) * (1 + round(9 * u[15]))
        result.append(
            {
                "ticker": number,
                "listed": listed,
                "ended": min(ended, days * 24),
                "rug": rug,
                "evidence": evidence,
                "redenominated": block if renamed else -1,
                "factor": (1000.0, 0.001, 0.1)[int(3 * u[16])],
                "supply": supply,
                "base": cap / supply,
                "beta": 0.4 + 1.0 * u[17],
                "volatility": 0.025 + 0.045 * u[18],
                "drift": -0.010,
                "pull": 0.06,
                "turnover": 0.05 + 0.5 * u[19] * u[19],
                "pool": 0.04 + 0.10 * u[20] if u[21] < 0.75 or rugged else float("nan"),
                "locked": 0.55 + 0.45 * u[22] if u[23] < 0.75 or rugged else float("nan"),
                "top10": 0.12 + 0.45 * u[24] if u[25] < 0.85 else float("nan"),
                "sentiment": 1.0 if u[26] < 0.8 else 0.0,
                "burst": 0.05 + 0.07 * u[27],
            }
        )
    return result


def life_by_day(lives: Lives, days: int) -> NDArray[np.int32]:
    """Return which life each ticker has on each day, [days, tickers]; -1 = nothing is listed."""
    life = np.full((days, len(TICKERS)), -1, np.int32)
    for number in range(len(lives.ticker)):
        first, last = int(lives.listed[number]) // 24, (int(lives.ended[number]) - 1) // 24
        life[first : last + 1, lives.ticker[number]] = number
    return life
