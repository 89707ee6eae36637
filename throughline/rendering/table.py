"""One table, written as aligned text, as markdown or as HTML.

Belongs here: the table and its writers for terminals and markdown. The HTML is in `templates/macros.html.j2`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from throughline.errors import printable


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header.

    Args:
        header: names of the columns.
        rows: as many cells each as the header has; None is shown as a dash.
        left: columns that stand to the left because they hold words; all others hold numbers and stand to the right.
        caption: what the table shows, for screen readers.
        wrap: columns of the HTML table whose text may take several lines where the others may not.
        narrow: whether the HTML table has so many columns that its cells are set small and do not break.

    Example:
        >>> print(Table(("coin", "return"), [("BTC", "+1.00 %")]).text())
          coin   return
          BTC   +1.00 %
    """

    header: Sequence[object]
    rows: Sequence[Sequence[object]]
    left: Collection[int] = (0,)
    caption: str = ""
    wrap: Collection[int] = ()
    narrow: bool = False

    def text(self, indent: str = "  ") -> str:
        """Return the table as aligned text; what a terminal would obey is made visible."""
        return "\n".join((indent + line).rstrip() for line in self.lines())

    def lines(self) -> list[str]:
        """Return the lines of the aligned text, the header first."""
        cells = [[printable(_plain(cell, "-"), spaces=True) for cell in row] for row in (self.header, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return [
            "  ".join(
                cell.ljust(width) if place in self.left else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]

    def markdown(self) -> str:
        """Return the table as markdown; a pipe or a line feed in a cell does not break it."""
        marks = ["---" if place in self.left else "---:" for place in range(len(self.header))]
        lines = [_markdown_cells(self.header), marks, *map(_markdown_cells, self.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(cell: object, nothing: str) -> str:
    return nothing if cell is None else str(cell)


def _markdown_cells(row: Sequence[object]) -> list[str]:
    return [_plain(cell, "").replace("|", "\\|").replace("\n", " ") for cell in row]
