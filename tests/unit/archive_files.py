"""Small files in the layouts that exporters write: the same bars, said in many ways. For tests only."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from throughline.clock import Clock
from throughline.market.archive import ArchiveProvider, open_archive

HOUR = 3_600_000
DAY = 24 * HOUR
T0 = 1_709_251_200_000  # 2024-03-01
Bar = tuple[int, float, float, float, float, float]

HOURLY = """
name = "mine"
[bars]
file = "bars.csv"
instrument = "coin"
time = "t"
time_unit = "ms"
stamp = "open"
interval = "1h"
open = "o"
high = "h"
low = "l"
close = "c"
volume = "v"
volume_unit = "quote"
"""
"""The description of hourly bars with volumes in `bars.csv`, whose header is ``coin,t,o,h,l,c,v``."""


def bars(count: int, start: int = T0, step: int = HOUR, scale: float = 1.0) -> list[Bar]:
    """Return (open time in ms, open, high, low, close, volume in USD) of `count` bars that hang together."""
    result, price = [], 1.5 * scale
    for number in range(count):
        close = round(price * (1.01 if number % 3 else 0.99), 6)
        high, low = round(max(price, close) * 1.01, 6), round(min(price, close) * 0.99, 6)
        result.append((start + number * step, round(price, 6), high, low, close, 100_000.0 + number))
        price = close
    return result


def put(folder: Path, name: str, content: str | bytes) -> Path:
    """Write a file below `folder`, making its folders."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def open_files(
    folder: Path, files: Mapping[str, str | bytes], description: str = HOURLY, clock: Clock | None = None
) -> ArchiveProvider:
    """Write an archive's files and its description, and open it."""
    for name, content in files.items():
        put(folder, name, content)
    return open_archive(put(folder, "mine.toml", description), folder, clock)


def moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def zipped(name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, text)
    return buffer.getvalue()


def kline(bar: Bar, factor: int) -> str:
    at, o, h, low, c, v = bar
    last = (at + HOUR) * factor - 1
    return f"{at * factor},{o:.8f},{h:.8f},{low:.8f},{c:.8f},{v / c:.8f},{last},{v:.8f},100,1.0,2.0,0\n"


def binance_vision(folder: Path, rows: list[Bar]) -> None:
    half = len(rows) // 2
    for month, part, factor in (("2024-12", rows[:half], 1), ("2025-01", rows[half:], 1000)):
        name = f"AAAUSDT-1h-{month}"
        put(folder, f"klines/{name}.zip", zipped(f"{name}.csv", "".join(kline(bar, factor) for bar in part)))


def cryptodatadownload(folder: Path, rows: list[Bar]) -> None:
    lines = ["https://www.CryptoDataDownload.com", "unix,date,symbol,open,high,low,close,Volume AAA,Volume USDT"]
    for number, (at, o, h, low, c, v) in reversed(list(enumerate(rows))):
        unix = at if number > len(rows) // 2 else at // 1000
        lines.append(f"{unix},{moment(at):%Y-%m-%d %H:%M:%S},AAAUSDT,{o},{h},{low},{c},{v / c},{v}")
    put(folder, "Binance_AAAUSDT_1h.csv", "\n".join(lines) + "\n")


def cryptodatadownload_old(folder: Path, rows: list[Bar]) -> None:
    lines = ["https://www.CryptoDataDownload.com", "Date,Symbol,Open,High,Low,Close,Volume AAA,Volume USD"]
    for at, o, h, low, c, v in reversed(rows):
        lines.append(f"{moment(at):%Y-%m-%d %I-%p},AAAUSD,{o},{h},{low},{c},{v / c},{v}")
    put(folder, "Gemini_AAAUSDT_1h.csv", "\r\n".join(lines) + "\r\n")


def pandas_frame(folder: Path, rows: list[Bar]) -> None:
    lines = [",open,high,low,close,volume"]
    lines += [f"{moment(at):%Y-%m-%d %H:%M:%S},{o},{h},{low},{c},{v}" for at, o, h, low, c, v in rows]
    put(folder, "frames/AAAUSDT.csv", "\n".join(lines) + "\n")


