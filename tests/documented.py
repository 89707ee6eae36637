"""The examples of docs/extending.md, so that tests run what a reader copies."""

from __future__ import annotations

import re
from pathlib import Path

EXTENDING = Path(__file__).resolve().parents[1] / "docs" / "extending.md"


def example(section: str) -> str:
    """The Python block of the section with this heading."""
    text = EXTENDING.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(section)}$.*?^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/extending.md has no section '{section}' with an example"
    return found[1]
