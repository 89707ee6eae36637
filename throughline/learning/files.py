"""Model files: one zip that holds plain metadata and both pipelines, written and read by skops and never by pickle.

Belongs here: bytes from a model and a model from bytes, with every check that stands between them. Does not belong
here: where files are kept (artifacts), what a model is (models).

A reader trusts nothing that a file says of itself. It checks the SHA-256 that the ledger holds first, then the metadata
(format and feature schema), then that every type in the file is one that skops knows as harmless or that stands in
`TRUSTED`, and only then builds anything. Files are not byte-stable: two dumps of one model differ, so the hash of a
file is an attribute of a model and never its identity.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

from throughline.errors import ThroughlineError
from throughline.learning.models import FittedModel

FORMAT = "throughline-model/1"
METADATA = "throughline.json"
TRUSTED = (
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "throughline.learning.binning.WeightedBins",
    "throughline.learning.models.strength",
)
"""The types that our pipelines need beyond those skops itself holds for harmless. A file cannot add to them."""
_KEYS = {"format", "schema", "names", "win", "loss", "break_even", "seed"}


class ModelRefused(ThroughlineError):
    """A model file is not what it should be; the message says what is wrong with it. Nothing in it was run."""


def dump_model(model: FittedModel) -> bytes:
    """Return the file of a model of boosted trees."""
    from skops import io as skops

    told = {
        "format": FORMAT,
        "schema": model.schema,
        "names": list(model.names),
        "win": model.win,
        "loss": model.loss,
        "break_even": model.break_even,
        "seed": model.seed,
    }
    file = io.BytesIO(skops.dumps({"classifier": model.classifier, "regressor": model.regressor}))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(METADATA, json.dumps(told, sort_keys=True))
    return file.getvalue()


def load_model(data: bytes, expected_sha256: str, expected_schema: str) -> FittedModel:
    """Return the model in a file. Raises ModelRefused for another hash, format, feature schema or an unknown type."""
    found = hashlib.sha256(data).hexdigest()
    if found != expected_sha256:
        raise ModelRefused(
            f"the model file has SHA-256 {found[:12]}, the ledger says {expected_sha256[:12]}: it was changed or mixed "
            "up; restore it from a backup or train again"
        )
    told = _metadata(data)
    if told["schema"] != expected_schema:
        raise ModelRefused(
            f"the model was trained on feature schema {str(told['schema'])[:12]}, this version makes "
            f"{expected_schema[:12]}: train again, or run the version that trained it"
        )
    parts = _build(data)
    return FittedModel(
        names=tuple(told["names"]),
        schema=told["schema"],
        classifier=parts["classifier"],
        regressor=parts["regressor"],
        win=float(told["win"]),
        loss=float(told["loss"]),
        break_even=float(told["break_even"]),
        seed=int(told["seed"]),
    )


def _metadata(data: bytes) -> dict[str, Any]:
    """Return the plain part of the file, complete and of our format."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            told = json.loads(archive.read(METADATA))
    except zipfile.BadZipFile as error:
        raise ModelRefused("the model file is no zip of ours (a pickle perhaps): it is never unpickled") from error
    except (KeyError, ValueError) as error:
        raise ModelRefused(f"the model file has no readable {METADATA}: it was not written by this program") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT or set(told) != _KEYS:
        raise ModelRefused(f"the model file is not of the format {FORMAT}: train again with this version")
    return told


def _build(data: bytes) -> dict[str, Any]:
    """Return both pipelines, built from types on our list only."""
    from skops import io as skops
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        strange = sorted(set(skops.get_untrusted_types(data=data)) - set(TRUSTED))
        if strange:
            raise ModelRefused(
                f"the model file holds {', '.join(strange[:3])}, which no model of ours needs: train again"
            )
        parts = skops.loads(data, trusted=list(TRUSTED))
    except ModelRefused:
        raise
    except UntrustedTypesFoundException as error:
        raise ModelRefused(f"the model file holds types no model of ours needs ({error}): train again") from error
    except Exception as error:  # whatever a broken or hostile file makes a reader raise, it is refused
        raise ModelRefused(f"the model file cannot be read ({type(error).__name__}: {error}): train again") from error
    if not isinstance(parts, dict) or set(parts) != {"classifier", "regressor"}:
        raise ModelRefused("the model file does not hold one classifier and one regressor: it is none of ours")
    for name, method in (("classifier", "predict_proba"), ("regressor", "predict")):
        if not callable(getattr(parts[name], method, None)):
            raise ModelRefused(f"the {name} in the model file is a {type(parts[name]).__name__}: it is none of ours")
    return parts
