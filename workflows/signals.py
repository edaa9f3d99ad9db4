"""Ctrl-C, SIGTERM and SIGHUP end a command soon: the first lets it leave everything in order, a second ends it at once.

Worker processes and trainings look after themselves: each ends when the process that started it does.
"""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = "keyboard: interrupted; what was done is kept; run the same command again to go on"
_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def install() -> None:
    """Let these signals raise KeyboardInterrupt, but for those that are ignored, as nohup has it."""
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in _ENDING:
        if signal.getsignal(each) is _interrupt:
            signal.signal(each, _end_at_once)
    raise KeyboardInterrupt


def _end_at_once(number: int, frame: FrameType | None) -> None:
    os.write(sys.stderr.fileno(), f"error: {INTERRUPTED}\n".encode())
    os._exit(128 + number)
