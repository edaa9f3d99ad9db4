"""Safe output to terminals and logs: control characters of foreign text are escaped, and keys are hidden."""

import io
import logging
import re
import sys
import traceback
from typing import TextIO

from pipeline import redaction

# C0, DEL, C1; marks and overrides of the direction of text; line and paragraph separators; lone surrogates.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""Return the text as one line: each control character as an escape such as `\x1b`, line ends too, keys hidden."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), redaction.hide(text))


def visible_lines(text: str) -> str:
    """Return the same of a text of several lines, which stay lines."""
    return "\n".join(map(visible, redaction.hide(text).split("\n")))


def escape_output() -> None:
    """Escape whatever this process logs, and whatever Python code writes to stdout and stderr, from now on."""
    logging.setLogRecordFactory(_Record)
    sys.excepthook = print_exception
    sys.stdout, sys.stderr = _guarded(sys.stdout), _guarded(sys.stderr)


def print_exception(kind: type[BaseException], error: BaseException, trace) -> None:
    """Print a traceback, as `sys.excepthook` does, in one piece."""
    print("".join(traceback.format_exception(kind, error, trace)), end="", file=sys.stderr)


class _Record(logging.LogRecord):
    """A log record whose arguments, whatever they are, add no line and no control character."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.exc_info and self.exc_info[1]:  # before a formatter does, of whatever handler
            self.exc_text = visible_lines("".join(traceback.format_exception(*self.exc_info)).rstrip("\n"))

    def getMessage(self) -> str:
        message = super().getMessage()
        return visible_lines(message) if "\n" in str(self.msg) else visible(message)


class _Guarded(io.TextIOWrapper):
    """A stream that escapes control characters, except a leading carriage return on a terminal (progress bars)."""

    def write(self, text: str) -> int:
        is_bar = text.startswith("\r") and self.isatty()
        super().write("\r" + visible_lines(text[1:]) if is_bar else visible_lines(text))
        return len(text)


def _guarded(stream: TextIO | None) -> TextIO | None:
    """Return the stream, guarded if it is a real one; notebooks and tests have others."""
    if type(stream) is not io.TextIOWrapper:
        return stream
    stream.flush()
    return _Guarded(
        stream.buffer,
        stream.encoding,
        "backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def sanitize_line(text: object, most: int = 300) -> str:
    """Return the beginning of a site's text as one line that is safe to print, of `most` characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)[: 2 * most]).split())[:most]
