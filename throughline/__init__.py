"""Throughline's domain: a systematic crypto strategy from research to outcome, without any orchestrator.

Belongs here: everything that decides, prices, records, hashes or proves. Does not belong here: Dagster
(import-linter holds that line), wall clocks (a clock is passed in) and secrets.
"""
