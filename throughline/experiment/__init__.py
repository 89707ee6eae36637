"""Experiments: one complete configuration, its identity, and the experiments of a home."""
