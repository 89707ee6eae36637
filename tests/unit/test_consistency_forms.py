"""The quick way of examining a row never says more than the exact way, and says it for every ordinary row."""

from __future__ import annotations

import contextlib
import json
import random
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.consistency_rows import copied, hand_rows, money_column, typed, with_body
from throughline.identity import canonical_bytes, decimal_text, time_text
from throughline.registries import NULL
from throughline.registry.consistency.forms import Forms, money_text, registry_forms, time_column
from throughline.storage.records import LedgerRow
from throughline.tracking.checking import examine_row
from throughline.tracking.records import expected_uuid, make_row

FORMS = registry_forms()
TABLES = tuple(FORMS)


def rows(number: int, **changes: Any) -> dict[str, LedgerRow]:
    return hand_rows(number, **changes).by_table()


@pytest.mark.parametrize("table", TABLES)
def test_every_ordinary_row_takes_the_quick_way(table: str) -> None:
    forms = Forms(table)
    for number in range(60):
        row = typed(table, rows(number)[table])
        told = forms.fields(copied(table, row))
        assert told is not None
        assert examine_row(table, row)[1] == []
        body = json.loads(row["body"])
        for path, value in zip(forms.paths, told, strict=True):
            wanted = body
            for part in path.split("."):
                wanted = None if wanted is None else wanted[part]
            as_text = NULL if wanted is None else json.dumps(wanted, separators=(",", ":")) if path in LISTS else wanted
            assert value == as_text, path


LISTS = ("linked_registries", "missing", "buckets")


@pytest.mark.parametrize("table", TABLES)
def test_each_column_that_says_something_else_than_the_body_is_left_to_the_exact_way(table: str) -> None:
    row, other = typed(table, rows(1)[table]), typed(table, rows(2)[table])
    for name in [name for name in row if name not in ("body", "run_id")]:
        changed = row | {name: other[name] if other[name] != row[name] else _another(row[name])}
        assert FORMS[table].fields(copied(table, changed)) is None, name
        assert examine_row(table, changed)[1], name


def _another(value: Any) -> Any:
    if value is None:
        return uuid.UUID(int=1)
    return value + "x" if isinstance(value, str) else value + timedelta(days=1)


def test_what_only_looks_the_same_in_copy_is_left_to_the_exact_way() -> None:
    table = "canonical_trades"
    values = typed(table, make_row(table, json.loads(rows(1)[table].body) | {"profit_usd": "NaN"}))
    assert examine_row(table, values)[1]
    assert FORMS[table].fields(copied(table, values)) is None

    table = "profit_buckets"
    body = json.loads(rows(1)[table].body)
    for cells, column in ((["NULL", "b"], [None, "b"]), (["a,b"], ["a", "b"]), ([], None), (["a"], ["a", ""])):
        values = typed(table, make_row(table, body | {"buckets": cells})) | {"buckets": column}
        assert examine_row(table, values)[1], cells
        assert FORMS[table].fields(copied(table, values)) is None, cells


def odd_values(random_: random.Random, value: Any) -> Any:
    """Return something like `value` that is not it, or only looks like it."""
    if isinstance(value, str) and len(value) == 27 and value.endswith("Z"):
        return random_.choice(
            [value[:-1], value.replace("T", " "), value.replace(".000000Z", ".000001Z"), value.lower(), None]
        )
    if isinstance(value, str) and len(value) == 36:
        return random_.choice([value.upper(), "{" + value + "}", value.replace("-", ""), None])
    if isinstance(value, str):
        return random_.choice(
            [value + "0", value + " ", f"+{value}", value.upper(), f"{value}e0", "NaN", "\\N", "", None]
        )
    if isinstance(value, list):
        return random_.choice(
            [value[:-1], [",".join(map(str, value))], [*value, "NULL"], [*value, None], str(value), None]
        )
    if isinstance(value, dict):
        return random_.choice([None, {}, {**value, "more": "1"}, [value]])
    return random_.choice([0, 1, -1, True, False, "1", None, 1.5, "x"])


def changed_body(random_: random.Random, body: dict[str, Any]) -> bytes:
    """Return the bytes of a body with one thing changed, or written in another way."""
    changed = json.loads(json.dumps(body))
    place = changed
    key = random_.choice(list(place))
    while isinstance(place[key], dict) and place[key] and random_.random() < 0.7:
        place = place[key]
        key = random_.choice(list(place))
    act = random_.randrange(6)
    if act == 0:
        del place[key]
    elif act == 1:
        place[random_.choice(["aaa", "zzz", key + "_"])] = place[key]
    elif act == 2:
        return json.dumps(changed, sort_keys=True).encode()  # with blanks
    elif act == 3:
        text = json.dumps(changed, sort_keys=True, separators=(",", ":"))
        again = json.dumps({key: odd_values(random_, place[key])}, separators=(",", ":"))[1:-1]
        return (text[:-1] + "," + again + "}").encode()  # a key twice: the last one counts
    else:
        place[key] = odd_values(random_, place[key])
    return json.dumps(changed, sort_keys=True, separators=(",", ":"), ensure_ascii=random_.random() < 0.5).encode()


