"""How a signal ends a command: in good order at the first, at once at the second.

`install_signal_handlers` is called before Luigi is imported, which takes a while.
"""

import contextlib
import functools
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_S = 10  # from the first signal on, for work to end in good order
SAME_EVENT_S = 0.3  # signals within this are one event: a terminal that closes and its shell both send SIGHUP
POLL_S = 0.5

_received: list[int] = []
"""Signals that ended the work of the main thread."""
_noticed: list[int] = []
"""The first of them, which may not have reached the main thread yet."""
_is_saving = threading.Event()


@functools.cache
def install_signal_handlers() -> None:
    """Raise KeyboardInterrupt in the main thread at the first SIGINT, SIGTERM or SIGHUP, so that work ends in good
    order; end the process at the second, or after GRACE_S. A signal that is ignored, as by nohup, stays ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _interrupt)
    _start_watch()
    sys.excepthook = _on_uncaught
    sys.unraisablehook = _on_unraisable


def is_command() -> bool:
    """Return whether this process is a command of ours, rather than a program or notebook that imports the tasks."""
    return install_signal_handlers.cache_info().currsize > 0


def _start_watch() -> None:
    # A thread, since the main one runs no Python code while it is in a long call of a library.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader,), daemon=True).start()


def _interrupt(number: int, frame: object) -> None:
    if not _received:
        _received.append(number)
        raise KeyboardInterrupt


def _watch(reader: int) -> None:
    """End the process at the second signal, or GRACE_S after the first. Read the signals' numbers from a pipe."""
    while (number := os.read(reader, 1)[0]) not in SIGNALS:
        pass
    _noticed.append(number)
    first = time.monotonic()
    while True:
        ready, *_ = select.select([reader], [], [], POLL_S)
        is_again = bool(ready) and any(number in SIGNALS for number in os.read(reader, 1))
        passed = time.monotonic() - first
        if is_again and passed > SAME_EVENT_S and not _is_forked():
            exit_now()
        if passed > GRACE_S and not _is_saving.is_set() and not _forked_tasks():
            exit_now()


def wait_for_save() -> None:
    """Lift the limit of GRACE_S for a training that finishes its step and saves."""
    _is_saving.set()


def exit_if_interrupted() -> None:
    """End the process if a signal ended its work, without waiting for threads and workers."""
    if _received:
        for task in _forked_tasks():
            task.join()
        exit_now()


def exit_now() -> NoReturn:
    """End this process and its children at once, with one line that says by which signal."""
    number = next(iter(_received + _noticed), signal.SIGINT)
    name = "keyboard" if number == signal.SIGINT else signal.Signals(number).name
    if not _is_forked():  # the command prints it
        line = f"error: {name}: interrupted; what was done is kept; run the same command again to go on\n"
        with contextlib.suppress(OSError):  # the terminal may be gone
            os.write(2, line.encode())  # not sys.stderr, which the main thread may be writing to
    for child in multiprocessing.active_children():
        with contextlib.suppress(ProcessLookupError):
            if child.pid is not None:
                os.kill(child.pid, signal.SIGKILL)
    os._exit(128 + number)


def _is_forked() -> bool:
    return multiprocessing.parent_process() is not None


def _forked_tasks() -> list[multiprocessing.Process]:
    """Return the processes that Luigi runs tasks in, with `--workers`; joblib's are of another class."""
    return [child for child in multiprocessing.active_children() if isinstance(child, multiprocessing.Process)]


def _on_uncaught(kind: type[BaseException], error: BaseException, trace) -> None:
    exit_if_interrupted()
    sys.__excepthook__(kind, error, trace)


def _on_unraisable(raised) -> None:
    """Exit if the exception is an interrupt, which Python cannot raise in `__del__`."""
    if isinstance(raised.exc_value, KeyboardInterrupt):
        exit_if_interrupted()
    sys.__unraisablehook__(raised)


class TaskProcess:
    """Context of each task that Luigi runs: its `[worker] task_process_context`.

    With `--workers 2` a task has a process of its own, forked from the command. It ends with the command, and prints
    nothing when a signal ends both."""

    def __init__(self, process: Any):
        self._is_forked = process.use_multiprocessing

    def __enter__(self) -> None:
        if self._is_forked:
            from pipeline.parallel import end_with_parent

            _start_watch()
            parent = multiprocessing.parent_process()
            assert parent is not None
            assert parent.pid is not None
            end_with_parent(parent.pid)

    def __exit__(self, *raised) -> None:
        if self._is_forked:
            exit_if_interrupted()
