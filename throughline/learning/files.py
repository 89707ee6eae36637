"""Model files: one zip that holds plain metadata and both pipelines, written and read by skops and never by pickle.

Belongs here: bytes from a model and a model from bytes, with every check that stands between them. Does not belong
here: where files are kept (artifacts), what a model is (models).

A reader trusts nothing that a file says of itself. It checks the SHA-256 that the ledger holds first, then the metadata
(format, model ID and feature schema), then that every type in the file is one that skops knows as harmless or that
stands in `TRUSTED`, and only then builds anything. Files are not byte-stable: two dumps of one model differ, so the
hash of a file is no part of the model ID. It is part of the model's record, which the seal log binds.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

from throughline.errors import ThroughlineError
from throughline.learning.models import FittedModel

FORMAT = "throughline-model/2"
UNNAMED_FORMAT = "throughline-model/1"
"""Of releases whose files did not say which model they are; their records do not name the file either."""
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
_UNNAMED_KEYS = {"format", "schema", "names", "win", "loss", "break_even", "seed"}
_KEYS = {*_UNNAMED_KEYS, "model"}


class ModelRefused(ThroughlineError):
    """A model file is not what it should be; the message says what is wrong with it. Nothing in it was run."""


def dump_model(model: FittedModel, model_id: str) -> bytes:
    """Return the file of a model of boosted trees. model_id: of its record, 64 hex digits; the file carries it."""
    from skops import io as skops

    metadata = {
        "format": FORMAT,
        "model": model_id,
        "schema": model.schema,
        "names": list(model.names),
        "win": model.win,
        "loss": model.loss,
        "break_even": model.break_even,
        "seed": model.seed,
    }
    file = io.BytesIO(skops.dumps({"classifier": model.classifier, "regressor": model.regressor}))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(METADATA, json.dumps(metadata, sort_keys=True))
    return file.getvalue()


def load_model(data: bytes, expected_sha256: str, expected_schema: str, expected_model: str | None) -> FittedModel:
    """Return the model in a file.

    Args:
        data: the bytes of the file.
        expected_sha256: of `data`, as the ledger has it.
        expected_schema: hash of the feature definitions of this version.
        expected_model: the model ID; None for a model whose record is older than files that carry one.

    Raises:
        ModelRefused: another hash, format, model or feature schema, or a type that no model needs.
    """
    actual = hashlib.sha256(data).hexdigest()
    if actual != expected_sha256:
        raise ModelRefused(
            f"the model file has SHA-256 {actual[:12]}, the ledger says {expected_sha256[:12]}: it was changed or "
            "mixed up; restore it from a backup or train again"
        )
    metadata = model_metadata(data)
    if metadata.get("model") != expected_model:
        raise ModelRefused(
            f"the model file is that of model {str(metadata.get('model'))[:12]}, not of {str(expected_model)[:12]}: "
            "files were mixed up; restore the right one from a backup or train again"
        )
    if metadata["schema"] != expected_schema:
        raise ModelRefused(
            f"the model was trained on feature schema {str(metadata['schema'])[:12]}, this version makes "
            f"{expected_schema[:12]}: train again, or run the version that trained it"
        )
    parts = _build(data)
    return FittedModel(
        names=tuple(metadata["names"]),
        schema=metadata["schema"],
        classifier=parts["classifier"],
        regressor=parts["regressor"],
        win=float(metadata["win"]),
        loss=float(metadata["loss"]),
        break_even=float(metadata["break_even"]),
        seed=int(metadata["seed"]),
    )


def model_metadata(data: bytes) -> dict[str, Any]:
    """Return the plain part of a file, complete and of a known format; `model` is missing in the older one.

    Raises ModelRefused where there is none. Nothing of the model is built.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            metadata = json.loads(archive.read(METADATA))
    except zipfile.BadZipFile as error:
        raise ModelRefused("the model file is no zip of ours (a pickle perhaps): it is never unpickled") from error
    except (KeyError, ValueError) as error:
        raise ModelRefused(f"the model file has no readable {METADATA}: it was not written by this program") from error
    keys = {FORMAT: _KEYS, UNNAMED_FORMAT: _UNNAMED_KEYS}
    if not isinstance(metadata, dict) or set(metadata) != keys.get(str(metadata.get("format"))):
        raise ModelRefused(f"the model file is not of the format {FORMAT}: train again with this version")
    return metadata


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