def bitstamp(folder: Path, rows: list[Bar]) -> None:
    lines = ["Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price"]
    lines += [f"{at // 1000}.0,{o},{h},{low},{c},{v / c},{v},{c}" for at, o, h, low, c, v in rows]
    lines.append(f"{rows[-1][0] // 1000 + 7200}.0" + ",NaN" * 7)
    put(folder, "AAAUSDT_bitstamp.csv", "\n".join(lines) + "\n")


def freqtrade_feather(folder: Path, rows: list[Bar]) -> None:
    import pyarrow as pa
    from pyarrow import feather

    columns = list(zip(*rows, strict=True))
    table = pa.table(
        {
            "date": pa.array(columns[0], pa.int64()).cast(pa.timestamp("ms", "UTC")),
            **{name: pa.array(columns[place]) for place, name in enumerate(("open", "high", "low", "close"), start=1)},
            "volume": pa.array([bar[5] / bar[4] for bar in rows]),
        }
    )
    (folder / "binance").mkdir()
    feather.write_feather(table, str(folder / "binance" / "AAAUSDT-1h.feather"), compression="lz4")


def freqtrade_json(folder: Path, rows: list[Bar]) -> None:
    put(folder, "binance/AAAUSDT-1h.json", json.dumps([[*bar[:5], bar[5] / bar[4]] for bar in rows]))


def yfinance(folder: Path, rows: list[Bar]) -> None:
    lines = ["Price,Close,High,Low,Open,Volume", "Ticker" + ",AAA-USD" * 5, "Date,,,,,"]
    lines += [f"{moment(at):%Y-%m-%d},{c},{h},{low},{o},{v}" for at, o, h, low, c, v in rows]
    put(folder, "AAAUSDT.csv", "\n".join(lines) + "\n")


def european(folder: Path, rows: list[Bar]) -> None:
    def text(value: float) -> str:
        return f"{value:,.6f}".replace(",", "_").replace(".", ",").replace("_", ".")

    lines = ["Zeit;Eröffnung;Hoch;Tief;Schluss;Umsatz"]
    for at, *values in rows:
        local = moment(at).astimezone(ZoneInfo("Europe/Berlin"))
        lines.append(f"{local:%d.%m.%Y %H:%M};" + ";".join(text(value) for value in values))
    put(folder, "AAAUSDT.csv", ("\r\n".join(lines) + "\r\n").encode("cp1252"))


def hive(folder: Path, rows: list[Bar]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = list(zip(*rows, strict=True))
    names = ("open", "high", "low", "close", "volume")
    arrays = {"time": pa.array(columns[0], pa.int64()).cast(pa.timestamp("ms", "UTC"))}
    table = pa.table(arrays | {name: pa.array(columns[place]) for place, name in enumerate(names, start=1)})
    target = folder / "bars" / "symbol=AAA%55SDT"
    target.mkdir(parents=True)
    pq.write_table(table, target / "part-0.parquet")


def folders(folder: Path, rows: list[Bar]) -> None:
    lines = ["close_time,open,high,low,close"]
    lines += [f"{at + HOUR - 1},{o},{h},{low},{c}" for at, o, h, low, c, _ in rows]
    put(folder, "AAAUSDT/1h.csv.gz", gzip.compress(("\n".join(lines) + "\n").encode()))


LAYOUTS: dict[str, Callable[[Path, list[Bar]], None]] = {
    "Binance Vision, spot klines": binance_vision,
    "CryptoDataDownload": cryptodatadownload,
    "CryptoDataDownload, older files": cryptodatadownload_old,
    "pandas": pandas_frame,
    "Kaggle, Bitstamp": bitstamp,
    "freqtrade, feather": freqtrade_feather,
    "freqtrade, JSON": freqtrade_json,
    "yfinance": yfinance,
    "European CSV": european,
    "Hive partitions": hive,
    "A folder per coin": folders,
}
"""Title of the example in examples/archives/README.md -> what writes files of that layout for the coin AAAUSDT."""
