"""What differs between two experiments, by dotted key."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from throughline.analytics.experiments import differences
from throughline.configuration import Configuration
from throughline.experiment.identity import Experiment, make_experiment

VALUES = st.one_of(st.integers(), st.text(max_size=5))  # no null: what is not set and null are the same setting
BODIES = st.fixed_dictionaries(
    {
        "mode": st.just("demo"),
        "seed": st.integers(0, 3),
        "configuration": st.dictionaries(
            st.sampled_from(["exits", "costs", "policy"]),
            st.one_of(VALUES, st.dictionaries(st.sampled_from(["a", "b"]), VALUES, min_size=1)),
        ),
    }
)


def experiment(**changes: object) -> Experiment:
    told = {"epoch": date(2021, 1, 1), "configuration": Configuration(), "source_hash": "5" * 64, "seed": 7} | changes
    return make_experiment("demo", lock="0" * 64, code=str(told.pop("code", "1" * 64)), **told)  # type: ignore[arg-type]


def names(one: Experiment, other: Experiment) -> dict[str, str]:
    import json

    return {item.name: str(item) for item in differences(json.loads(one.body), json.loads(other.body))}


def test_settings_are_named_by_dotted_key_and_code_seed_source_and_epoch_by_their_own() -> None:
    base = experiment()
    exits = base.configuration.exits.model_copy(update={"stop_loss": 0.2})
    settings = base.configuration.model_copy(update={"exits": exits, "model_policy": "gated"})
    assert names(base, experiment(configuration=settings)) == {
        "exits.stop_loss": "exits.stop_loss: 0.15 -> 0.2",
        "model_policy": "model_policy: none -> gated",
    }
    other = experiment(seed=8, source_hash="6" * 64, epoch=date(2021, 2, 1), code="2" * 64)
    assert names(base, other) == {
        "epoch": "epoch: 2021-01-01 -> 2021-02-01",
        "seed": "seed: 7 -> 8",
        "source": f"source: {'5' * 12} -> {'6' * 12}",
        "code": f"code: {'1' * 12} -> {'2' * 12}",
    }
    assert names(base, base) == {}


@given(BODIES, BODIES)
def test_there_is_no_difference_exactly_where_two_bodies_say_the_same(one: dict, other: dict) -> None:  # type: ignore[type-arg]
    assert (differences(one, other) == ()) == (one == other)
    swapped = {(item.name, item.after, item.before) for item in differences(other, one)}
    assert {(item.name, item.before, item.after) for item in differences(one, other)} == swapped
