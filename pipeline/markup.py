"""Text from elsewhere -> Markdown that shows it and does nothing else. Every card goes through here."""

import re
import unicodedata

MAX_LENGTH = 300  # characters of one value on a card
_MARKUP = re.compile(r"[&<>\"\\`*_\[\]{}#|~$^@]|:(?=\S)|\.(?=[^\W\d])|^[-+]|^\d(?=\d*[.)])")
"""What HTML, CommonMark, GitHub's and other dialects read as markup, also dots that make a link of www.a.b; and what at
the beginning of a line makes an item of a list."""
_PLAIN_CODE = re.compile(r"(?!.*\]\()[^`|<>&\\$]+")
"""Text without special meaning in a code span in a cell of a table."""


def escape_markdown(value: object) -> str:
    """Return Markdown, on one line, that a renderer shows as the text of `value`: HTML, links, pictures, emphasis and
    cells of tables in it are entities. Of long text the beginning; control characters and those that turn the direction
    of writing are shown as U+FFFD."""
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", _line(value))


def code(value: object) -> str:
    """Return `value` as a code span, or as `escape_markdown` text if it has what a code span cannot hold safely."""
    line = _line(value)
    return f"`{line}`" if _PLAIN_CODE.fullmatch(line) else escape_markdown(value)


def table_rows(rows) -> str:
    """Return the rows of a Markdown table; the cells are Markdown already."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _line(value: object) -> str:
    text = " ".join(str(value)[: 4 * MAX_LENGTH].split())
    if len(text) > MAX_LENGTH:
        text = text[: MAX_LENGTH - 1] + "…"
    return "".join("\ufffd" if unicodedata.category(each) in ("Cc", "Cf", "Cs") else each for each in text)
