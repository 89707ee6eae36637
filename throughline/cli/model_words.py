"""Models in words and tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from throughline.cli.record_words import usd, when
from throughline.cli.screen import table

Told = Mapping[str, Any]
TRADES_SHOWN = 20
LOOKS_SHOWN = 10
WIDEST_FIGURE = 20


def listing(told: Told) -> str:
    """Return the models of an experiment and who serves."""
    lines = [f"Experiment {told['experiment'][:12]} ({told['mode']}), {_policy(told)}", _serving(told["serving"])]
    if not told["models"]:
        return "\n".join([*lines, "No model yet: run `throughline train`, or `throughline walk-forward`."])
    head = ("model", "as of", "labels", "worth", "gates", "state", "trades", "MLflow")
    rows = [
        (
            row["id"][:12],
            row["as_of"][:10],
            f"{row['labels']:,}",
            f"{float(row['effective']):,.0f}",
            _gates_word(row),
            row["state"],
            row["trades"],
            row["mlflow_version"] or "-",
        )
        for row in told["models"]
    ]
    lines += ["", table([head, *rows], left=(0, 1, 4, 5), indent=""), ""]
    return "\n".join([*lines, f"Trades that the rule decided: {told['trades_by_rule']:,}"])


def card(told: Told) -> str:
    """Return the card of one model."""
    window = told["window"]
    read = "nothing was sealed to learn from"
    if window is not None:
        read = f"days {window['first']} to {window['last']}, {told['seals']} sealed partitions"
    place = told["mlflow"]
    shown = "not shown yet" if place is None else f"version {place['version']}, run {place['run']}"
    tried = (
        f"{len(told['trials'])} of its own, {told['trials_of_experiment']} in the experiment, "
        f"{told['trials_of_home']} in the home"
    )
    lines = [
        f"Model {told['id']}",
        f"  state       {told['state']}; decided {told['trades']:,} closed trades",
        f"  {'trained on' if told['fitted'] else 'read      '}  {read}, as of {when(told['as_of'])}",
        f"  labels      {told['labels']:,}, worth {float(told['effective']):,.0f} independent ones",
        f"  compared to {_against(told['against'])}",
        f"  trials      {tried}",
        f"  file        {'none: too little to train on' if told['file_hash'] is None else told['file_hash']}",
        f"  MLflow      {shown}",
        "",
        "Gates",
        gates(told["gates"]),
    ]
    figures = [(name, value) for name, value in sorted(told["metrics"].items()) if _is_figure(value)]
    if figures:
        lines += ["", "Figures out of fold", table([("figure", "value"), *figures])]
    if told["events"]:
        lines += ["", "Events"]
        lines += [f"  {when(event['effective_at'])}  {_event(event)}" for event in told["events"]]
    if told["decided"]:
        lines += ["", "Its trades", _trades(told["decided"])]
    return "\n".join(lines)


def _against(name: str) -> str:
    """Return what a model was compared with."""
    return {"rule": "the rule", "cash": "cash: the rule was closed"}.get(name, f"model {name[:12]}")


def gates(items: Sequence[Told]) -> str:
    """Return the gates as a table with the reason of each."""
    if not items:
        return "  no verdict is recorded: the model cannot serve"
    head = ("gate", "verdict", "value", "threshold", "reason")
    rows = [
        (item["gate"], item["status"], item["value"] or "-", item["threshold"] or "-", item["reason"]) for item in items
    ]
    return table([head, *rows], left=(0, 1, 4))


def trained(told: Told) -> str:
    """Return the result of a training: whether there is a model, its gates, and whether it serves."""
    refused = [item["gate"] for item in told["gates"] if item["status"] != "pass"]
    name, labels = told["model"][:12], f"{told['labels']['labels']:,} labels"
    if told["fitted"]:
        head = f"Model {name} {'was trained before' if told['known'] else 'is trained'}, on {labels}"
    else:
        again = "was recorded before" if told["known"] else "is recorded"
        head = f"No model was trained on {labels}; the attempt {again} as {name}"
    lines = [head, "", gates(told["gates"]), ""]
    if refused and not told["fitted"]:
        lines.append(f"Nothing can serve: {len(refused)} gate(s) did not pass ({', '.join(refused)}).")
    elif refused:
        lines.append(f"It does not serve: {len(refused)} gate(s) did not pass ({', '.join(refused)}).")
    elif told["deployed"]:
        lines.append("Every gate passed: it is on trial.")
    elif told["waiting"]:
        lines.append(f"Every gate passed; it waits: {told['waiting']}.")
    else:
        lines.append("Every gate passed: `throughline train --deploy` puts it on trial.")
    return "\n".join(lines)


def _gates_word(row: Told) -> str:
    if not row["fitted"]:
        return "no model was trained"
    return "all passed" if row["passed"] else f"{len(row['refused_by'])} refused"


def canary(told: Told) -> str:
    """Return how the model on trial or the watched champion stands."""
    lines = [f"Experiment {told['experiment'][:12]}, {_policy(told)}", _serving(told["serving"]), *_rule(told["rule"])]
    if told["model"] is None:
        return "\n".join([*lines, "No model is on trial, and no promoted champion is watched."])
    role = "on trial" if told["role"] == "canary" else "watched as champion"
    lines.append(f"Model {told['model'][:12]} is {role} since {when(told['since'])}")
    last = told["last"]
    if last is None:
        return "\n".join(
            [
                *lines,
                "It was not evaluated yet: `throughline canary --look` does so, as of the end of the last sealed day.",
            ]
        )
    days = last["days_to_verdict"]
    pairs = f"{last['units']} days, {last['pairs']} pairs of which {last['disagreements']} disagree"
    values = f"worse {last['worse']:.3g}, not worse by the margin {last['noninferior']:.3g}"
    tails = f"more stops {last['tail']:.3g}, more total losses {last['lost']:.3g}"
    lines += [
        "",
        f"{last['verdict'].replace('_', ' ')}: {last['reason']}",
        f"  evidence   {pairs}, {last['trades']} trades of its own",
        f"  difference {_percent(last['mean_difference'])} a pair",
        f"  e-values   {values}, {tails}",
        f"  spent      {last['spent']:.3g} of the error that a rollback may make",
        f"  verdict in {'an unknown number of' if days is None else f'about {days:,.0f}'} days",
        f"  guards     {', '.join(last['guards']) or 'none tripped'}",
        "",
        f"{len(told['looks'])} evaluation(s) so far, the newest last:",
    ]
    lines += [
        f"  {when(item['as_of'])}  {item['verdict'].replace('_', ' ')}: {item['reason']}"
        for item in told["looks"][-LOOKS_SHOWN:]
    ]
    return "\n".join(lines)


def _serving(state: Told) -> str:
    champion = "The rule" if state["champion"] == "rule" else f"Model {state['champion'][:12]}"
    since = "" if state["promoted_at"] is None else f" since {when(state['promoted_at'])}"
    if state["rule_closed"]:
        since += f" (the rule is closed since {when(state['rule_since'])}: nothing that it decides is entered)"
    trial = "no model is on trial" if state["canary"] is None else f"model {state['canary'][:12]} is on trial"
    return f"{champion} is champion{since}; {trial}; {len(state['barred'])} barred"


def _rule(told: Told | None) -> list[str]:
    """Return the state of the rule and its reason, in one line."""
    if told is None:
        return []
    will = "" if told["acts"] else " (reported only: the policy does not close the rule)"
    return [f"Rule {'closed' if told['closed'] else 'open'}: {told['reason']}{will}"]


def _policy(told: Told) -> str:
    if told["policy"] == "none":
        return "model policy 'none': the rule alone decides"
    return "model policy 'gated': models decide that passed every gate"


def _event(event: Told) -> str:
    return f"{event['kind'].replace('_', ' ')} by {event['by']}: {event['reason']}"


def _trades(trades: Sequence[Told]) -> str:
    head = ("candidate", "instrument", "arm", "closed", "net", "%", "ended by")
    rows = [
        (
            item["candidate"],
            item["instrument"],
            item["arm"],
            item["closed"][:10],
            usd(item["pnl_usd"], "+"),
            f"{float(item['pnl_percent']):+.2f}",
            item["termination"],
        )
        for item in trades[-TRADES_SHOWN:]
    ]
    more = len(trades) - len(rows)
    text = table([head, *rows], left=(0, 1, 2, 3, 6))
    return text if more == 0 else f"{text}\n  and {more:,} before these (--json lists all)"


def _percent(value: float | None) -> str:
    return "not known yet" if value is None else f"{value * 100:+.3f} %"


def _is_figure(value: object) -> bool:
    return isinstance(value, int | str) and len(str(value)) <= WIDEST_FIGURE
