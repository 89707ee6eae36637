"""The `throughline` command: what a person types, and how it answers.

Belongs here: options, sentences, tables, exit codes, progress. Does not belong here: what a command does (flow,
analytics, verification), and Dagster, which ``pipelines/command.py`` hands in as `Wiring` and which only the commands
that need it reach.

Exit codes: 0 done; 1 failed, with one sentence on stderr; 2 the command line is wrong; 3 days are blocked by a data
gate (``--allow-blocked`` accepts them); 130 interrupted.
"""

from throughline.cli.main import cli, run
from throughline.cli.wiring import DirectWiring, Wiring

__all__ = ["DirectWiring", "Wiring", "cli", "run"]
