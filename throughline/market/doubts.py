"""Sentences on what is most likely a mistake in the files or their description, and could be meant.

Belongs here: doubts about names and instruments as a whole. A run prints them and goes on. Does not belong here: what
is refused (`names`, `pieces`), equal series (`same_series`), single rows (`cleaning`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from throughline.errors import shown
from throughline.market.cleaning import RULE_NAMES, CleanBars
from throughline.market.names import look_key, some_names
from throughline.market.rows import I32

_QUOTES = (
    "usd",
    "usdt",
    "usdc",
    "busd",
    "fdusd",
    "tusd",
    "dai",
    "btc",
    "eth",
    "bnb",
    "eur",
    "gbp",
    "jpy",
    "krw",
    "try",
)


def punctuation_doubts(names: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence on pairs that differ in punctuation alone (``BTC/USDT``, ``BTCUSDT``), if there are any.

    Names that do not end in a quote currency are left alone: bank-coin and bankcoin are two coins of CoinMarketCap.
    """
    seen: dict[str, str] = {}
    pairs = []
    for name in names:
        key = "".join(char for char in look_key(name) if char.isalnum())
        other = seen.setdefault(key, name) if key.endswith(_QUOTES) else name
        if other != name:
            pairs.append(f"{shown(other)} and {shown(name)}")
    if not pairs:
        return ()
    more = f" and {len(pairs) - 3:,} more" if len(pairs) > 3 else ""
    words = "pairs that differ in punctuation alone are two instruments each; write one name where it is one."
    return (f"{'; '.join(pairs[:3])}{more}: {words}",)


def nothing_believed_doubts(names: Sequence[str], code: I32, verdict: CleanBars) -> tuple[str, ...]:
    """Return a sentence on instruments whose rows broke rules without one that is believed, if there are any.

    Args:
        names: of the instruments.
        code: instrument number of each row.
        verdict: what cleaning decided about the rows.
    """
    size = len(names)
    broken = np.bincount(code[verdict.rule >= 0], minlength=size)
    nothing = np.flatnonzero((broken > 0) & (np.bincount(code[verdict.believed], minlength=size) == 0))
    if len(nothing) == 0:
        return ()
    rows = np.isin(code, nothing) & (verdict.rule >= 0)
    rules = Counter(RULE_NAMES[int(rule)] for rule in verdict.rule[rows])
    return (
        f"{some_names([names[number] for number in nothing.tolist()])}: not one row is believed ("
        + ", ".join(f"{count:,} {rule}" for rule, count in rules.most_common(3))
        + "); look at the rows, or leave the instruments out with bars.only.",
    )
