"""Apply a function to many items on all cores (`map_items`), with cached results (`cached_map`).

joblib's loky runs the chunks here; `joblib.parallel_config(backend="dask")` around the same call runs them on Dask.
"""

import ctypes
import functools
import itertools
import logging
import multiprocessing.util
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.errors import UserError
from pipeline.progress import Progress
from pipeline.store import ResultCache

if TYPE_CHECKING:
    import joblib

T = TypeVar("T")
R = TypeVar("R")

OUT_OF_MEMORY = "not even alone; free some memory, delete stages/ below the data root, and run again"
# Parts of the errors of Pillow, torch and libc.
_OUT_OF_MEMORY_MESSAGES = ("out of memory", "can't allocate memory", "Cannot allocate memory")

BATCH = 4096  # items that are in memory at once
LOOKUP = 500  # items whose cached results are read at once
MAX_BATCH_BYTES = 128 << 20  # that the items of a batch may hold
MAX_SENT_BYTES = 16 << 20  # of an item that is sent to a worker: sending takes three times its memory
KEPT_BYTES = 64 << 20  # of freed memory that glibc keeps for the next picture: taking it anew costs a tenth of the time
MAX_HEAP_BYTES = 32 << 20  # of one block that glibc may keep
CHUNK = 8  # items sent to a worker at once: 4 µs an item to send, tens of ms to do

logger = logging.getLogger("luigi-interface")


def map_items(function: Callable[[T], R], items: Iterable[T], *, jobs: int = 0, chunk: int = CHUNK) -> Iterator[R]:
    """Yield function(item) for each item, in any order. Items are taken as they are needed, so they may be a stream.

    `jobs`: number of processes, 0 for one per core. `chunk` items are sent to a worker at once; fewer than that, or
    one alone, are done in this process: a pool takes longer to start. Raise UserError if a worker dies, as it does when
    memory runs out."""
    items = iter(items)
    least = max(2, chunk)
    first = list(itertools.islice(items, least))
    if len(first) < least or jobs == 1:
        import cv2

        cv2.setNumThreads(1)  # as in a worker
        _keep_memory()
        yield from map(function, itertools.chain(first, items))
        _release_memory()
        return
    # Both are slow to import, and neither is needed where there is nothing new to do.
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import BrokenProcessPool

    all_items = itertools.chain(first, items)
    chunks = iter(lambda: list(itertools.islice(all_items, chunk)), [])
    parallel = functools.partial(
        Parallel, n_jobs=jobs or -1, batch_size=1, initializer=end_with_parent, initargs=(os.getpid(),)
    )
    try:
        _start_workers(parallel())
        for results in parallel(return_as="generator_unordered")(delayed(_run)(function, part) for part in chunks):
            yield from results
    except BrokenProcessPool as error:
        found = "a worker process died, most likely for want of memory"
        raise UserError("--jobs", found, "enough memory for each", "use fewer jobs") from error


def _run(function: Callable[[T], R], items: list[T]) -> list[R]:
    import cv2

    cv2.setNumThreads(1)  # the processes already fill the cores
    _keep_memory()
    try:
        results = [function(item) for item in items]
    except MemoryError as error:
        cure = "use fewer jobs"
        raise UserError("--jobs", "there was not enough memory for a picture", "more of it", cure) from error
    _release_memory()
    return results


def _start_workers(pool: "joblib.Parallel") -> None:
    """Start the worker processes, unless they run. They and joblib's trackers inherit the blocked signals: Ctrl-C and a
    hang-up reach all processes of a terminal, and are the parent's to handle. Raise UserError."""
    from joblib import delayed

    _shut_down_at_exit(os.getpid())
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        pool([delayed(int)()])
    except OSError as error:  # of the limits on processes, open files and shared memory
        found = f"a worker process cannot be started: {error.strerror or error}"
        raise UserError("--jobs", found, "fewer processes, or room in /dev/shm", "give --jobs 1") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@functools.cache
def _shut_down_at_exit(process: int) -> None:
    """Have the workers of this process end before it waits for its children, as one that was forked does when it ends:
    left alone, they wait five minutes for more to do."""
    from joblib.externals.loky import get_reusable_executor

    # Before the pool's queues are closed, which is at 10.
    multiprocessing.util.Finalize(None, lambda: get_reusable_executor().shutdown(), exitpriority=20)
    # joblib registers a folder for large arrays that it may never make, and its tracker warns if a process was killed.
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")  # of the processes started from now on


