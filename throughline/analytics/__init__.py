"""Analytics: what an experiment's ledger adds up to. Read-only; nothing here decides or records a trade.

`performance` (figures of an equity curve), `baselines` (what the market and chance would have given), `report` (the
object behind ``backtest --json``), `tearsheet` (one static HTML page), `pictures` (small PNGs for previews).
"""
