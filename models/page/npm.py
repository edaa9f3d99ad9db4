"""Packages of npm, pinned with their integrity by a package-lock.json, in the user's cache."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

from models.data.dataset import UserError

TIMEOUT_S = 600
_COMMAND = ("npm", "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error")
_FILES = ("package.json", "package-lock.json")


def install(pinned: Path) -> Path:
    """Return a node_modules with the packages that the two files in `pinned` name, downloaded unless they are there.

    No script of a package is run. Raise UserError if npm is missing, or fails."""
    texts = [(pinned / name).read_bytes() for name in _FILES]
    cache = user_cache_path("anime-face-gans") / "npm"
    made = cache / hashlib.sha256(b"".join(texts)).hexdigest()[:16]
    if made.is_dir():
        return made / "node_modules"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            work = Path(scratch) / "work"
            work.mkdir()
            for name, text in zip(_FILES, texts, strict=True):
                (work / name).write_bytes(text)
            _run_npm(work)
            with contextlib.suppress(FileExistsError):  # another process has made it meanwhile
                os.rename(work, made)
    except OSError as error:
        cure = "correct it, or set XDG_CACHE_HOME to a folder that can be"
        raise UserError(cache, error.strerror or str(error), "a cache folder that can be written", cure) from error
    return made / "node_modules"


def _run_npm(folder: Path) -> None:
    """Install the packages into `folder`. Raise UserError."""
    npm = shutil.which("npm")
    if npm is None:
        cure = "install Node.js 18 or later, which has it, and give the command again"
        raise UserError("npm", "is not installed", "npm, which downloads the page's runtime once", cure)
    try:
        done = subprocess.run(
            [npm, *_COMMAND[1:]],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        failure = f"took more than {TIMEOUT_S} s"
    else:
        if done.returncode == 0:
            return
        failure = "failed: " + " ".join((done.stderr or done.stdout).split())[:300]
    expected = "a download of the packages in models/page/package-lock.json"
    raise UserError(" ".join(_COMMAND), failure, expected, "check the network and npm's registry, and try again")
