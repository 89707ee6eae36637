"""Models as text and tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from throughline.rendering.formats import amount_usd, percent, second, words
from throughline.rendering.table import Table

Json = Mapping[str, Any]
"""A JSON object as ``--json`` prints it."""
TRADES_SHOWN = 20
LOOKS_SHOWN = 10
WIDEST_FIGURE = 20


def listing(models: Json) -> str:
    """Return the models of an experiment and who serves."""
    lines = [
        f"Experiment {models['experiment'][:12]} ({models['mode']}), {_policy(models)}",
        _serving(models["serving"]),
    ]
    if not models["models"]:
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
        for row in models["models"]
    ]
    lines += ["", Table(head, rows, left=(0, 1, 4, 5)).text(""), ""]
    return "\n".join([*lines, f"Trades that the rule decided: {models['trades_by_rule']:,}"])


def model_card(card: Json) -> str:
    """Return the card of one model."""
    window = card["window"]
    read = "nothing was sealed to learn from"
    if window is not None:
        read = f"days {window['first']} to {window['last']}, {card['seals']} sealed partitions"
    place = card["mlflow"]
    shown = "not shown yet" if place is None else f"version {place['version']}, run {place['run']}"
    tried = (
        f"{len(card['trials'])} of its own, {card['trials_of_experiment']} in the experiment, "
        f"{card['trials_of_home']} in the home"
    )
    lines = [
        f"Model {card['id']}",
        f"  state       {card['state']}; decided {card['trades']:,} closed trades",
        f"  {'trained on' if card['fitted'] else 'read      '}  {read}, as of {second(card['as_of'])}",
        f"  labels      {card['labels']:,}, worth {float(card['effective']):,.0f} independent ones",
        f"  compared to {_against(card['against'])}",
        f"  trials      {tried}",
        f"  file        {'none: too little to train on' if card['file_hash'] is None else card['file_hash']}",
        f"  MLflow      {shown}",
        "",
        "Gates",
        gates(card["gates"]),
    ]
    figures = [(name, value) for name, value in sorted(card["metrics"].items()) if _is_figure(value)]
    if figures:
        lines += ["", "Figures out of fold", Table(("figure", "value"), figures).text()]
    if card["events"]:
        lines += ["", "Events"]
        lines += [f"  {second(event['effective_at'])}  {_event(event)}" for event in card["events"]]
    if card["decided"]:
        lines += ["", "Its trades", _trades(card["decided"])]
    return "\n".join(lines)


def _against(name: str) -> str:
    """Return what a model was compared with."""
    return {"rule": "the rule", "cash": "cash: the rule was closed"}.get(name, f"model {name[:12]}")


def gates(items: Sequence[Json]) -> str:
    """Return the gates as a table with the reason of each."""
    if not items:
        return "  no verdict is recorded: the model cannot serve"
    head = ("gate", "verdict", "value", "threshold", "reason")
    rows = [
        (item["gate"], item["status"], item["value"] or "-", item["threshold"] or "-", item["reason"]) for item in items
    ]
    return Table(head, rows, left=(0, 1, 4)).text()


def trained(training: Json) -> str:
    """Return the result of a training: whether there is a model, its gates, and whether it serves."""
    refused = [item["gate"] for item in training["gates"] if item["status"] != "pass"]
    name, labels = training["model"][:12], f"{training['labels']['labels']:,} labels"
    if training["fitted"]:
        head = f"Model {name} {'was trained before' if training['known'] else 'is trained'}, on {labels}"
    else:
        again = "was recorded before" if training["known"] else "is recorded"
        head = f"No model was trained on {labels}; the attempt {again} as {name}"
    lines = [head, "", gates(training["gates"]), ""]
    if refused and not training["fitted"]:
        lines.append(f"Nothing can serve: {len(refused)} gate(s) did not pass ({', '.join(refused)}).")
    elif refused:
        lines.append(f"It does not serve: {len(refused)} gate(s) did not pass ({', '.join(refused)}).")
    elif training["deployed"]:
        lines.append("Every gate passed: it is on trial.")
    elif training["waiting"]:
        lines.append(f"Every gate passed; it waits: {training['waiting']}.")
    else:
        lines.append("Every gate passed: `throughline train --deploy` puts it on trial.")
    return "\n".join(lines)


def _gates_word(row: Json) -> str:
    if not row["fitted"]:
        return "no model was trained"
    return "all passed" if row["passed"] else f"{len(row['refused_by'])} refused"


def canary(report: Json) -> str:
    """Return how the model on trial or the watched champion stands."""
    lines = [
        f"Experiment {report['experiment'][:12]}, {_policy(report)}",
        _serving(report["serving"]),
        *_rule(report["rule"]),
    ]
    if report["model"] is None:
        return "\n".join([*lines, "No model is on trial, and no promoted champion is watched."])
    role = "on trial" if report["role"] == "canary" else "watched as champion"
    lines.append(f"Model {report['model'][:12]} is {role} since {second(report['since'])}")
    last = report["last"]
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
        f"{words(last['verdict'])}: {last['reason']}",
        f"  evidence   {pairs}, {last['trades']} trades of its own",
        f"  difference {_percent(last['mean_difference'])} a pair",
        f"  e-values   {values}, {tails}",
        f"  spent      {last['spent']:.3g} of the error that a rollback may make",
        f"  verdict in {'an unknown number of' if days is None else f'about {days:,.0f}'} days",
        f"  guards     {', '.join(last['guards']) or 'none tripped'}",
        "",
        f"{len(report['looks'])} evaluation(s) so far, the newest last:",
    ]
    lines += [
        f"  {second(item['as_of'])}  {words(item['verdict'])}: {item['reason']}"
        for item in report["looks"][-LOOKS_SHOWN:]
    ]
    return "\n".join(lines)


def _serving(state: Json) -> str:
    champion = "The rule" if state["champion"] == "rule" else f"Model {state['champion'][:12]}"
    since = "" if state["promoted_at"] is None else f" since {second(state['promoted_at'])}"
    if state["rule_closed"]:
        since += f" (the rule is closed since {second(state['rule_since'])}: nothing that it decides is entered)"
    trial = "no model is on trial" if state["canary"] is None else f"model {state['canary'][:12]} is on trial"
    return f"{champion} is champion{since}; {trial}; {len(state['barred'])} barred"


def _rule(rule: Json | None) -> list[str]:
    """Return the state of the rule and its reason, in one line."""
    if rule is None:
        return []
    will = "" if rule["acts"] else " (reported only: the policy does not close the rule)"
    return [f"Rule {'closed' if rule['closed'] else 'open'}: {rule['reason']}{will}"]


def _policy(answer: Json) -> str:
    if answer["policy"] == "none":
        return "model policy 'none': the rule alone decides"
    return "model policy 'gated': models decide that passed every gate"


def _event(event: Json) -> str:
    return f"{words(event['kind'])} by {event['by']}: {event['reason']}"


def _trades(trades: Sequence[Json]) -> str:
    head = ("candidate", "instrument", "arm", "closed", "net", "%", "ended by")
    rows = [
        (
            item["candidate"],
            item["instrument"],
            item["arm"],
            item["closed"][:10],
            amount_usd(item["pnl_usd"], signed=True),
            f"{float(item['pnl_percent']):+.2f}",
            item["termination"],
        )
        for item in trades[-TRADES_SHOWN:]
    ]
    more = len(trades) - len(rows)
    text = Table(head, rows, left=(0, 1, 2, 3, 6)).text()
    return text if more == 0 else f"{text}\n  and {more:,} before these (--json lists all)"


def _percent(value: float | None) -> str:
    return "not known yet" if value is None else percent(value, digits=3)


def _is_figure(value: object) -> bool:
    return isinstance(value, int | str) and len(str(value)) <= WIDEST_FIGURE
