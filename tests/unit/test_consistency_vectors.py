"""What follows from a soulprint: the quick way and the ones whose answer counts say the same."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.consistency_rows import copied, hand_rows, typed
from throughline.registries import Fields, registries
from throughline.registries._bucket_cells import cells_text, pattern_holds
from throughline.registries._soulprint_vectors import missing_holds, simhashes, values_of
from throughline.registries.profit_buckets import pattern_hash
from throughline.registry.consistency.forms import registry_forms
from throughline.signals.simhash import COMPARED, band_keys, simhash
from throughline.signals.vector import NAMES, soulprint_hash, vector_from_text, vector_text
from throughline.storage.records import LedgerRow

FORMS = registry_forms()
SOULPRINTS, BUCKETS = registries()["soulprints"], registries()["profit_buckets"]
number = st.one_of(
    st.none(),
    st.floats(-20_000, 20_000, allow_nan=False),
    st.floats(-3, 3, allow_nan=False),
    st.sampled_from([0.0, -0.0, 1e-6, -1e-6, 5e-7, 9999.999999, 10_000.0, -0.1, 1.0]),
)
vector = st.fixed_dictionaries(dict.fromkeys(NAMES, number))


def read_fields(row: LedgerRow, table: str) -> Fields | None:
    return FORMS[table].fields(copied(table, typed(table, row)))


@given(st.lists(vector, min_size=1, max_size=5))
def test_many_simhashes_are_those_of_one_by_one(values: list[dict[str, float | None]]) -> None:
    exact = [vector_from_text(vector_text(item)) for item in values]
    numbers = [[math.nan if item[name] is None else item[name] for name in sorted(NAMES)] for item in exact]
    assert simhashes(numbers) == [simhash(item) for item in exact]  # type: ignore[arg-type]


def test_no_vectors_have_no_simhashes() -> None:
    assert simhashes([]) == []


def test_a_vector_of_which_half_is_known_is_compared_and_one_of_less_is_not() -> None:
    names = [component.name for component in COMPARED]
    half = -(-len(names) // 2)
    for known in (half - 1, half):
        values = {name: (1.0 if name in names[:known] else None) for name in sorted(NAMES)}
        numbers = [math.nan if values[name] is None else 1.0 for name in sorted(NAMES)]
        assert simhashes([numbers]) == [simhash(values)]


@given(st.one_of(st.none(), st.integers(0, 2**64 - 1)), st.text(alphabet="abc_ |/0", max_size=9))
def test_buckets_are_the_band_keys_in_order(mark: int | None, scope: str) -> None:
    assert json.loads(cells_text(mark, scope)) == sorted(band_keys(mark, scope))


def test_the_values_of_an_ordinary_soulprint_take_the_quick_way() -> None:
    for count in range(40):
        row = hand_rows(count).entries["soulprints"]
        read = read_fields(row, "soulprints")
        assert read is not None
        numbers = values_of(row.body.decode(), read)
        assert numbers is not None
        exact = vector_from_text(json.loads(row.body)["values"])
        assert [None if math.isnan(item) else item for item in numbers] == [exact[name] for name in sorted(NAMES)]
        assert missing_holds(read)
        assert list(SOULPRINTS.own_problems(json.loads(row.body))) == []


@given(st.integers(0, 10**9))
def test_a_soulprint_whose_hash_does_not_follow_never_takes_the_quick_way(seed: int) -> None:
    random_ = random.Random(seed)
    row = hand_rows(random_.randrange(40)).entries["soulprints"]
    body = json.loads(row.body)
    key = random_.choice(["subject", "decision_time", "soulprint", "schema", "values"])
    if key == "values":
        name = random_.choice(list(NAMES))
        body["values"][name] = random_.choice(["0", "1.000000", "-0", "01", "1.5", "1e1", "+1", ".5", "12345.6", None])
    else:
        body[key] = hand_rows(random_.randrange(40, 80)).entries["soulprints"].columns.get(key) or body[key] + "x"
    body = json.loads(json.dumps(body, default=str))
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    read = FORMS["soulprints"]._read(text)
    if read is not None and values_of(text, read) is not None:
        assert soulprint_hash(body["decision_time"], body["subject"], body["values"]) == body["soulprint"]
        assert body["schema"] == "soulprint/1"


def test_a_soulprint_of_another_schema_never_takes_the_quick_way() -> None:
    body = json.loads(hand_rows(1).entries["soulprints"].body) | {"schema": "soulprint/0"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    read = FORMS["soulprints"]._read(text)
    assert read is not None
    assert values_of(text, read) is None
    assert list(SOULPRINTS.own_problems(body))


def change(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return json.loads(json.dumps(body)) | changes


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"simhash": "0123456789abcdef"}, "its SimHash does not follow"),
        ({"simhash": None}, "its SimHash does not follow"),
        ({"soulprint": "ab" * 32}, "hash to another soulprint"),
        ({"schema": "soulprint/0"}, "schema is unknown"),
        ({"missing": ["drift", "volatility"]}, "what it calls missing"),
        ({"subject": "another"}, "hash to another soulprint"),
        ({"values": {"drift": "1"}}, "no vector"),
        ({"values": {}}, "no vector"),
    ],
)
def test_the_exact_way_names_what_does_not_follow_in_a_soulprint(changes: dict[str, Any], problem: str) -> None:
    body = change(json.loads(hand_rows(1).entries["soulprints"].body), **changes)
    assert any(problem in item.sentence for item in SOULPRINTS.own_problems(body))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"pattern": "ab" * 32}, "hash to another pattern"),
        ({"buckets": []}, "do not follow from the SimHash"),
        ({"schema": "profit_bucket/0"}, "schema is unknown"),
        ({"max_favorable_percent": "77"}, "stands twice"),
        ({"soulprint": "ab" * 32}, "hash to another pattern"),
    ],
)
def test_the_exact_way_names_what_does_not_follow_in_a_bucket_entry(changes: dict[str, Any], problem: str) -> None:
    rows = hand_rows(1)
    trade, soulprint = json.loads(rows.trade.body), json.loads(rows.entries["soulprints"].body)
    body = json.loads(rows.entries["profit_buckets"].body)

    def problems(entry: dict[str, Any]) -> list[str]:
        found = [*BUCKETS.own_problems(entry), *BUCKETS.problems(entry, trade, {"soulprints": soulprint})]
        return [item.sentence for item in found]

    assert problems(body) == []
    assert any(problem in sentence for sentence in problems(change(body, **changes)))


@given(st.integers(0, 10**9))
def test_a_pattern_that_does_not_follow_never_takes_the_quick_way(seed: int) -> None:
    random_ = random.Random(seed)
    body = json.loads(hand_rows(random_.randrange(40)).entries["profit_buckets"].body)
    other = json.loads(hand_rows(random_.randrange(40, 80)).entries["profit_buckets"].body)
    key = random_.choice(["buckets", "exits", "pattern", "soulprint", "more", "nothing"])
    if key == "more":
        body["exits"]["more"] = "1"
    elif key != "nothing":
        body[key] = other[key]
    read = FORMS["profit_buckets"]._read(json.dumps(body, sort_keys=True, separators=(",", ":")))
    follows = pattern_hash(body["soulprint"], body["buckets"], body["exits"]) == body["pattern"]
    if read is None:
        assert key == "more"
    else:
        assert pattern_holds(read) == follows
