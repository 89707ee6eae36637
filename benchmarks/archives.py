"""What is found on the real archives: ``python benchmarks/archives.py DATA [NAME ...]``.

For each description of examples/archives: the backtest by the rule alone and the walk-forward, each with the installed
command in a home of its own, and the figures of both that README and CHANGELOG quote. DATA is the folder that the
descriptions' paths start from. Without names all three are run: minutes for binance-hourly-2021 and coinmarketcap-2018,
more than an hour for binance-closes-2022, which trains thirty times.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples" / "archives"
COMMAND = Path(sys.executable).parent / "throughline"


@dataclass(frozen=True)
class Archive:
    """A description, the range of days that is run, and its configuration (None = the defaults)."""

    name: str
    start: str
    end: str
    configuration: str | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """The options of `backtest` and `walk-forward`, but for --data."""
        config = ("--config", str(EXAMPLES / self.configuration)) if self.configuration else ()
        return ("--archive", str(EXAMPLES / f"{self.name}.toml"), "--start", self.start, "--end", self.end, *config)


ARCHIVES = (
    Archive("binance-hourly-2021", "2021-01-01", "2021-05-31"),
    Archive("coinmarketcap-2018", "2018-01-01", "2018-05-26"),
    Archive("binance-closes-2022", "2022-01-01", "2024-07-22", "binance-closes-2022.config.toml"),
)


def answer(home: str, *arguments: str) -> Any:
    """Return what a command prints with --json. Exits with its message where it fails."""
    result = subprocess.run(
        (str(COMMAND), *arguments, "--home", home, "--json"), cwd=home, capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(f"throughline {arguments[0]} failed with exit code {result.returncode}: {result.stderr.strip()}")
    return json.loads(result.stdout)


def percent(value: float | None, digits: int = 2) -> str:
    """Return a fraction as percent text."""
    return "n/a" if value is None else f"{100 * value:+,.{digits}f} %"


def result_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the figures of a run's trades, baselines and rule."""
    counts = f"{report['candidates']:,} candidates, {report['trades']:,} closed trades"
    yield f"{counts}, experiment {report['experiment'][:12]}"
    paths = ", ".join(f"{name} {percent(value)}" for name, value in report["returns"].items())
    yield f"returns: {paths}"
    base = report["paths"]["base"]
    sharpe = "n/a" if base["sharpe"] is None else f"{base['sharpe']:.2f}"
    yield (
        f"base path: drawdown {percent(-base['max_drawdown'])}, exposure {percent(base['exposure'])}, Sharpe {sharpe}, "
        f"win rate {percent(base['win_rate'])}"
    )
    chance = report["baselines"]["random_entries"]
    if chance["draws"]:
        yield (
            f"random entries: percentile {chance['percentile']:.1f} of {chance['draws']} draws, "
            f"median {percent(chance['return_median'])}"
        )
        if chance["trade_percentile"] is not None:
            yield (
                f"mean net return a trade: {percent(chance['trade_return'])}, of random entries "
                f"{percent(chance['trade_return_median'])}, percentile {chance['trade_percentile']:.1f}; invested: "
                f"{percent(base['exposure'])} and {percent(chance['exposure'])}"
            )
    else:
        yield f"random entries: {chance['reason']}"
    equal, same, market = (
        report["baselines"][name] for name in ("equal_weight", "equal_weight_same_exposure", "benchmark")
    )
    yield (
        f"equal weight: {percent(equal['return'])}, {equal['instruments']:.1f} coins on average; at the strategy's "
        f"exposure of {percent(same['exposure'])}: {percent(same['return'])}; "
        f"{market['name']}: {percent(market['return'])}"
    )
    for path, day in report["stopped"].items():
        yield f"the fund can pay no position any more: {path} path from the end of {day} on"
    cash = report["cash"]
    for change in cash["changes"]:
        word = {"close": "closed", "open": "opened"}[change["verdict"]]
        verb = "is" if cash["acts"] else "would be"
        yield f"the rule {verb} {word} on {change['at'][:10]}: {change['reason']}"
    if not cash["changes"]:
        yield "the rule is never closed"


def model_lines(walk: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield every training with the figures of its gates. metrics: of the models that were fitted, by ID."""
    models = walk["models"]
    passed = sum(model["passed"] for model in models)
    yield f"{len(models)} trainings; {passed} passed every gate; trades decided by the rule: {walk['trades_by_rule']:,}"
    for model in models:
        effective = float(model["effective"])
        yield f"{model['as_of'][:10]}  {model['labels']:,} labels worth {effective:,.1f} independent ones"
        if model["fitted"]:
            found = metrics[model["id"]]
            yield (
                f"    R2 {_number(found['r2'])}, lower bound {_number(found['r2_lower'])}; takes {found['taken']:,} of "
                f"{found['labels_tested']:,} tested labels"
            )
        for gate in model["gates"]:
            if model["fitted"] or not gate["reason"].startswith("no model was trained"):
                value, threshold = _number(gate["value"]), _number(gate["threshold"])
                yield f"    {gate['status']:12} {gate['gate']:18} {value} ({threshold})"
    fitted = [found for found in metrics.values() if found["r2"] is not None]
    if fitted:
        r2, lower = (max(float(found[name]) for found in fitted) for name in ("r2", "r2_lower"))
        yield f"over all trainings: R2 at most {r2:.4f}, its lower bound at most {lower:.4f}"
    for event in walk["events"]:
        yield f"{event['effective_at'][:10]}  {event['kind'].replace('_', ' ')}: {event['reason']}"


def _number(text: str | None) -> str:
    return "n/a" if text is None else f"{float(text):.4f}"


def measure(archive: Archive, data: Path) -> None:
    """Run one archive and print its figures."""
    place = ("--data", str(data.resolve()), "--dossiers", "0")
    print(f"\n{archive.name}, {archive.start} to {archive.end}", flush=True)
    with tempfile.TemporaryDirectory(prefix="throughline-archives-") as home:
        started = time.monotonic()
        report = answer(home, "backtest", *archive.arguments, *place)
        _show(f"the rule alone ({time.monotonic() - started:.0f} s)", result_lines(report))
    with tempfile.TemporaryDirectory(prefix="throughline-archives-") as home:
        started = time.monotonic()
        report = answer(home, "walk-forward", *archive.arguments, *place)
        walk = report["walk_forward"]
        fitted = [model["id"] for model in walk["models"] if model["fitted"]]
        metrics = {name: answer(home, "models", name)["metrics"] for name in fitted}
        _show(f"walk-forward ({time.monotonic() - started:.0f} s)", result_lines(report))
        _show("models", model_lines(walk, metrics))


def _show(title: str, lines: Iterator[str]) -> None:
    print(f"  {title}")
    for line in lines:
        print(f"    {line}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the archives that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="folder that the descriptions' paths start from")
    names = [archive.name for archive in ARCHIVES]
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *names], help=", ".join(names))
    options = parser.parse_args(arguments)
    for archive in ARCHIVES:
        if not options.names or archive.name in options.names:
            measure(archive, options.data)


if __name__ == "__main__":
    main()
