"""HTML pages from jinja2 templates; every value is escaped unless it is `Markup`.

Belongs here: the environment, and writing a page to a file. A page needs no network and no other file.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from throughline.errors import StorageError
from throughline.rendering.chart import stylesheet
from throughline.user_files import write_whole

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("throughline.rendering"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_page(template: str, **values: object) -> str:
    """Return the HTML document that a template of `templates/` gives for `values`; equal values give equal bytes."""
    return _environment().get_template(template).render(chart_style=stylesheet(), **values)


def write_page(html: str, target: Path, what: str, remedy: str) -> Path:
    """Write a page to a file, whole or not at all; return its path.

    Args:
        html: the document.
        target: the file; its folder is made where it is missing.
        what: what the page is, for the error.
        remedy: what a user may do about an error.

    Raises:
        StorageError: the folder or the file cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, html.encode("utf-8"))
    except OSError as error:
        raise StorageError(f"the {what} cannot be written to {target} ({error.strerror}): {remedy}") from error
    return target
