"""The parts of a page between its headings, written as markdown here and as HTML by `templates/macros.html.j2`.

Belongs here: kinds of blocks, and sections that are found by being there. Does not belong here: what a page says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from markupsafe import Markup

from throughline.discovery import package_modules
from throughline.errors import SettingsError
from throughline.rendering.chart import image_markdown
from throughline.rendering.table import Table

Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Paragraph:
    """A paragraph. kind: "" for plain text, "sub" for remarks (as a bare text is), "warn" for what to look at first."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Heading:
    """A heading inside a section, or of level 2 at the top of a markdown text."""

    text: str
    level: int = 3


@dataclass(frozen=True)
class Bullets:
    """A list of sentences. chips: short names side by side."""

    items: Sequence[str]
    chips: bool = False


@dataclass(frozen=True)
class Picture:
    """A drawing (`throughline.rendering.chart`) and what it shows."""

    svg: Markup
    title: str


@dataclass(frozen=True)
class Columns:
    """Tables side by side where the page is wide enough."""

    tables: Sequence[Table]


@dataclass(frozen=True)
class Details:
    """Blocks that are folded away under a summary."""

    summary: str
    blocks: Sequence[Block]


Block = str | Paragraph | Heading | Bullets | Picture | Table | Columns | Details
"""What a page is made of. A bare text is a quiet paragraph; `Markup`, which is a text too, is shown as it is."""


@dataclass(frozen=True)
class Section(Generic[Subject]):
    """A section of a page.

    Args:
        title: its heading.
        order: sections stand in ascending order; the shipped ones use tens, so that there is room between them.
        blocks: what is shown of the page's subject (a report, a dossier); nothing leaves the section out.
    """

    title: str
    order: int
    blocks: Callable[[Subject], Iterable[Block]]


def find_sections(package: str) -> list[Section[Any]]:
    """Return the sections that the modules of a package declare in `SECTIONS`, in their order.

    Args:
        package: dotted name; a module is found by being there (`throughline.discovery`).

    Raises:
        SettingsError: a module declares no sections.
    """
    declared: list[Section[Any]] = []
    for module in package_modules(package):
        sections = getattr(module, "SECTIONS", None)
        if not isinstance(sections, tuple) or not all(isinstance(item, Section) for item in sections):
            raise SettingsError(f"{module.__file__}: the module must define SECTIONS, a tuple of Section")
        declared += sections
    return sorted(declared, key=lambda section: section.order)


def markdown(blocks: Iterable[Block]) -> str:
    """Return blocks as markdown. Raises TypeError for `Markup`, which has no markdown."""
    return "\n\n".join(map(_markdown, blocks))


def _markdown(block: Block) -> str:
    match block:
        case Markup():
            raise TypeError("markup has no markdown")
        case str(text) | Paragraph(text=text):
            return text
        case Heading(text=text, level=level):
            return f"{'#' * level} {text}"
        case Bullets(items=items):
            return "\n".join(f"- {item}" for item in items)
        case Picture(svg=svg, title=title):
            return image_markdown(svg, title)
        case Table():
            return block.markdown()
        case Columns(tables=tables):
            return markdown(tables)
        case Details(summary=summary, blocks=inside):
            return f"{summary}\n\n{markdown(inside)}"