def end_with_parent(parent: int) -> None:
    """End this process, from a thread that looks every second, once `parent` is not its parent any more: a build that
    is killed leaves no process behind."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@functools.cache
def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL("libc.so.6") if platform.libc_ver()[0] == "glibc" else None


@functools.cache
def _keep_memory() -> None:
    """Have glibc keep freed memory for what is allocated next."""
    if libc := _libc():
        libc.mallopt(-1, KEPT_BYTES)  # M_TRIM_THRESHOLD of malloc.h
        libc.mallopt(-3, MAX_HEAP_BYTES)  # M_MMAP_THRESHOLD


def _release_memory() -> None:
    """Return freed memory to the system: glibc's heap would keep the size of the largest picture so far."""
    if libc := _libc():
        libc.malloc_trim(0)


def cached_map(
    memory: ResultCache,
    function: Callable[[Any], Any],
    items: Iterable[tuple[str, Any]],
    *,
    what: str,
    jobs: int = 0,
    chunk: int = CHUNK,
    is_valid: Callable[[Any], bool] = lambda value: True,
    item_bytes: Callable[[Any], int] = lambda item: 0,
    prepare: Callable[[Any], Any] = lambda item: item,
    accept: Callable[[Any], Any] = lambda result: result,
) -> Iterator[tuple[str, Any]]:
    """Yield (key, accept(function(prepare(item)))) for each (key, item), in any order; results that `memory` has are
    not computed again, and their items are not prepared. Only `function` runs in other processes.

    An item for which there is not enough memory is tried once more, alone, when the others are done; if that fails
    too, its result is None, and is not cached. Other results are JSON values. `what` names the items in the
    progress bar; `chunk`: see `map_items`; `is_valid`: whether a cached result can be used, as its files are there;
    `item_bytes`: how many bytes an item takes in memory."""
    items, progress = iter(items), Progress(what)
    while batch := _batch(items, item_bytes):
        unknown = []
        for at in range(0, len(batch), LOOKUP):
            some = batch[at : at + LOOKUP]
            known = memory.get_all([key for key, _ in some])
            for key, item in some:
                if (value := known.get(key)) is not None and is_valid(value):
                    yield key, value
                else:
                    unknown.append((key, prepare(item)))
        keyed, failed = _Keyed(function), []
        small = [pair for pair in unknown if item_bytes(pair[1]) <= MAX_SENT_BYTES]
        large = [pair for pair in unknown if item_bytes(pair[1]) > MAX_SENT_BYTES]
        for key, value in itertools.chain(
            map_items(keyed, small, jobs=jobs, chunk=chunk), map_items(keyed, large, jobs=1)
        ):
            if value is None:
                failed.append(key)
                continue
            memory.set(key, value := accept(value))
            progress.advance()
            yield key, value
        if failed:
            _release_memory()
        items_of = dict(unknown) if failed else {}
        for key, value in map_items(keyed, [(key, items_of[key]) for key in failed], jobs=1):
            if value is not None:
                memory.set(key, value := accept(value))
            progress.advance()
            yield key, value
        del batch, unknown, small, large, items_of  # before the next is gathered: both may hold much
    progress.close()


def _batch(items: Iterator[tuple[str, Any]], item_bytes: Callable[[Any], int]) -> list[tuple[str, Any]]:
    """Return the next BATCH items, fewer once they hold MAX_BATCH_BYTES."""
    batch, size = [], 0
    for key, item in itertools.islice(items, BATCH):
        batch.append((key, item))
        size += item_bytes(item)
        if size >= MAX_BATCH_BYTES:
            break
    return batch


class _Keyed:
    """(key, item) -> (key, function(item)), picklable; (key, None) if there was not enough memory."""

    def __init__(self, function: Callable):
        self.function = function

    def __call__(self, pair):
        key, item = pair
        return key, attempt(self.function, item)


def attempt(function: Callable[..., R], *arguments: Any) -> R | None:
    """Return function(*arguments), or None if there was not enough memory."""
    try:
        return function(*arguments)
    except Exception as error:
        if is_out_of_memory(error):
            return None
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an item failed because memory ran out: libraries raise different errors for it."""
    is_cv2 = type(error).__module__ == "cv2" and "Insufficient memory" in str(error)
    is_message = any(words in str(error) for words in _OUT_OF_MEMORY_MESSAGES)
    is_other = isinstance(error, (OSError, RuntimeError)) and is_message
    return isinstance(error, MemoryError) or is_cv2 or is_other