def changed_column(random_: random.Random, row: dict[str, Any], other: dict[str, Any]) -> None:
    key = random_.choice([name for name in row if name not in ("body", "run_id")])
    value = row[key]
    if isinstance(value, Decimal):
        choices: list[Any] = [value + Decimal("1e-18"), -value, value * 10, Decimal("NaN"), None]
    elif isinstance(value, uuid.UUID):
        choices = [uuid.UUID(int=value.int ^ 1), other[key]]
    elif isinstance(value, list):
        choices = [value[:-1], [*value, None], [",".join(value)], other[key], [*value, "NULL"]]
    elif isinstance(value, str):
        choices = [value + "x", value.upper(), other[key], ""]
    elif value is None:
        choices = ["\\N", other[key]] if isinstance(other[key], str) else [other[key]]
    else:
        choices = [value + timedelta(days=1), other[key]]
    row[key] = random_.choice(choices)


@given(st.integers(0, 10**9), st.sampled_from(TABLES))
def test_whatever_is_changed_in_a_row_the_quick_way_never_passes_what_the_exact_way_finds(
    seed: int, table: str
) -> None:
    random_ = random.Random(seed)
    forms = FORMS[table]
    row = rows(random_.randrange(40))[table]
    if random_.random() < 0.6:
        row = with_body(row, table, changed_body(random_, json.loads(row.body)))
        if random_.random() < 0.5:  # as good as it gets: the UUID is made again too
            with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
                row = replace(row, uuid=expected_uuid(table, json.loads(row.body)))
    values = typed(table, row)
    if random_.random() < 0.6:
        changed_column(random_, values, typed(table, rows(random_.randrange(40, 80))[table]))
    if forms.fields(copied(table, values)) is not None:
        assert examine_row(table, values)[1] == []


@given(st.integers(0, 10**9), st.sampled_from(TABLES))
def test_a_body_remade_whole_passes_both_ways_or_neither(seed: int, table: str) -> None:
    """Bodies changed in a value and made into a row by the code that makes rows: the exact way passes them."""
    random_ = random.Random(seed)
    body = json.loads(rows(random_.randrange(40))[table].body)
    key = random_.choice([name for name, value in body.items() if isinstance(value, str) and name != "partition"])
    other = json.loads(rows(random_.randrange(40, 80))[table].body)
    body[key] = other[key]
    values = typed(table, make_row(table, body))
    assert examine_row(table, values)[1] == []
    assert FORMS[table].fields(copied(table, values)) is not None


@given(st.text(max_size=12).filter(lambda text: "\0" not in text))
def test_names_of_any_kind_are_told_right_or_left_to_the_exact_way(name: str) -> None:
    for table, row in hand_rows(3, symbol=name, strategy_id=name).by_table().items():
        values = typed(table, row)
        told = FORMS[table].fields(copied(table, values))
        assert examine_row(table, values)[1] == []
        if told is not None and table == "canonical_trades":
            assert told[FORMS[table].at["symbol"]] == json.loads(values["body"])["symbol"]


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 2)))  # noqa: DTZ001 - Hypothesis adds the zone
def test_an_instant_is_shown_by_copy_as_the_forms_say(instant: datetime) -> None:
    values = typed("soulprints", rows(1)["soulprints"]) | {"decision_time": instant}
    shown = copied("soulprints", values)[6 + FORMS["soulprints"].columns.index("decision_time")]
    assert time_column(time_text(instant)) == shown


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15))
def test_money_is_read_from_copy_as_records_write_it(number: Decimal) -> None:
    text = decimal_text(number)
    assert money_text(money_column(Decimal(text))) == text


@pytest.mark.parametrize(
    ("table", "key"),
    [("canonical_trades", "specialized_hashes"), ("soulprints", "values"), ("profit_buckets", "exits")],
)
def test_a_body_with_more_inside_than_is_hashed_or_linked_is_left_to_the_exact_way(table: str, key: str) -> None:
    forms = Forms(table)
    body = json.loads(rows(1)[table].body)
    body[key]["more"] = "1"
    values = typed(table, make_row(table, body))
    assert forms.fields(copied(table, values)) is None
    ordinary = typed(table, rows(1)[table])
    assert forms.fields(copied(table, ordinary)) is not None
    text = json.dumps(body | {key: None}, sort_keys=True, separators=(",", ":"))
    assert forms._read(text) is None


def test_bodies_of_many_shapes_are_left_to_the_exact_way_after_some() -> None:
    forms = Forms("canonical_trades")
    for number in range(30):
        body = json.loads(rows(number)["canonical_trades"].body)
        values = typed("canonical_trades", make_row("canonical_trades", body | {f"more_{number}": "1"}))
        assert examine_row("canonical_trades", values)[1] == []
        forms.fields(copied("canonical_trades", values))
    assert len(forms._shapes) == 8


def test_a_correction_is_left_to_the_exact_way() -> None:
    first = rows(1)["canonical_trades"]
    body = json.loads(first.body) | {"supersedes": {"hash": first.content_hash, "uuid": str(first.uuid)}}
    values = typed("canonical_trades", make_row("canonical_trades", body))
    assert examine_row("canonical_trades", values)[1] == []
    assert FORMS["canonical_trades"].fields(copied("canonical_trades", values)) is None


def test_canonical_bytes_of_a_row_are_what_its_body_says() -> None:
    row = rows(2)["canonical_trades"]
    assert canonical_bytes(json.loads(row.body)) == row.body
