"""Learning: models that are trained from the chain, gated, tried as a canary, promoted or rolled back by evidence."""
