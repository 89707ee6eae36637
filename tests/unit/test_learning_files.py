"""Model files: what was written comes back, and everything else is refused with one clear sentence."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.training_cases import SCHEMA, SMALL_GRID, labels
from throughline.learning.files import METADATA, TRUSTED, ModelRefused, dump_model, load_model, model_metadata
from throughline.learning.models import FittedModel, fit_model

MODEL = "a" * 64


@pytest.fixture(scope="module")
def model() -> FittedModel:
    return fit_model(labels(300, edge=0.06), SMALL_GRID[0], 7, SCHEMA, 24)


@pytest.fixture(scope="module")
def file(model: FittedModel) -> bytes:
    return dump_model(model, MODEL)


OTHER = json.dumps({"format": "throughline-model/0"}).encode()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def rewritten(file: bytes, **changed: bytes | None) -> bytes:
    """The zip with members replaced (None: left out)."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            value = changed.get(name.replace(".json", ""), old.read(name))
            if value is not None:
                new.writestr(name, value)
    return made.getvalue()


def test_a_model_comes_back_with_equal_scores(model: FittedModel, file: bytes) -> None:
    back = load_model(file, sha(file), SCHEMA, MODEL)
    features = labels(200, seed=9).features
    for old, new in zip(model.score(features), back.score(features), strict=True):
        assert old.tolist() == new.tolist()
    assert (back.names, back.break_even, back.seed) == (model.names, model.break_even, model.seed)


def test_every_trusted_type_is_needed(file: bytes) -> None:
    from skops import io as skops

    assert sorted(skops.get_untrusted_types(data=file)) == sorted(TRUSTED)


def test_another_hash_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ModelRefused, match="the ledger says"):
        load_model(b"anything at all", "0" * 64, SCHEMA, MODEL)


@pytest.mark.parametrize("place", [100, 5_000, -200])
def test_a_flipped_byte_is_refused_even_where_the_ledger_was_changed_with_it_or_scores_the_same(
    model: FittedModel, file: bytes, place: int
) -> None:
    broken = bytearray(file)
    broken[place] ^= 0xFF
    with pytest.raises(ModelRefused, match="it was changed or mixed up"):
        load_model(bytes(broken), sha(file), SCHEMA, MODEL)


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> object:
            return (Path.touch, (mark,))

    data = pickle.dumps(Evil())
    with pytest.raises(ModelRefused, match="never unpickled"):
        load_model(data, sha(data), SCHEMA, MODEL)
    assert not mark.exists()


def test_a_poisoned_file_with_an_unknown_type_is_refused(model: FittedModel) -> None:
    from subprocess import Popen

    for poison in (partial(Popen, "true"), Popen, np.fromfile):
        data = dump_model(replace(model, regressor=poison), MODEL)
        with pytest.raises(ModelRefused, match="which no model of ours needs"):
            load_model(data, sha(data), SCHEMA, MODEL)


def test_a_file_of_harmless_types_that_is_no_model_is_refused(model: FittedModel, file: bytes) -> None:
    data = dump_model(replace(model, classifier=[1, 2]), MODEL)
    with pytest.raises(ModelRefused, match="the classifier in the model file is a list"):
        load_model(data, sha(data), SCHEMA, MODEL)
    torn = rewritten(file, schema=b"{}")
    with pytest.raises(ModelRefused, match="cannot be read"):
        load_model(torn, sha(torn), SCHEMA, MODEL)


def test_a_file_of_another_model_is_refused(model: FittedModel, file: bytes) -> None:
    other = dump_model(model, "b" * 64)
    with pytest.raises(ModelRefused, match="is that of model bbbbbbbbbbbb, not of aaaaaaaaaaaa"):
        load_model(other, sha(other), SCHEMA, MODEL)


def test_a_file_that_names_no_model_is_read_for_the_record_of_an_older_release_alone(file: bytes) -> None:
    metadata = model_metadata(file)
    del metadata["model"]
    unnamed = rewritten(file, throughline=json.dumps({**metadata, "format": "throughline-model/1"}).encode())
    assert load_model(unnamed, sha(unnamed), SCHEMA, None).seed == 7
    with pytest.raises(ModelRefused, match="is that of model None, not of aaaaaaaaaaaa"):
        load_model(unnamed, sha(unnamed), SCHEMA, MODEL)
    with pytest.raises(ModelRefused, match="is that of model aaaaaaaaaaaa, not of None"):
        load_model(file, sha(file), SCHEMA, None)


def test_a_feature_schema_of_another_version_is_refused(file: bytes) -> None:
    with pytest.raises(ModelRefused, match="trained on feature schema synthetic/1, this version makes other/2"):
        load_model(file, sha(file), "other/2", MODEL)


@pytest.mark.parametrize("told", [b"[]", b"{}", b"no json", OTHER, None])
def test_metadata_of_another_format_is_refused(file: bytes, told: bytes | None) -> None:
    data = rewritten(file, **{METADATA.replace(".json", ""): told})
    with pytest.raises(ModelRefused, match=r"not of the format|no readable throughline\.json"):
        load_model(data, sha(data), SCHEMA, MODEL)
