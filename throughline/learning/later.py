"""Scores of a model on candidates that were decided before it was trained: of its holdout, which it never saw.

They go to `model_scores`, never into a sealed candidate, and are what the model would have said of trades that others
decided. The rows it was fitted on get none: what a model says of those is no prediction.
"""

from __future__ import annotations

import uuid

import numpy as np
from sqlalchemy import Engine, text

from throughline.identity import score_text
from throughline.learning.looks import LaterScore, insert_scores, read_scores
from throughline.learning.serving import load_fitted
from throughline.learning.store import read_holdout, read_model
from throughline.learning.types import TrainingData
from throughline.storage.artifacts import ArtifactStore

_HASHES = text(
    "SELECT DISTINCT candidate_uuid::text, features_hash FROM trade_features "
    "WHERE experiment = :experiment AND candidate_uuid = ANY(CAST(:keys AS uuid[])) AND supersedes IS NULL"
)


def record_later_scores(
    engine: Engine, artifacts: ArtifactStore, experiment: str, model: str, data: TrainingData
) -> int:
    """Score and record each candidate of the model's holdout, if that was opened and they are not; return how many.

    data: what the model was trained and judged on. Made after the training is recorded, and again where a crash came
    in between.
    """
    with engine.connect() as conn:
        holdout, stored = read_holdout(conn, model), read_model(conn, model)
        if holdout is None or stored is None or stored.file is None or read_scores(conn, model):
            return 0
    fitted = load_fitted(artifacts, stored.file)
    rows = np.flatnonzero(data.decided >= int(holdout["first_decided"]))
    once = {data.candidates[row]: row for row in rows.tolist()}  # a shadow and a trade of one candidate, one vector
    probability, expected, take = fitted.score(data.features[list(once.values())])
    with engine.connect() as conn:
        digests = conn.execute(_HASHES, {"experiment": experiment, "keys": list(once)})
        hashes = {str(candidate): str(digest) for candidate, digest in digests}
    scores = [
        LaterScore(
            model, uuid.UUID(key), hashes[key], score_text(probability[k]), score_text(expected[k]), bool(take[k])
        )
        for k, key in enumerate(once)
    ]
    insert_scores(engine, scores)
    return len(scores)
