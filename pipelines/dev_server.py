"""`dagster dev` with our web server in the place of its own: ``python -m pipelines.dev_server``, same options.

`dagster dev` starts ``python -m dagster_webserver`` by itself and has no setting for another one. So the one function
that starts its processes is given the other name. Where a later Dagster starts it in another way, the start is refused:
a UI without the guard must not come up unnoticed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

THEIRS, OURS = "dagster_webserver", "pipelines.webserver"
START = "open_ipc_subprocess"
"""Name of the function of `dagster dev` that starts its processes."""


def guarded_command(command: Sequence[str]) -> list[str]:
    """Return the command that starts a process of `dagster dev`, with our web server for theirs."""
    words = (OURS if before == "-m" and word == THEIRS else word for before, word in pairwise(command))
    return [*command[:1], *words]


def main() -> None:
    """Run `dagster dev` with the arguments of the command line."""
    from dagster._cli import dev

    start = getattr(dev, START, None)
    if start is None:
        sys.exit("throughline: this version of Dagster starts its web server in another way, so the guard is missing")

    def guarded(command: Sequence[str], **options: Any) -> Any:
        return start(guarded_command(command), **options)

    setattr(dev, START, guarded)
    dev.dev_command(args=sys.argv[1:], prog_name="dagster dev")


if __name__ == "__main__":
    main()
