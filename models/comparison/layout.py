"""A table with notes, as text and as a page: what every comparison is shown as."""

from collections.abc import Sequence

from models.data.dataset import code, escape_markdown, table_rows

Row = tuple[str, ...]
"""A cell of each column."""


def as_text(rows: Sequence[Row], notes: Sequence[str]) -> str:
    """Return a table, whose rows are of equal lengths, and notes for a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([*lines, "", *notes])


def as_page(
    runs: Sequence[str], rows: Sequence[Row], notes: Sequence[str], command: str, pictures: Sequence[str]
) -> str:
    """Return a page of Markdown about runs with a table, whose cells are Markdown, notes, pictures by their names, and
    the command that made it."""
    heading, *rest = rows
    lines = table_rows([heading, ["---"] * len(heading), *rest])
    listed = "\n".join(f"* {escape_markdown(note)}" for note in notes)
    shown = "\n\n".join(f"![{name}]({name}.png)" for name in pictures)
    title = ", ".join(map(escape_markdown, runs))
    return f"# {title}\n\n{lines}\n\n{listed}\n\n{shown}\n\nMade by {code(f'luigi --module workflows {command}')}.\n"
