"""Which coins go: the expected loss that a universe of survivors hides, measured on the coins a strategy can buy.

    python benchmarks/attrition.py FOLDER

FOLDER holds CoinMarketCap's daily file of 2018 and the listing of December 2017 (coinmarketcap_daily_2018h1).

A listing of December 2017 is compared with the coins that are still listed on 3 July 2018 (the survivors that the
archive holds). Cohorts are by market cap and 24 h volume on the day of the listing. Renamed coins are not gone: each
name below has the circulating supply (cap / price) of the old one or its name, which the script checks.
Intervals are exact (Clopper and Pearson 1934), at 95 %. Per 48 h: 1 - (1 - share) ** (2 / days).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from scipy.stats import beta

LISTED, SURVIVED = pd.Timestamp("2017-12-06"), pd.Timestamp("2018-07-02")
RENAMED = {
    "coindash": "blox",
    "hive": "hive-project",
    "blackmoon-crypto": "blackmoon",
    "bitbean": "bean-cash",
    "stealthcoin": "stealth",
}
SUPPLY_TOLERANCE = 0.15
"""New coins are mined or released between the two dates; a coin's supply does not double in a month."""


def interval(gone: int, of: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share."""
    low = 0.0 if gone == 0 else float(beta.ppf(0.025, gone, of - gone + 1))
    high = 1.0 if gone == of else float(beta.ppf(0.975, gone + 1, of - gone))
    return low, high


def per_48h(share: float) -> float:
    """Return the loss per 48 h that gives `share` over the time between the two dates."""
    return float(1.0 - (1.0 - share) ** (2.0 / (SURVIVED - LISTED).days))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    listed = pd.read_parquet(folder / "snapshot_2017-12-06.parquet").drop_duplicates("id").set_index("id")
    survivors = set(pd.read_csv(folder / "slugs_listed_2018-07.csv")["coin_slug"])
    bars = pd.read_parquet(folder / "ohlcv.parquet").sort_values("date").groupby("coin_slug").first()
    print("Renamed: old name -> new name, circulating supply then and at the first bar of 2018")
    for old, new in RENAMED.items():
        before, after = listed.available_supply[old], bars.market_cap_usd[new] / bars.open_usd[new]
        same = abs(after / before - 1.0) <= SUPPLY_TOLERANCE or new.split("-")[0] == old.split("-")[0]
        if new not in survivors or new in listed.index or not same:
            raise SystemExit(f"{old} is not {new}: supply {before:,.0f} then, {after:,.0f} later")
        print(f"  {old:18} -> {new:14} {before:16,.0f} {after:16,.0f}")
    gone = pd.Series(~listed.index.isin(survivors), index=listed.index)
    cap, volume = listed.market_cap_usd, listed["24h_volume_usd"]
    buyable = cap.between(1e5, 5e7) & (volume >= 1e5)
    print(f"\n{'cohort':48} gone      share   95 % interval        per 48 h  95 % interval")
    for name, members, lost in (
        ("all coins", cap.notna() | cap.isna(), gone),
        ("volume below $10K", volume < 1e4, gone),
        ("cap $100K to $50M and volume from $100K", buyable, gone),
        ("the same, renamed coins not counted as gone", buyable, gone & ~gone.index.isin(list(RENAMED))),
        ("cap above $50M", cap > 5e7, gone),
    ):
        count, of = int(lost[members].sum()), int(members.sum())
        low, high = interval(count, of)
        print(
            f"{name:48} {count:3} of {of:5} {count / of:6.1%}  {low:6.1%} to {high:6.1%}  {per_48h(count / of):10.3%}"
            f"  {per_48h(low):.3%} to {per_48h(high):.3%}"
        )


if __name__ == "__main__":
    main()
