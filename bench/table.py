"""A table for people that is Markdown, too: what is printed can stand in a document as it is."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column flush left, the others right."""
    columns = [[name, *(row[index] for row in rows)] for index, name in enumerate(head)]
    widths = [max(map(len, column)) for column in columns]

    def line(cells: Sequence[str]) -> str:
        first, *others = (f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join([first, *(cell.strip().rjust(len(cell)) for cell in others)])} |"

    rule = ["-" * width for width in widths[:1]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    return "\n".join([line(head), f"| {' | '.join(rule)} |", *map(line, rows)])
