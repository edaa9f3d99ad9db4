"""The base class of tasks: where the output lies, and when it is complete."""

import contextlib
import functools
import hashlib
import json
import logging
import os
import sqlite3
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import luigi

from pipeline.errors import DISK_ERRORS, UserError
from workflows.cli import process
from workflows.cli.parameters import FilePath, WholeNumber

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.store import Store

logger = logging.getLogger("luigi-interface")

MAX_JOBS = 1024
_LIST = "sha256.json"  # in a stage's folder: each file -> its sha256

S = TypeVar("S", bound="Stage")


class Stage(luigi.Task):
    """A task whose output is a folder named by the digest of what it is made from: made whole, or not there."""

    data_root = FilePath(
        default=Path("data"), significant=False, description="folder that everything is written below; one file system"
    )
    jobs = WholeNumber(
        0, MAX_JOBS, default=0, significant=False, description="processes; 0: one per core. Changes no result"
    )

    drops = False  # whether it writes a funnel

    _visible_in_registry = False  # it is no task by itself …

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls._visible_in_registry = True  # … those of its kind are

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.requires()  # checks the stages before it, so that errors are raised before anything runs
        with disk_errors_as_user_errors(self.data_root):
            self.check()
        _ALIVE.add(self)

    def check(self) -> None:
        """Raise UserError if a parameter is wrong, before anything runs."""

    def digest_inputs(self) -> list:
        """Return what the result depends on besides the inputs: the code's version and parameters, as JSON values.
        Never a path, a name, a setting that changes no result, or a time."""
        raise NotImplementedError

    @functools.cached_property
    def digest(self) -> str:
        """Return the digest of the task family, its inputs and `digest_inputs`."""
        inputs = [task.digest for task in luigi.task.flatten(self.requires())]
        text = json.dumps([self.task_family, self.digest_inputs(), inputs])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @functools.cached_property
    def store(self) -> "Store":
        """Return the data root, with this digest's scratch folder."""
        from pipeline.store import Store

        return Store(self.data_root, self.digest)

    @functools.cached_property
    def blocked(self):
        """Return the block list of this data root."""
        from pipeline import blocklist

        return blocklist.read(self.data_root)

    @property
    def folder(self) -> Path:
        """Return the folder of the output."""
        return self.data_root / "stages" / self.task_family / self.digest

    def output(self) -> luigi.LocalTarget:
        """Return where the result lies."""
        return luigi.LocalTarget(self.folder)

    def complete(self) -> bool:
        """Return whether the result is there and is the requested one."""
        try:
            return self.is_made()
        except (UserError, OSError):
            return False  # the stage whose input is wrong says so when it runs, in full

    def is_made(self) -> bool:
        """Return whether the folder exists and its files are unchanged."""
        from pipeline.stored import HEX64, read_json

        try:
            listed = read_json(self.folder / _LIST, {str: HEX64})
            return all(_sha256(self.folder / name) == sha256 for name, sha256 in listed.items())
        except (OSError, ValueError):
            return False

    def is_whole(self) -> bool:
        """Return whether all other files of the folder are as they were made. Called once, before it is used."""
        return True

    @functools.cached_property
    def made(self) -> Path:
        """Return the folder, complete: it is made again if anything in it is damaged."""
        if self.is_made() and not self.is_whole():
            from pipeline.store import remove

            logger.warning("%s is damaged: it is made again", self.folder)
            remove(self.folder)
        if not self.is_made():
            self.run()
        return self.folder

    def run(self) -> None:
        """Do the work."""
        if process.is_command():
            from pipeline.manifest import leave_out_pandas

            leave_out_pandas()
        try:
            try:
                self.data_root.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise _as_user_error(error, self.data_root) from error
            with disk_errors_as_user_errors(self.data_root), self.store.claim() as scratch:
                if not self.is_made():  # another process may have made it meanwhile
                    self._restore_inputs()
                    made = scratch / "made"
                    made.mkdir()
                    self.make(made)
                    self.seal(made)
                    self.folder.parent.mkdir(parents=True, exist_ok=True)
                    if os.path.lexists(self.folder):
                        logger.warning("%s is damaged: it is made again", self.folder)
                        os.replace(self.folder, scratch / "damaged")
                    os.replace(made, self.folder)
                self.publish()
            self.__dict__["made"] = self.folder  # just made: nothing in it is damaged
        except BaseException:
            for stage in list(_ALIVE):  # a notebook may run the same objects again after the input was fixed
                stage._forget_own()
            raise

    def _restore_inputs(self) -> None:
        """Make again the stages before this one of which files are missing: later stages need originals, too."""
        for stage in reversed([*self.chain()][1:]):
            _ = stage.made

    def make(self, out: Path) -> None:
        """Do the work, into the empty folder `out`."""
        raise NotImplementedError

    def seal(self, made: Path) -> None:
        """Write the sha256 of the files of `made`, by which `is_made` checks them."""
        files = sorted(path for path in made.iterdir() if path.is_file())
        listed = {path.name: _sha256(path) for path in files}
        (made / _LIST).write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")

    def publish(self) -> None:
        """Do what remains once the folder exists: nothing, for most stages."""

    def forget(self) -> None:
        """Drop what is cached of the inputs: Luigi keeps task objects as long as the process lives, and in a notebook
        the inputs may change."""
        for stage in self.chain():
            stage._forget_own()

    def _forget_own(self) -> None:
        for name in ("digest", "store", "snapshot", "crawl", "blocked", "corrections", "_request", "made"):
            self.__dict__.pop(name, None)

    def save(self, out: Path, *, drops: list[dict] | None = None, **tables: "pa.Table") -> None:
        """Write this stage's tables, and FUNNEL's rows for what it dropped."""
        import pyarrow as pa

        from pipeline import funnel, manifest

        if drops is not None:
            tables["funnel"] = pa.Table.from_pylist(drops, schema=funnel.FUNNEL)
        for name, table in tables.items():
            manifest.write(table, table.schema, out / f"{name}.parquet")

    def table(self, name: str) -> "pa.Table":
        """Return a table of this stage; make the stage first if it is not complete."""
        _ = self.made
        return self._saved(name)

    def _saved(self, name: str) -> "pa.Table":
        import pyarrow.parquet as pq

        path = self.folder / f"{name}.parquet"
        try:
            return pq.read_table(path, partitioning=None)
        except FileNotFoundError as error:
            cure = f"delete {self.folder}: it is made again"
            raise UserError(path, "it is gone", "a table that a stage has made", cure) from error

    def chain(self) -> Iterator["Stage"]:
        """Yield this stage, and those before it."""
        yield self
        for task in luigi.task.flatten(self.requires()):
            yield from task.chain()

    def first(self, kind: type[S]) -> S:
        """Return the nearest stage of that kind in the chain."""
        return next(stage for stage in self.chain() if isinstance(stage, kind))


