"""Compare today's trades of the example archives with the stored ones: ``python -m tests.golden.check DATA [NAME]``.

Each archive is run by the installed command in a home of its own, with the range and configuration that its stored file
was made with (benchmarks/archives.py). Exit code 1 where a trade differs. ``--write`` stores the trades instead; a
difference needs a reason in the README beside the files.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.archives import ARCHIVES, COMMAND, Archive

FOLDER = Path(__file__).parent
KEY = ("instrument", "decision_time")
LEFT_OUT = ("id", "model")
"""Columns of `throughline trades` that follow from the experiment's identity, which code and lock are part of."""

Row = Mapping[str, str]


def stored(name: str) -> list[Row]:
    """Return the stored trades of an archive, in order of their exits."""
    return _read(FOLDER / f"{name}.csv")


def differences(expected: Sequence[Row], actual: Sequence[Row]) -> list[str]:
    """Return a line for each trade that is missing, new, or differs in any digit of any column."""
    before = {tuple(row[name] for name in KEY): row for row in expected}
    after = {tuple(row[name] for name in KEY): row for row in actual}
    lines = [f"missing: {' '.join(key)}" for key in before if key not in after]
    lines += [f"new: {' '.join(key)}" for key in after if key not in before]
    for key in before:
        if key in after:
            changed = [name for name in before[key] if before[key][name] != after[key].get(name)]
            lines += [f"{' '.join(key)}: {name} {before[key][name]} -> {after[key].get(name)}" for name in changed]
    return lines


def todays(archive: Archive, data: Path) -> list[Row]:
    """Return the trades that today's code gives, in order of their exits."""
    with tempfile.TemporaryDirectory(prefix="golden-") as home:
        run = (*archive.arguments, "--data", str(data), "--allow-blocked")
        _command(home, "backtest", *run)
        _command(home, "trades", "--sort", "exit_time", "--csv", f"{home}/trades.csv")
        rows = _read(Path(home) / "trades.csv")
    return [{name: value for name, value in row.items() if name not in LEFT_OUT} for row in rows]


def main() -> int:
    """Run the archives that are named; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that the descriptions' paths start from")
    parser.add_argument("names", nargs="*", help=", ".join(archive.name for archive in ARCHIVES))
    parser.add_argument("--write", action="store_true", help="store today's trades")
    options = parser.parse_args()
    unknown = set(options.names) - {archive.name for archive in ARCHIVES}
    if unknown:
        parser.error(f"no such archive: {', '.join(sorted(unknown))}")
    different = 0
    for archive in ARCHIVES:
        if options.names and archive.name not in options.names:
            continue
        rows = todays(archive, options.data.resolve())
        before = stored(archive.name) if (FOLDER / f"{archive.name}.csv").exists() else []
        lines = differences(before, rows)
        print(f"{archive.name}: {len(before)} trades stored, {len(rows)} today, {len(lines)} differences", flush=True)
        print("".join(f"  {line}\n" for line in lines[:20]), end="")
        different += bool(lines)
        if options.write:
            _write(FOLDER / f"{archive.name}.csv", rows)
    return int(different > 0 and not options.write)


def _command(home: str, *arguments: str) -> None:
    done = subprocess.run(
        (str(COMMAND), *arguments, "--home", home), cwd=home, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"throughline {arguments[0]} failed with exit code {done.returncode}: {done.stderr.strip()}")


def _read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