def _sha256(file: Path) -> str:
    """Return the sha256 of a file, which is read again only if it has changed. Raise OSError."""
    status = file.stat()
    return _sha256_of(file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=4096)
def _sha256_of(file: Path, mtime_ns: int, size: int) -> str:
    from pipeline.store import sha256_of

    return sha256_of(file)


_ALIVE: "weakref.WeakSet[Stage]" = weakref.WeakSet()


@contextlib.contextmanager
def disk_errors_as_user_errors(root: Path) -> Iterator[None]:
    """Raise UserError, instead of a traceback, for what the user can fix: a full or read-only disk, or files that were
    removed meanwhile."""
    try:
        yield
    except FileNotFoundError as error:
        if error.filename is None or not Path(error.filename).absolute().is_relative_to(root.absolute()):
            raise
        found = "was removed while this program worked with it"
        raise UserError(error.filename, found, "that it stays there", "give the same command again") from error
    except (OSError, sqlite3.OperationalError) as error:
        if isinstance(error, OSError) and error.errno not in DISK_ERRORS:
            raise
        raise _as_user_error(error, root) from error


def first_drop(drops: list[dict]) -> str:
    """Return a clause on the first of FUNNEL's rows, for an error: what was dropped, and why."""
    if not drops:
        return ""
    detail = f" ({drops[0]['detail']})" if drops[0]["detail"] else ""
    return f", first {drops[0]['source_id']}: {drops[0]['reason']}{detail}"


def _as_user_error(error: Exception, root: Path) -> UserError:
    where = getattr(error, "filename", None) or root
    found = getattr(error, "strerror", None) or str(error)
    return UserError(where, found, f"to write below {root}", "free some space there or give another --data-root")
